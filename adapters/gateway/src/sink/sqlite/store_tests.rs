use super::super::Sqlite;
use super::super::fixture::{Fixture, device, offer, reading, stream};
use super::*;
use crate::Stored;
use crate::sink::Sink;
use rusqlite::ErrorCode;
use std::fs;
use whimbrel_core::{Delivery, OfferedStream, SchemaId};

fn run(epoch: StreamEpoch, range: core::ops::Range<u64>) -> Vec<Reading> {
    range.map(|seq| reading(epoch, seq)).collect()
}

fn watermark(epoch: StreamEpoch, next: u64) -> Vec<Watermark> {
    vec![Watermark { device: device(), stream: stream(), epoch, next: SeqNo::new(next) }]
}

fn code(error: &rusqlite::Error) -> ErrorCode {
    error.sqlite_error_code().unwrap()
}

#[test]
fn rows_hold_what_came() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    let stored = fixture.sink.store(&run(epoch, 0..3)).unwrap();
    assert_eq!(stored.watermarks, watermark(epoch, 3));
    assert_eq!(stored.counts, Stored { rows: 3, raw: 3, batches: 1, ..Stored::default() });
    let row = fixture.sink.connection.query_row(
        "SELECT device, channel, epoch, received_at, payload, json FROM readings WHERE seq = 2",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)),
    );
    let expected: (String, u8, u32, i64, Vec<u8>, Option<String>) =
        ("sim-0".into(), 1, 1, 1_700_000_000_000_002, 2u64.to_le_bytes().to_vec(), None);
    assert_eq!(row.unwrap(), expected);
}

#[test]
fn what_is_below_the_watermark_is_ignored_and_counted() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    fixture.sink.store(&run(epoch, 0..5)).unwrap();
    let mut again = run(epoch, 2..7);
    again[0].payload = b"another".to_vec();
    let stored = fixture.sink.store(&again).unwrap();
    assert_eq!(stored.counts, Stored { rows: 2, duplicates: 3, raw: 2, batches: 1, ..Stored::default() });
    assert_eq!(stored.watermarks, watermark(epoch, 7));
    assert_eq!(fixture.number("SELECT count(*) FROM readings WHERE payload = CAST('another' AS BLOB)"), 0);
    // Nothing but duplicates: the watermark is told again, as the device seems not to know it.
    assert_eq!(fixture.sink.store(&run(epoch, 0..2)).unwrap().watermarks, watermark(epoch, 7));
}

#[test]
fn nothing_advances_past_a_gap() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    let mut batch = run(epoch, 0..2);
    batch.extend(run(epoch, 3..5));
    let stored = fixture.sink.store(&batch).unwrap();
    assert_eq!(stored.counts, Stored { rows: 2, gaps: 2, raw: 2, batches: 1, ..Stored::default() });
    assert_eq!(stored.watermarks, watermark(epoch, 2));
    assert_eq!(fixture.number("SELECT max(seq) FROM readings"), 1);
}

#[test]
fn a_stream_that_was_never_admitted_stores_nothing() {
    let mut fixture = Fixture::new();
    let stored = fixture.sink.store(&run(StreamEpoch::new(9).unwrap(), 0..2)).unwrap();
    assert_eq!(stored.counts, Stored { gaps: 2, batches: 1, ..Stored::default() });
    assert!(stored.watermarks.is_empty());
    assert_eq!(fixture.number("SELECT count(*) FROM readings"), 0);
}

#[test]
fn best_effort_has_gaps_and_stragglers_but_no_duplicates() {
    let mut fixture = Fixture::new();
    let loose = OfferedStream { delivery: Delivery::BestEffort, durable: false, ..offer(None, 0, 0) };
    let epoch = fixture.admit(&[loose])[0].epoch;
    let batch: Vec<_> = [0, 4, 2, 4, 2, 9].map(|seq| reading(epoch, seq)).into();
    let stored = fixture.sink.store(&batch).unwrap();
    assert_eq!(stored.counts, Stored { rows: 4, duplicates: 2, raw: 4, batches: 1, ..Stored::default() });
    assert_eq!(stored.watermarks, watermark(epoch, 10));
}

#[test]
fn numbers_beyond_the_databases_are_refused() {
    let mut fixture = Fixture::new();
    let last = i64::MAX as u64;
    let epoch = fixture.admit(&[offer(None, last - 1, last - 1)])[0].epoch;
    let batch: Vec<_> = [last - 1, last, u64::MAX].map(|seq| reading(epoch, 0).at(seq)).into();
    let stored = fixture.sink.store(&batch).unwrap();
    assert_eq!((stored.counts.rows, stored.counts.gaps), (1, 2));
    assert_eq!(stored.watermarks, watermark(epoch, last));
}

impl Reading {
    fn at(self, seq: u64) -> Self {
        Self { seq: SeqNo::new(seq), ..self }
    }
}

#[test]
fn a_known_schema_gets_json_and_a_wrong_payload_stays_raw() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    let schema = SchemaId::named("occupancy/1");
    // 1970-01-01T00:00:01, five times zero, nobody in.
    let payload = [&[1], &[0; 10][..], &[0]].concat();
    let wrong = payload[1..].to_vec();
    let batch = [
        Reading { schema, payload, ..reading(epoch, 0) },
        Reading { schema, payload: wrong.clone(), ..reading(epoch, 1) },
    ];
    let stored = fixture.sink.store(&batch).unwrap();
    assert_eq!((stored.counts.rows, stored.counts.raw), (2, 1));
    assert_eq!(fixture.number("SELECT json ->> 'date' = '1970-01-01 00:00:01' FROM readings WHERE seq = 0"), 1);
    assert_eq!(fixture.number("SELECT json IS NULL FROM readings WHERE seq = 1"), 1);
    let kept: Vec<u8> =
        fixture.sink.connection.query_row("SELECT payload FROM readings WHERE seq = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, wrong);
}

