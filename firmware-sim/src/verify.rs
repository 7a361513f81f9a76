//! Looks into the database: is every accepted reading there, exactly once, and in order?

use crate::SimError;
use crate::node::Node;
use crate::replay::Rows;
use rusqlite::{Connection, OpenFlags, Row};
use sensor_app::{CHANNEL, Reading, Source};
use std::collections::HashSet;
use std::path::Path;
use whimbrel_gateway::sink::device_name;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Accepted readings that are there, with the payload that was accepted.
    pub stored: u64,
    /// Accepted readings that are not.
    pub lost: u64,
    /// Rows of the run's streams beyond one for each accepted reading.
    pub duplicated: u64,
    /// Readings that were stored before one that precedes them in their stream.
    pub out_of_order: u64,
}

impl Verified {
    fn add(self, more: Self) -> Self {
        Self {
            stored: self.stored + more.stored,
            lost: self.lost + more.lost,
            duplicated: self.duplicated + more.duplicated,
            out_of_order: self.out_of_order + more.out_of_order,
        }
    }
}

/// One device's part of the truth: what it accepted, in order, and under which numbers.
#[derive(Debug)]
pub struct Expected {
    device: String,
    epochs: Vec<u32>,
    /// Sequence number and payload.
    accepted: Vec<(u64, Vec<u8>)>,
}

impl Expected {
    /// What `node` accepted of `rows`, encoded anew from the file's rows.
    pub fn new(node: &Node, mut rows: Rows) -> Self {
        let mut buf = [0; Reading::ENCODED_MAX];
        let accepted = node.tally().accepted().iter().filter_map(|seq| {
            let payload = rows.next().and_then(|reading| reading.encode(&mut buf).map(<[u8]>::to_vec));
            Some((*seq, payload?))
        });
        Self {
            device: device_name(&node.id()),
            accepted: accepted.collect(),
            epochs: node.tally().epochs().iter().map(|epoch| epoch.number()).collect(),
        }
    }
}

/// A row of the database: one reading of one of the run's streams.
#[derive(Debug)]
struct Stored {
    seq: u64,
    /// Ascends in the order of insertion: rows are never deleted while a run lasts.
    rowid: i64,
    payload: Vec<u8>,
}

/// Compares what is in the database at `path` with what the devices accepted.
///
/// # Errors
/// [`SimError::Verify`] when it cannot be read.
pub fn verify(path: &Path, expected: &[Expected]) -> Result<Verified, SimError> {
    let failed = |source| SimError::Verify { path: path.into(), source };
    // Nothing is written, but only a connection that may write clears the write-ahead log away again. Where
    // the file may not be written, SQLite opens it for reading by itself.
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    expected.iter().try_fold(Verified::default(), |sum, device| {
        let rows = rows(&database, device).map_err(failed)?;
        Ok(sum.add(compare(device, &rows)))
    })
}

fn rows(database: &Connection, expected: &Expected) -> Result<Vec<Stored>, rusqlite::Error> {
    let mut query = database.prepare_cached(
        "SELECT seq, rowid, payload FROM readings
         WHERE device = ?1 AND channel = ?2 AND epoch = ?3 ORDER BY seq",
    )?;
    let mut found = Vec::new();
    // The epochs in the order in which the stream had them.
    for epoch in &expected.epochs {
        for row in query.query_map((&expected.device, CHANNEL.number(), epoch), stored)? {
            found.push(row?);
        }
    }
    Ok(found)
}

fn stored(row: &Row<'_>) -> Result<Stored, rusqlite::Error> {
    // SQLite's integers are signed; the bits are the same.
    Ok(Stored { seq: row.get::<_, i64>(0)?.cast_unsigned(), rowid: row.get(1)?, payload: row.get(2)? })
}

/// `rows` in the order of their numbers.
fn compare(expected: &Expected, rows: &[Stored]) -> Verified {
    let mut found = HashSet::new();
    let mut latest = i64::MIN;
    let mut verified = Verified::default();
    for row in rows {
        // The numbers ascend, so a place that goes back was stored before its predecessor.
        verified.out_of_order += u64::from(row.rowid < latest);
        latest = latest.max(row.rowid);
        let first = expected.accepted.binary_search_by_key(&row.seq, |(seq, _)| *seq).ok();
        let right = first.and_then(|at| expected.accepted.get(at)).is_some_and(|(_, payload)| *payload == row.payload);
        if right && found.insert(row.seq) {
            verified.stored += 1;
        } else {
            verified.duplicated += 1;
        }
    }
    verified.lost = expected.accepted.len() as u64 - verified.stored;
    verified
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        let accepted = (0..3).map(|seq| (seq, vec![seq as u8; 4])).collect();
        Expected { device: "sim-0".into(), epochs: vec![1, 2], accepted }
    }

    fn row(seq: u64, rowid: i64) -> Stored {
        Stored { seq, rowid, payload: vec![seq as u8; 4] }
    }

    #[test]
    fn all_is_well() {
        let verified = compare(&expected(), &[row(0, 10), row(1, 11), row(2, 12)]);
        assert_eq!(verified, Verified { stored: 3, ..Verified::default() });
    }

    #[test]
    fn each_fault_is_seen() {
        let fault = |rows: &[Stored]| compare(&expected(), rows);
        assert_eq!(fault(&[row(0, 1), row(2, 2)]), Verified { stored: 2, lost: 1, ..Verified::default() });
        let twice = [row(0, 1), row(1, 2), row(2, 3), row(2, 4)];
        assert_eq!(fault(&twice), Verified { stored: 3, duplicated: 1, ..Verified::default() });
        let late = [row(0, 5), row(1, 4), row(2, 6)];
        assert_eq!(fault(&late), Verified { stored: 3, out_of_order: 1, ..Verified::default() });
        let wrong = Stored { payload: vec![9; 4], ..row(1, 2) };
        let spoilt = Verified { stored: 2, lost: 1, duplicated: 1, out_of_order: 0 };
        assert_eq!(fault(&[row(0, 1), wrong, row(2, 3)]), spoilt);
        assert_eq!(fault(&[]), Verified { lost: 3, ..Verified::default() });
    }

    #[test]
    fn only_the_runs_own_streams_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let database = Connection::open(&path).unwrap();
        database
            .execute_batch(
                "CREATE TABLE readings(device TEXT, channel INTEGER, epoch INTEGER, seq INTEGER, received_at INTEGER,
                   payload BLOB, json TEXT, PRIMARY KEY(device, channel, epoch, seq));
                 INSERT INTO readings VALUES('sim-0', 1, 1, 0, 5, x'00000000', NULL), ('sim-0', 1, 2, 1, 6, x'01010101', NULL),
                   ('sim-0', 1, 2, 2, 6, x'02020202', NULL), ('sim-0', 1, 3, 0, 7, x'00000000', NULL),
                   ('sim-1', 1, 1, 0, 5, x'00000000', NULL), ('sim-0', 2, 1, 0, 5, x'00000000', NULL);",
            )
            .unwrap();
        assert_eq!(verify(&path, &[expected()]).unwrap(), Verified { stored: 3, ..Verified::default() });
        assert!(verify(&folder.path().join("none.db"), &[]).is_err());
    }
}
