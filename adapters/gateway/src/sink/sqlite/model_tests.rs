//! Random batches, failures and restarts against a model that is a list of numbers.

use super::Sqlite;
use super::fixture::{Fixture, offer, reading, request};
use crate::sink::{Reading, Sink};
use proptest::prelude::*;
use rusqlite::params;

/// What happens to the sink, all of it from the one stream of one device.
#[derive(Clone, Debug)]
enum Op {
    /// Readings from so far before or beyond the watermark, so many.
    Store { offset: i64, count: u64 },
    /// The same, but the disk has no room for them.
    Fail { count: u64 },
    /// The database is closed and opened again.
    Restart,
    /// The device opens another session, having let go of all below its base, which lies so far
    /// from the watermark; it has used so many numbers.
    Admit { base: i64, used: u64 },
    /// The device boots and knows of no epoch.
    Boot,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (-5i64..=2, 0..12u64).prop_map(|(offset, count)| Op::Store { offset, count }),
        1 => (1..12u64).prop_map(|count| Op::Fail { count }),
        1 => Just(Op::Restart),
        2 => (-5i64..=5, 0..12u64).prop_map(|(base, used)| Op::Admit { base, used }),
        1 => Just(Op::Boot),
    ]
}

/// What should be there.
#[derive(Default)]
struct Model {
    epoch: u32,
    next: u64,
    rows: Vec<(u32, u64)>,
    skipped: u64,
}

impl Model {
    fn store(&mut self, start: u64, count: u64) {
        for seq in start..start + count {
            if seq == self.next {
                self.rows.push((self.epoch, seq));
                self.next += 1;
            }
        }
    }

    fn open(&mut self, base: u64) {
        self.epoch += 1;
        self.next = base;
    }
}

fn apply(op: Op, fixture: &mut Fixture, model: &mut Model) {
    let epoch = whimbrel_core::StreamEpoch::new(model.epoch).unwrap();
    let batch =
        |start: u64, count: u64| -> Vec<Reading> { (start..start + count).map(|seq| reading(epoch, seq)).collect() };
    match op {
        Op::Store { offset, count } => {
            let start = model.next.saturating_add_signed(offset);
            let stored = fixture.sink.store(&batch(start, count)).unwrap();
            model.store(start, count);
            assert!(stored.watermarks.iter().all(|mark| mark.next.value() == model.next));
            let counts = stored.counts;
            assert_eq!(counts.rows + counts.duplicates + counts.gaps, count, "each is accounted for");
        }
        Op::Fail { count } => {
            let full = "CREATE TEMP TRIGGER full BEFORE UPDATE ON main.streams
                        BEGIN SELECT RAISE(ABORT, 'full'); END";
            fixture.sink.connection.execute_batch(full).unwrap();
            assert!(fixture.sink.store(&batch(model.next, count)).is_err());
            fixture.sink.connection.execute_batch("DROP TRIGGER full").unwrap();
        }
        Op::Restart => {
            let path = fixture.folder.path().join("a.db");
            let other = Sqlite::open(&fixture.folder.path().join("other.db")).unwrap();
            Box::new(core::mem::replace(&mut fixture.sink, other)).close().unwrap();
            fixture.sink = Sqlite::open(&path).unwrap();
        }
        Op::Admit { base, used } => {
            let base = model.next.saturating_add_signed(base);
            let end = base + used;
            let admitted = fixture.sink.admit(&request(&[offer(Some(epoch), base, end)])).unwrap();
            if end < model.next {
                model.open(base);
            } else if base > model.next {
                model.skipped += base - model.next;
                model.next = base;
            }
            assert_eq!((admitted[0].epoch.number(), admitted[0].next.value()), (model.epoch, model.next));
        }
        Op::Boot => {
            model.open(0);
            assert_eq!(fixture.open_stream().number(), model.epoch);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_database_is_what_the_model_says(ops in proptest::collection::vec(op(), 1..24)) {
        let (mut fixture, mut model) = (Fixture::new(), Model::default());
        model.epoch = fixture.open_stream().number();
        for op in ops {
            apply(op, &mut fixture, &mut model);
            let mut statement =
                fixture.sink.connection.prepare("SELECT epoch, seq FROM readings ORDER BY rowid").unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))).unwrap();
            prop_assert_eq!(&rows.collect::<Result<Vec<_>, _>>().unwrap(), &model.rows);
            drop(statement);
            let next: i64 = fixture
                .sink
                .connection
                .query_row("SELECT next FROM streams WHERE epoch = ?1", params![model.epoch], |row| row.get(0))
                .unwrap();
            prop_assert_eq!(next as u64, model.next);
            prop_assert_eq!(fixture.number("SELECT ifnull(sum(count), 0) FROM ledger") as u64, model.skipped);
        }
    }
}