#[test]
fn rows_and_watermarks_stand_or_fall_together() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    fixture.sink.store(&run(epoch, 0..2)).unwrap();
    let trigger = "CREATE TRIGGER t BEFORE UPDATE ON streams BEGIN SELECT RAISE(ABORT, 'no'); END";
    fixture.sink.connection.execute_batch(trigger).unwrap();
    assert!(fixture.sink.store(&run(epoch, 2..9)).is_err());
    assert_eq!(fixture.number("SELECT count(*) FROM readings"), 2);
    fixture.sink.connection.execute_batch("DROP TRIGGER t").unwrap();
    assert_eq!(fixture.sink.store(&run(epoch, 2..9)).unwrap().counts.rows, 7);
    assert_eq!(fixture.number("SELECT next FROM streams"), 9);
}

#[test]
fn a_kill_in_the_middle_of_a_transaction_leaves_none_of_it() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    fixture.sink.store(&run(epoch, 0..2)).unwrap();
    // A tiny cache, so that uncommitted pages are in the log when the copy is made.
    fixture.sink.connection.execute_batch("PRAGMA cache_size = 2").unwrap();
    let log = fixture.folder.path().join("a.db-wal");
    let before = fs::metadata(&log).unwrap().len();
    let transaction = fixture.sink.connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    assert_eq!(store_in(&transaction, &run(epoch, 2..2000)).unwrap().counts.rows, 1998);
    assert!(fs::metadata(&log).unwrap().len() > before, "the log holds what was not committed");
    // What a kill at this moment leaves behind.
    let copy = tempfile::tempdir().unwrap();
    for name in ["a.db", "a.db-wal"] {
        fs::copy(fixture.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    drop(transaction);
    let sink = Sqlite::open(&copy.path().join("a.db")).unwrap();
    let mut survivor = Fixture { folder: copy, sink };
    assert_eq!(survivor.number("SELECT count(*) FROM readings"), 2);
    assert_eq!(survivor.number("SELECT next FROM streams"), 2);
    assert_eq!(survivor.sink.store(&run(epoch, 2..2000)).unwrap().counts.rows, 1998);
}

#[test]
fn a_full_disk_changes_nothing_and_passes() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    fixture.sink.store(&run(epoch, 0..2)).unwrap();
    let pages = fixture.number("PRAGMA page_count");
    fixture.number(&format!("PRAGMA max_page_count = {}", pages + 1));
    let batch = run(epoch, 2..2000);
    let error = store(&mut fixture.sink.connection, &batch).unwrap_err();
    assert_eq!(code(&error), ErrorCode::DiskFull);
    assert_eq!(fixture.number("SELECT count(*) FROM readings"), 2);
    assert_eq!(fixture.number("SELECT next FROM streams"), 2);
    fixture.number("PRAGMA max_page_count = 100000");
    assert_eq!(fixture.sink.store(&batch).unwrap().counts.rows, 1998);
}

#[test]
fn another_writer_is_waited_for_and_then_reported() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    let writer = Connection::open(fixture.folder.path().join("a.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store(&mut fixture.sink.connection, &run(epoch, 0..1)).unwrap_err();
    assert_eq!(code(&error), ErrorCode::DatabaseBusy);
    writer.execute_batch("ROLLBACK").unwrap();
    assert_eq!(fixture.sink.store(&run(epoch, 0..1)).unwrap().counts.rows, 1);
}

#[test]
fn what_the_device_gave_up_is_counted_and_waited_for_no_more() {
    let mut fixture = Fixture::new();
    let epoch = fixture.open_stream();
    let after = |seq, after| Reading { after: SeqNo::new(after), ..reading(epoch, seq) };
    // 2 and 3 were given up; 6 follows 5, which another session has still to store.
    let batch = [reading(epoch, 0), reading(epoch, 1), after(4, 2), after(6, 6), reading(epoch, 5), after(7, 6)];
    let stored = fixture.sink.store(&batch).unwrap();
    assert_eq!(stored.counts, Stored { rows: 5, gaps: 1, raw: 5, batches: 1, ..Stored::default() });
    assert_eq!(stored.watermarks, watermark(epoch, 8));
    assert_eq!(fixture.number("SELECT count FROM ledger WHERE reason = 'given_up'"), 3);
}

#[test]
fn reliable_and_latest_streams_have_no_order() {
    for delivery in [Delivery::Reliable, Delivery::Latest] {
        let mut fixture = Fixture::new();
        let loose = OfferedStream { delivery, durable: false, ..offer(None, 0, 0) };
        let epoch = fixture.admit(&[loose])[0].epoch;
        let batch: Vec<_> = [3, 0, 1, 3].map(|seq| reading(epoch, seq)).into();
        let stored = fixture.sink.store(&batch).unwrap();
        assert_eq!(stored.counts, Stored { rows: 3, duplicates: 1, raw: 3, batches: 1, ..Stored::default() });
    }
}
