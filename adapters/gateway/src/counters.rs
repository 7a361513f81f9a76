//! What was stored, and what was not and why.

use core::sync::atomic::{AtomicU64, Ordering};

/// Counts since the gateway's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Readings stored: rows.
    pub rows: u64,
    /// Readings that were stored already: ignored.
    pub duplicates: u64,
    /// Readings refused because one before them in their stream is missing, or because nothing is
    /// known of their stream. No correct session delivers such a one.
    pub gaps: u64,
    /// Rows without JSON: unknown schema, or a payload that does not fit it.
    pub raw: u64,
    /// Transactions that stored readings.
    pub batches: u64,
    /// Transactions that failed and were tried again, or given up.
    pub failures: u64,
    /// Devices let in.
    pub admitted: u64,
    /// Devices turned away.
    pub refused: u64,
}

/// The live form of [`Stored`]; written by the sink's thread alone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    rows: AtomicU64,
    duplicates: AtomicU64,
    gaps: AtomicU64,
    raw: AtomicU64,
    batches: AtomicU64,
    failures: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    /// Adds every count of `more`.
    pub(crate) fn add(&self, more: &Stored) {
        for (counter, more) in [
            (&self.rows, more.rows),
            (&self.duplicates, more.duplicates),
            (&self.gaps, more.gaps),
            (&self.raw, more.raw),
            (&self.batches, more.batches),
            (&self.failures, more.failures),
            (&self.admitted, more.admitted),
            (&self.refused, more.refused),
        ] {
            // Each is a count of its own: nobody infers one from another.
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// The counts now.
    pub(crate) fn snapshot(&self) -> Stored {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stored {
            rows: read(&self.rows),
            duplicates: read(&self.duplicates),
            gaps: read(&self.gaps),
            raw: read(&self.raw),
            batches: read(&self.batches),
            failures: read(&self.failures),
            admitted: read(&self.admitted),
            refused: read(&self.refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_adds_up() {
        let one = Stored { rows: 1, duplicates: 2, gaps: 3, raw: 4, batches: 5, failures: 6, admitted: 7, refused: 8 };
        let counters = Counters::default();
        counters.add(&one);
        assert_eq!(counters.snapshot(), one);
        counters.add(&one);
        assert_eq!(counters.snapshot().refused, 16);
    }
}
