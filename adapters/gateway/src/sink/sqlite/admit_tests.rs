use super::super::fixture::{Fixture, offer, reading, request, stream};
use super::*;
use crate::sink::{Reading, Sink};
use whimbrel_core::{ChannelId, DeviceId, SchemaId, StreamId};

fn epoch(number: u32) -> StreamEpoch {
    StreamEpoch::new(number).unwrap()
}

fn admission(number: u32, next: u64) -> StreamAdmission {
    StreamAdmission { id: stream(), epoch: epoch(number), next: SeqNo::new(next) }
}

/// A database that has 0..=9 of epoch 1.
fn ten_stored() -> Fixture {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.open_stream(), epoch(1));
    let batch: Vec<_> = (0..10).map(|seq| reading(epoch(1), seq)).collect();
    fixture.sink.store(&batch).unwrap();
    fixture
}

#[test]
fn a_device_without_an_epoch_gets_a_new_one_from_its_base() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.admit(&[offer(None, 3, 7)]), [admission(1, 3)]);
    assert_eq!(fixture.number("SELECT next FROM streams"), 3);
    // It asks again, after a reboot or because the answer was lost: never the same epoch.
    assert_eq!(fixture.admit(&[offer(None, 0, 0)]), [admission(2, 0)]);
    let other = DeviceId::new(b"sim-1").unwrap();
    assert_eq!(
        fixture.sink.admit(&SessionRequest { device: other, ..request(&[offer(None, 0, 0)]) }).unwrap(),
        [admission(1, 0)]
    );
}

#[test]
fn a_known_epoch_goes_on_at_the_watermark() {
    let mut fixture = ten_stored();
    for (base, next) in [(0, 10), (10, 10), (4, 90), (10, 90)] {
        assert_eq!(fixture.admit(&[offer(Some(epoch(1)), base, next)]), [admission(1, 10)], "{base}..{next}");
    }
    assert_eq!(fixture.number("SELECT count(*) FROM ledger"), 0);
}

#[test]
fn a_sink_that_went_back_in_time_skips_to_what_the_device_still_has() {
    let mut fixture = ten_stored();
    assert_eq!(fixture.admit(&[offer(Some(epoch(1)), 15, 20)]), [admission(1, 15)]);
    assert_eq!(fixture.number("SELECT count FROM ledger WHERE reason = 'sink_rollback'"), 5);
    assert_eq!(fixture.number("SELECT next FROM streams"), 15);
    // Said once: the next session finds the watermark where it was put.
    assert_eq!(fixture.admit(&[offer(Some(epoch(1)), 15, 20)]), [admission(1, 15)]);
    assert_eq!(fixture.admit(&[offer(Some(epoch(1)), 18, 20)]), [admission(1, 18)]);
    assert_eq!(fixture.number("SELECT count FROM ledger"), 8);
}

#[test]
fn a_device_that_went_back_in_time_gets_a_new_epoch() {
    let mut fixture = ten_stored();
    assert_eq!(fixture.admit(&[offer(Some(epoch(1)), 2, 9)]), [admission(2, 2)]);
    assert_eq!(fixture.number("SELECT next FROM streams WHERE epoch = 1"), 10);
}

#[test]
fn an_unknown_epoch_is_replaced() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.admit(&[offer(Some(epoch(77)), 4, 9)]), [admission(1, 4)]);
}

#[test]
fn the_streams_of_a_channel_never_share_an_epoch() {
    let mut fixture = Fixture::new();
    let backlog = StreamId::from_wire(stream().to_wire() | 0x40).unwrap();
    assert!(backlog.is_backlog());
    let both = [offer(None, 0, 0), OfferedStream { id: backlog, ..offer(None, 0, 0) }];
    for expected in [[1, 2], [3, 4]] {
        let epochs: Vec<_> = fixture.admit(&both).iter().map(|admission| admission.epoch.number()).collect();
        assert_eq!(epochs, expected);
    }
    // The live stream's epoch is none of the backlog stream's.
    let swapped = OfferedStream { id: backlog, ..offer(Some(epoch(1)), 0, 0) };
    assert_eq!(fixture.admit(&[swapped])[0].epoch, epoch(5));
    let elsewhere = OfferedStream { id: ChannelId::new(2).unwrap().live(), ..offer(None, 0, 0) };
    assert_eq!(fixture.admit(&[elsewhere])[0].epoch, epoch(1));
}

#[test]
fn an_epoch_whose_watermark_was_deleted_is_not_used_again() {
    let mut fixture = ten_stored();
    fixture.sink.connection.execute("DELETE FROM streams", []).unwrap();
    assert_eq!(fixture.open_stream(), epoch(2));
}

#[test]
fn epochs_run_out_with_an_error() {
    let mut fixture = Fixture::new();
    fixture.open_stream();
    fixture.sink.connection.execute("UPDATE streams SET epoch = 4294967295", []).unwrap();
    let refused = fixture.sink.admit(&request(&[offer(None, 0, 0)]));
    assert!(matches!(refused, Err(AdmitError::NoEpoch { channel: 1 })));
}

#[test]
fn numbers_that_cannot_be_stored_are_refused_and_leave_nothing() {
    let mut fixture = Fixture::new();
    let far = OfferedStream { id: ChannelId::new(2).unwrap().live(), ..offer(None, 1 << 63, 1 << 63) };
    let refused = fixture.sink.admit(&request(&[offer(None, 0, 0), far]));
    assert!(matches!(refused, Err(AdmitError::Number { .. })));
    assert_eq!(fixture.number("SELECT count(*) FROM streams"), 0);
}

#[test]
fn what_was_not_durable_is_not_a_rollback() {
    let mut fixture = ten_stored();
    let ordered = OfferedStream { durable: false, ..offer(Some(epoch(1)), 12, 12) };
    assert_eq!(fixture.admit(&[ordered]), [admission(1, 12)]);
    assert_eq!(fixture.number("SELECT count FROM ledger WHERE reason = 'not_durable'"), 2);
    let best_effort = OfferedStream { durable: false, delivery: Delivery::BestEffort, ..offer(Some(epoch(1)), 20, 20) };
    assert_eq!(fixture.admit(&[best_effort]), [admission(1, 20)]);
    assert_eq!(fixture.number("SELECT sum(count) FROM ledger"), 2);
}

#[test]
fn what_the_device_says_of_a_stream_is_kept_up_to_date() {
    let mut fixture = ten_stored();
    let writes = fixture.number("SELECT total_changes()");
    fixture.admit(&[offer(Some(epoch(1)), 0, 10)]);
    assert_eq!(fixture.number("SELECT total_changes()"), writes, "nothing changed, nothing is written");
    let changed = OfferedStream { schema: SchemaId(u64::MAX), ..offer(Some(epoch(1)), 0, 10) };
    fixture.sink.admit(&SessionRequest { boot_epoch: 8, ..request(&[changed]) }).unwrap();
    assert_eq!(fixture.number("SELECT boot FROM streams"), 8);
    assert_eq!(fixture.number("SELECT schema FROM streams"), -1);
    assert_eq!(fixture.number("SELECT next FROM streams"), 10);
}

#[test]
fn the_rows_of_two_epochs_live_side_by_side() {
    let mut fixture = ten_stored();
    let second = fixture.open_stream();
    let again: Vec<Reading> = (0..10).map(|seq| reading(second, seq)).collect();
    assert_eq!(fixture.sink.store(&again).unwrap().counts.rows, 10);
    assert_eq!(fixture.number("SELECT count(*) FROM readings"), 20);
}
