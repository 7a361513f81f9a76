//! An oracle that passes everything proves nothing.

use super::*;
use whimbrel_core::{ChannelId, Duration, SchemaId};

const CHANNEL: ChannelId = ChannelId::new(1).unwrap();
const SCHEMA: SchemaId = SchemaId::named("test/1");
const NOW: Instant = Instant::from_millis(5);

fn handed(session: u64, seq: u64, payload: &[u8]) -> Handed<'_> {
    Handed { session, seq, payload, now: NOW, doubt: Doubt::default() }
}

fn flow(kind: Kind, durable: bool) -> Flow {
    let mut flow = Flow::new(Mode { kind, durable });
    for (seq, payload) in [b"a", b"b", b"c"].iter().enumerate() {
        flow.accept(seq as u64, *payload, None).unwrap();
    }
    flow
}

#[test]
fn ordered() {
    let mut flow = flow(Kind::Ordered, false);
    assert!(flow.accept(9, b"", None).is_err(), "a gap in the numbers");
    assert!(flow.hand(handed(1, 0, b"b")).is_err(), "another payload");
    flow.hand(handed(1, 0, b"a")).unwrap();
    assert!(flow.hand(handed(1, 0, b"a")).is_err(), "twice");
    assert!(flow.hand(handed(2, 0, b"a")).is_err(), "twice, in another session");
    let mut hasty = flow.clone();
    hasty.hand(handed(1, 2, b"c")).unwrap();
    assert_eq!(hasty.left_out(), 1, "1 left out");
    assert!(flow.hand(handed(1, 3, b"d")).is_err(), "never accepted");
    assert!(flow.acknowledged(2, NOW, true).is_err(), "1 did not arrive");
    flow.hand(handed(2, 2, b"c")).unwrap();
    assert!(flow.hand(handed(2, 1, b"b")).is_err(), "out of order");
    assert_eq!(flow.fates(NOW), Fates { accepted: 3, delivered: 2, open: 1, ..Fates::default() });
}

#[test]
fn durable() {
    let mut flow = flow(Kind::Ordered, true);
    let mut hasty = flow.clone();
    hasty.hand(handed(1, 1, b"b")).unwrap();
    assert_eq!(hasty.left_out(), 1, "a session that begins may not leave 0 out");
    flow.hand(handed(1, 0, b"a")).unwrap();
    let mut hasty = flow.clone();
    hasty.committed(1, NOW).unwrap();
    assert_eq!(hasty.left_out(), 1, "not stored");
    flow.store(0, NOW).unwrap();
    flow.committed(1, NOW).unwrap();
    assert!(flow.committed(0, NOW).is_err(), "goes back");
    assert!(flow.store(0, NOW).is_err(), "stored twice");
    assert!(flow.store(1, NOW).is_err(), "never handed on");
    flow.hand(handed(2, 1, b"b")).unwrap();
    flow.hand(handed(3, 1, b"b")).unwrap();
    flow.hand(handed(3, 2, b"c")).unwrap();
    let mut hasty = flow.clone();
    hasty.store(2, NOW).unwrap();
    assert_eq!(hasty.left_out(), 1, "1 left out");
    assert!(hasty.store(1, NOW).is_err(), "out of order");
    assert_eq!(flow.stored_count(), 1);
}

#[test]
fn unordered_and_latest() {
    let mut reliable = flow(Kind::Reliable, false);
    reliable.hand(handed(1, 2, b"c")).unwrap();
    reliable.hand(handed(1, 0, b"a")).unwrap();
    assert!(reliable.hand(handed(1, 2, b"c")).is_err(), "twice");
    let mut latest = flow(Kind::Latest, false);
    latest.hand(handed(1, 1, b"b")).unwrap();
    assert!(latest.clone().hand(handed(2, 0, b"a")).is_err(), "an older value after a newer");
    assert!(latest.clone().hand(handed(1, 1, b"b")).is_err(), "twice in one session");
    latest.clone().hand(handed(2, 1, b"b")).unwrap();
    assert_eq!(latest.fates(NOW), Fates { accepted: 3, delivered: 1, superseded: 1, open: 1, ..Fates::default() });
}

#[test]
fn deadlines() {
    let mut flow = Flow::new(Mode { kind: Kind::Ordered, durable: false });
    let late = Instant::from_millis(9);
    for (seq, deadline) in [Instant::from_millis(4), late, late].into_iter().enumerate() {
        flow.accept(seq as u64, b"x", Some(deadline)).unwrap();
    }
    assert!(flow.clone().hand(handed(1, 0, b"x")).is_err(), "too late");
    flow.clone()
        .hand(Handed { doubt: Doubt { late: Duration::from_millis(1), ..Doubt::default() }, ..handed(1, 0, b"x") })
        .unwrap();
    flow.hand(handed(1, 1, b"x")).unwrap();
    let fates = Fates { accepted: 3, delivered: 1, expired: 1, open: 1, ..Fates::default() };
    assert_eq!(flow.fates(NOW), fates);
    assert_eq!(flow.fates(late), Fates { expired: 2, open: 0, ..fates });
}

#[test]
fn epochs() {
    let (stream, epoch) = (CHANNEL.live(), StreamEpoch::new(1).unwrap());
    let mut oracle = Oracle::new(&[ChannelConfig::durable(CHANNEL, SCHEMA)], &[]);
    oracle.up(stream).unwrap().accept(0, b"a", None).unwrap();
    assert!(oracle.received(stream, epoch).is_err(), "an epoch of nobody");
    oracle.opened(stream, epoch).unwrap();
    oracle.received(stream, epoch).unwrap().hand(handed(1, 0, b"a")).unwrap();
    oracle.stored(stream, epoch, SeqNo::ZERO, NOW).unwrap();
    assert_eq!((oracle.accepted_count(), oracle.stored_count()), (1, 1));
    assert!(oracle.down(1, stream).is_err(), "no such channel");
    oracle.device_rebooted();
    assert!(oracle.opened(stream, epoch).is_err(), "an epoch used twice");
    assert_eq!((oracle.accepted_count(), oracle.stored_count(), oracle.stored_ever()), (0, 0, 1));
}
