//! How long messages take from a device's application to the sink, and devices from power to a session.

use std::collections::HashMap;
use whimbrel_core::{Duration, Instant, SeqNo, StreamId};

/// Delays of one kind.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<u64>);

impl Series {
    /// One more.
    pub fn push(&mut self, delay: Duration) {
        self.0.push(delay.as_micros());
    }

    /// How many.
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The shortest delay that so many hundredths of all do not exceed.
    pub fn percentile(&self, hundredths: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
        Duration::from_micros(sorted.get(at).copied().unwrap_or(0))
    }
}

/// What a world measures when it is asked to.
#[derive(Clone, Debug, Default)]
pub struct Delays {
    accepted: HashMap<(usize, StreamId, SeqNo), Instant>,
    booted: HashMap<usize, Instant>,
    /// From the application to the sink.
    pub messages: Series,
    /// From power to a session.
    pub sessions: Series,
}

impl Delays {
    /// A device's session accepted a message.
    pub fn on_accepted(&mut self, device: usize, stream: StreamId, seq: SeqNo, now: Instant) {
        self.accepted.insert((device, stream, seq), now);
    }

    /// The sink stored it.
    pub fn on_stored(&mut self, device: usize, stream: StreamId, seq: SeqNo, now: Instant) {
        if let Some(then) = self.accepted.remove(&(device, stream, seq)) {
            self.messages.push(now.saturating_since(then));
        }
    }

    /// A device was switched on; what it had accepted is gone.
    pub fn on_boot(&mut self, device: usize, now: Instant) {
        self.accepted.retain(|(owner, ..), _| *owner != device);
        self.booted.insert(device, now);
    }

    /// It has a session.
    pub fn on_session(&mut self, device: usize, now: Instant) {
        if let Some(then) = self.booted.remove(&device) {
            self.sessions.push(now.saturating_since(then));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut series = Series::default();
        assert_eq!(series.percentile(99), Duration::ZERO);
        (1..=200).rev().for_each(|micros| series.push(Duration::from_micros(micros)));
        let micros = |hundredths| series.percentile(hundredths).as_micros();
        assert_eq!((micros(1), micros(50), micros(99), micros(100)), (2, 100, 198, 200));
    }
}
