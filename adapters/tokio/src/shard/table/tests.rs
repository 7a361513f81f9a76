use core::net::SocketAddr;

use whimbrel_core::{
    Admission, ChannelConfig, ChannelId, Config, Hello, Identity, PathId, SchemaId, SeqNo, StreamAdmission, StreamEpoch,
};

use super::*;
use crate::limits::{Limits, PrefixLengths, Seats, Time};

fn path() -> Path {
    Path { peer: SocketAddr::from(([127, 0, 0, 1], 1)), local: None }
}

/// A device's request; the seed makes its nonce.
fn hello(name: &str, seed: u8) -> Vec<u8> {
    let identity = Identity::insecure_plain(DeviceId::new(name.as_bytes()).unwrap(), 0);
    let channels = [ChannelConfig::durable(ChannelId::new(1).unwrap(), SchemaId(1))];
    let config = Config::default();
    let mut device = Session::connect(&config, identity, &channels, [seed; 32], GatewayMemory::new()).unwrap();
    let mut bytes = vec![0; 1452];
    let sent = device.poll_transmit(Instant::ZERO, &mut bytes).expect("a device begins with a request");
    bytes.truncate(sent.len);
    bytes
}

fn found(table: &mut Table, bytes: &[u8]) -> Found {
    table.find(Hello::parse(bytes).unwrap().claim())
}

fn ask(table: &mut Table, bytes: &[u8]) -> SessionKey {
    let device = Hello::parse(bytes).unwrap().device();
    let seat = Seats::new(1).take(PrefixLengths { v4: 32, v6: 64 }.of(path().peer.ip()), false).unwrap();
    table.ask(device, path(), Request::Plain(bytes.to_vec()), seat)
}

/// Answers the question with a session. Returns its place and that of the one it replaces.
fn open(table: &mut Table, key: SessionKey) -> (usize, Option<usize>) {
    let (_, request) = table.take_question(key).unwrap();
    let hello = request.offer().unwrap();
    let admit = |id| StreamAdmission { id, epoch: StreamEpoch::new(1).unwrap(), next: SeqNo::ZERO };
    let streams: Vec<_> = hello.streams().map(|offer| admit(offer.id)).collect();
    let index = key.index as usize;
    let cid = table.layout().make(0, index, 7);
    let config = Config::default();
    let admission = Admission { streams: &streams };
    let session =
        Session::accept(&config, &hello, &admission, cid, &[], [9; 32], GatewayMemory::new(), Instant::ZERO, PathId(0));
    let entry = Entry {
        session: session.unwrap(),
        key,
        device: hello.device(),
        counter: request.counter(),
        gateway_key_id: None,
        cid,
        paths: Paths::new(path()),
        durable: 0,
        live: false,
        dirty: false,
        deferred: false,
        leaving: false,
        cut: false,
        waits: false,
        limited: None,
        allowance: Allowance::new(&Limits::default(), &Time::default()),
        waiting: Waiting::new(1),
        seat: None,
        armed: None,
        repeat_at: Instant::ZERO,
        heard: Instant::ZERO,
        counted: Stats::default(),
    };
    (index, table.open_pending(index, entry))
}

#[test]
fn a_handshake_from_question_to_live_session() {
    let mut table = Table::new(0, 1, 10, 10);
    let first = hello("a", 1);
    assert!(matches!(found(&mut table, &first), Found::New));
    let key = ask(&mut table, &first);
    assert!(matches!(found(&mut table, &first), Found::Asking));
    assert!(matches!(found(&mut table, &hello("a", 2)), Found::Asking));
    assert!(table.entry_of(key).is_none());

    let (index, replaced) = open(&mut table, key);
    assert_eq!(replaced, None);
    assert!(matches!(found(&mut table, &first), Found::Session(i) if i == index));
    assert_eq!((table.pending(), table.established()), (1, 0));
    assert_eq!(table.promote(index), None);
    assert_eq!((table.pending(), table.established()), (0, 1));
    assert!(table.entry_of(key).is_some_and(|(i, _)| i == index));
    // A repeat of the request still finds it: its answer may have been lost.
    assert!(matches!(found(&mut table, &first), Found::Session(i) if i == index));

    assert!(table.remove(index).is_some());
    assert!(table.remove(index).is_none());
    assert!(table.is_empty() && table.devices.is_empty());
}

#[test]
fn a_newer_session_stands_beside_the_live_one_until_it_is_established() {
    let mut table = Table::new(0, 1, 10, 10);
    let (live, _) = {
        let key = ask(&mut table, &hello("a", 1));
        open(&mut table, key)
    };
    table.promote(live);
    let key = ask(&mut table, &hello("a", 2));
    let (second, replaced) = open(&mut table, key);
    assert_eq!((replaced, table.pending(), table.established()), (None, 1, 1));
    // The device gave that one up and asked again.
    let key = ask(&mut table, &hello("a", 3));
    let (third, replaced) = open(&mut table, key);
    assert_eq!(replaced, Some(second));
    table.remove(second);
    assert!(matches!(found(&mut table, &hello("a", 3)), Found::Session(i) if i == third));
    assert_eq!(table.promote(third), Some(live));
    table.remove(live);
    assert!(matches!(found(&mut table, &hello("a", 3)), Found::Session(i) if i == third));
    assert_eq!((table.pending(), table.established()), (0, 1));
}

#[test]
fn a_full_table_lets_only_known_devices_begin_again() {
    let mut table = Table::new(0, 1, 1, 1);
    let key = ask(&mut table, &hello("a", 1));
    assert!(matches!(found(&mut table, &hello("b", 1)), Found::Full));
    let (index, _) = open(&mut table, key);
    assert!(matches!(found(&mut table, &hello("b", 1)), Found::Full));
    table.promote(index);
    assert!(matches!(found(&mut table, &hello("b", 1)), Found::Full));
    assert!(matches!(found(&mut table, &hello("a", 2)), Found::New));
    table.remove(index);
    assert!(matches!(found(&mut table, &hello("b", 1)), Found::New));
}

#[test]
fn a_place_is_not_mistaken_for_its_former_holder() {
    let mut table = Table::new(0, 1, 10, 10);
    let old = ask(&mut table, &hello("a", 1));
    table.drop_question(old.index as usize);
    assert!(table.is_empty() && table.devices.is_empty());
    let new = ask(&mut table, &hello("b", 1));
    assert_eq!(old.index, new.index);
    assert!(table.take_question(old).is_none());
    open(&mut table, new);
    assert!(table.entry_of(old).is_none());
    assert!(table.entry_of(new).is_some());
}
