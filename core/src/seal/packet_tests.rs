//! Two ends that send, lose, reorder, sleep and change keys, beside a model that knows which key is which.

extern crate std;

use std::collections::{BTreeSet, HashSet};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Bytes of a snapshot that count failures.
const FAILURES: usize = 4;
const HEADER: usize = 9;

fn pair() -> [SealedKeys; 2] {
    let keys = TransportKeys { to_gateway: Secret::new([1; 32]), to_device: Secret::new([2; 32]) };
    [SealedKeys::new(keys.clone(), Direction::ToGateway), SealedKeys::new(keys, Direction::ToDevice)]
}

/// A packet: phase and number in the header, then frames.
fn packet(keys: &mut SealedKeys, pn: u64, frames: &[u8]) -> Option<Vec<u8>> {
    let mut packet = vec![u8::from(keys.phase())];
    packet.extend(pn.to_le_bytes());
    packet.extend(frames);
    packet.extend([0; TAG]);
    keys.seal(PacketNumber::new(pn), HEADER, &mut packet)?;
    Some(packet)
}

/// The frames, if it opens.
fn open(keys: &mut SealedKeys, packet: &mut [u8]) -> Result<(Generation, Vec<u8>), Unopened> {
    let (phase, rest) = packet.split_first().unwrap();
    let (phase, pn) = (phase & 1 != 0, u64::from_le_bytes(*rest.first_chunk().unwrap()));
    let generation = keys.open(PacketNumber::new(pn), phase, HEADER, packet)?;
    Ok((generation, packet[HEADER..packet.len() - TAG].to_vec()))
}

/// One packet on its way, and what the model knows of it.
#[derive(Clone, Debug)]
struct Sent {
    pn: u64,
    generation: u32,
    /// The largest number that its sender had opened.
    acked: Option<u64>,
    frames: Vec<u8>,
    bytes: Vec<u8>,
}

/// One end, with a replay window as sessions have it.
struct End {
    keys: SealedKeys,
    next_pn: u64,
    /// How often its own key was changed, and the key that it opens with.
    send_generation: u32,
    receive_generation: u32,
    /// Whether it kept the key before that.
    has_previous: bool,
    seen: BTreeSet<u64>,
    largest: Option<u64>,
    largest_acked: Option<u64>,
}

impl End {
    fn new(keys: SealedKeys) -> Self {
        Self {
            keys,
            next_pn: 0,
            send_generation: 0,
            receive_generation: 0,
            has_previous: false,
            seen: BTreeSet::new(),
            largest: None,
            largest_acked: None,
        }
    }

    fn may_pass_window(&self, pn: u64) -> bool {
        let fresh = self.largest.is_none_or(|largest| pn + WINDOW > largest);
        fresh && !self.seen.contains(&pn)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Send(usize, Vec<u8>),
    /// So many packets arrive at once, one after the other.
    Burst(usize, u16),
    Deliver(usize, Index),
    Lose(usize, Index),
    /// A copy arrives with one bit changed.
    Corrupt(usize, Index, Index, u8),
    Update(usize),
    UpdateBoth,
    Sleep(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let side = 0..2usize;
    let op = prop_oneof![
        4 => (side.clone(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(side, frames)| Op::Send(side, frames)),
        3 => (side.clone(), 1..300u16).prop_map(|(side, count)| Op::Burst(side, count)),
        4 => (side.clone(), any::<Index>()).prop_map(|(side, at)| Op::Deliver(side, at)),
        1 => (side.clone(), any::<Index>()).prop_map(|(side, at)| Op::Lose(side, at)),
        2 => (side.clone(), any::<Index>(), any::<Index>(), 0..8u8)
            .prop_map(|(side, at, byte, bit)| Op::Corrupt(side, at, byte, bit)),
        3 => side.clone().prop_map(Op::Update),
        1 => Just(Op::UpdateBoth),
        1 => side.prop_map(Op::Sleep),
    ];
    prop::collection::vec(op, 1..80)
}

struct World {
    ends: [End; 2],
    /// By sender.
    on_the_way: [Vec<Sent>; 2],
    /// Every key with every number that it sealed.
    used: HashSet<([u8; 32], u64)>,
    updates: u32,
}

impl World {
    fn new() -> Self {
        Self { ends: pair().map(End::new), on_the_way: [vec![], vec![]], used: HashSet::new(), updates: 0 }
    }

    fn send(&mut self, side: usize, frames: Vec<u8>) -> Sent {
        let end = &mut self.ends[side];
        let pn = end.next_pn;
        end.next_pn += 1;
        let bytes = packet(&mut end.keys, pn, &frames).unwrap();
        assert!(self.used.insert((*end.keys.send.expose(), pn)), "key and number twice");
        Sent { pn, generation: end.send_generation, acked: end.largest, frames, bytes }
    }

    /// Arrival: the model says what must come of it.
    fn deliver(&mut self, side: usize, sent: &Sent) {
        let end = &mut self.ends[1 - side];
        if !end.may_pass_window(sent.pn) {
            return;
        }
        let mut bytes = sent.bytes.clone();
        let opened = open(&mut end.keys, &mut bytes);
        let expected = match sent.generation.checked_sub(end.receive_generation) {
            Some(0) => Generation::Current,
            Some(1) => Generation::Next,
            Some(more) => panic!("{more} generations ahead"),
            None if sent.generation + 1 == end.receive_generation && end.has_previous => Generation::Previous,
            None => {
                // Only a sleep forgets a key whose packets may still come.
                assert!(!end.has_previous, "{} {}", sent.generation, end.receive_generation);
                assert!(matches!(opened, Err(Unopened::NoKey | Unopened::NotAuthentic)), "{opened:?}");
                assert_eq!(bytes, sent.bytes);
                return;
            }
        };
        assert_eq!(opened, Ok((expected, sent.frames.clone())));
        if expected == Generation::Next {
            end.receive_generation += 1;
            end.has_previous = true;
            end.send_generation = end.send_generation.max(end.receive_generation);
        }
        end.seen.insert(sent.pn);
        end.largest = end.largest.max(Some(sent.pn));
        end.largest_acked = end.largest_acked.max(sent.acked);
    }

    fn corrupt(&mut self, side: usize, sent: &Sent, byte: Index, bit: u8) {
        let end = &mut self.ends[1 - side];
        let mut bytes = sent.bytes.clone();
        let at = byte.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let (before, changed) = (end.keys.to_bytes(), bytes.clone());
        // Bits 1 to 7 of the first byte mean nothing here, and are authentic all the same.
        assert!(open(&mut end.keys, &mut bytes).is_err());
        assert_eq!(bytes, changed);
        // Failures are counted; nothing else has changed.
        let keys = SealedKeys::SNAPSHOT - FAILURES;
        assert_eq!(before[..keys], end.keys.to_bytes()[..keys]);
    }

    fn update(&mut self, side: usize) {
        let end = &mut self.ends[side];
        if end.keys.may_update(end.largest_acked.map(PacketNumber::new)) {
            assert_eq!(end.send_generation, end.receive_generation);
            end.keys.update();
            end.send_generation += 1;
            self.updates += 1;
        }
    }

    fn sleep(&mut self, side: usize) {
        let end = &mut self.ends[side];
        end.keys = SealedKeys::from_bytes(&end.keys.to_bytes()).unwrap();
        end.has_previous = false;
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Send(side, frames) => {
                let sent = self.send(side, frames);
                self.on_the_way[side].push(sent);
            }
            Op::Burst(side, count) => {
                for at in 0..count {
                    let sent = self.send(side, at.to_le_bytes().to_vec());
                    self.deliver(side, &sent);
                }
            }
            Op::Deliver(side, at) if !self.on_the_way[side].is_empty() => {
                let at = at.index(self.on_the_way[side].len());
                let sent = self.on_the_way[side].swap_remove(at);
                self.deliver(side, &sent);
            }
            Op::Lose(side, at) if !self.on_the_way[side].is_empty() => {
                let at = at.index(self.on_the_way[side].len());
                self.on_the_way[side].swap_remove(at);
            }
            Op::Corrupt(side, at, byte, bit) if !self.on_the_way[side].is_empty() => {
                let at = at.index(self.on_the_way[side].len());
                let sent = self.on_the_way[side][at].clone();
                self.corrupt(side, &sent, byte, bit);
            }
            Op::Deliver(..) | Op::Lose(..) | Op::Corrupt(..) => {}
            Op::Update(side) => self.update(side),
            Op::UpdateBoth => {
                self.update(0);
                self.update(1);
            }
            Op::Sleep(side) => self.sleep(side),
        }
        for (end, peer) in [(0, 1), (1, 0)] {
            let (end, peer) = (&self.ends[end], &self.ends[peer]);
            assert_eq!(end.keys.send_phase, end.send_generation % 2 == 1);
            assert!(end.send_generation - end.receive_generation <= 1);
            assert!(peer.receive_generation <= end.send_generation);
            assert!(!end.has_previous || end.receive_generation > 0);
            assert_ne!(end.keys.send, end.keys.receive);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every packet within the window opens with the one key that is right, whatever was lost, reordered or changed
    /// meanwhile; no other opens; no key meets a number twice.
    #[test]
    fn every_packet_opens_with_its_key(ops in ops()) {
        let mut world = World::new();
        for op in ops {
            world.step(op);
        }
        // In the end both ends have one key for each direction, when they have heard of each other.
        for _ in 0..2 {
            world.step(Op::Burst(0, 1));
            world.step(Op::Burst(1, 1));
        }
        let [device, gateway] = &world.ends;
        prop_assert_eq!(&device.keys.send, &gateway.keys.receive);
        prop_assert_eq!(&gateway.keys.send, &device.keys.receive);
        prop_assert_eq!(device.send_generation, gateway.send_generation);
    }
}

/// The keys after each other are those of Noise's REKEY, and both ends change as often as they may.
#[test]
fn keys_change_at_both_ends_again_and_again() {
    let mut world = World::new();
    for round in 1..=6 {
        world.step(Op::Burst(0, 300));
        world.step(Op::Burst(1, 300));
        world.step(Op::Burst(0, 300));
        // Both at once in every third round.
        match round % 3 {
            0 => world.step(Op::UpdateBoth),
            side => world.step(Op::Update(side - 1)),
        }
        assert!(world.updates as usize >= round);
        let secret = world.ends[0].keys.send.clone();
        world.step(Op::Burst(0, 1));
        world.step(Op::Burst(1, 1));
        world.step(Op::Burst(0, 1));
        for end in &world.ends {
            assert_eq!((end.send_generation as usize, end.receive_generation as usize), (round, round));
        }
        let known = [Some(secret.clone()), aead::rekey(&secret)];
        assert!(known.contains(&Some(world.ends[0].keys.send.clone())));
    }
}

#[test]
fn an_old_packet_opens_until_the_window_forgets_it() {
    let mut world = World::new();
    world.step(Op::Burst(0, 300));
    world.step(Op::Burst(1, 1));
    let late: Vec<_> = (0..2).map(|at| world.send(0, vec![at])).collect();
    world.step(Op::Update(0));
    assert_eq!(world.updates, 1);
    world.step(Op::Burst(0, 100));
    world.deliver(0, &late[0]);
    assert!(world.ends[1].keys.previous.is_some());
    world.step(Op::Burst(0, 157));
    assert!(world.ends[1].keys.previous.is_none());
    // Its window is over too: a session drops it for its number. Here it meets no key.
    assert!(!world.ends[1].may_pass_window(late[1].pn));
    let mut bytes = late[1].bytes.clone();
    assert_eq!(open(&mut world.ends[1].keys, &mut bytes), Err(Unopened::NoKey));
    assert_eq!(bytes, late[1].bytes);
}

#[test]
fn no_update_before_the_present_key_was_acknowledged() {
    let mut world = World::new();
    world.step(Op::Burst(0, 300));
    // Nothing was acknowledged: the gateway has said nothing.
    assert!(!world.ends[0].keys.may_update(None));
    world.step(Op::Burst(1, 1));
    assert!(world.ends[0].keys.may_update(world.ends[0].largest_acked.map(PacketNumber::new)));
    world.step(Op::Update(0));
    // The gateway has not followed, whatever is acknowledged.
    world.step(Op::Burst(0, 300));
    assert!(!world.ends[0].keys.may_update(Some(PacketNumber::new(599))));
    world.step(Op::Burst(1, 1));
    assert!(!world.ends[0].keys.may_update(Some(PacketNumber::new(300 + 255))));
}

#[test]
fn an_update_is_due_after_so_many_packets() {
    let [mut device, _] = pair();
    let last = packet(&mut device, UPDATE_EVERY - 2, &[]);
    assert!(last.is_some() && !device.is_update_due());
    packet(&mut device, UPDATE_EVERY - 1, &[]).unwrap();
    assert!(device.is_update_due());
    device.update();
    assert!(!device.is_update_due());
    // Also over a sleep.
    packet(&mut device, 2 * UPDATE_EVERY - 2, &[]).unwrap();
    let mut device = SealedKeys::from_bytes(&device.to_bytes()).unwrap();
    assert!(!device.is_update_due() && device.phase());
    packet(&mut device, 2 * UPDATE_EVERY - 1, &[]).unwrap();
    assert!(device.is_update_due());
}

// RFC 9001 section 6.6: at the integrity limit nothing is opened any more.
#[test]
fn failures_make_an_update_due_and_then_end_the_session() {
    let [mut device, mut gateway] = pair();
    let good = packet(&mut device, 0, b"reading").unwrap();
    let mut forged = good.clone();
    forged[HEADER] ^= 1;

    gateway.failures = FAILURES_MAX / 2 - 1;
    assert!(!gateway.is_update_due());
    assert_eq!(open(&mut gateway, &mut forged), Err(Unopened::NotAuthentic));
    assert!(gateway.is_update_due());
    gateway.update();
    assert!(!gateway.is_update_due());

    gateway.failures = FAILURES_MAX - 2;
    assert_eq!(open(&mut gateway, &mut forged), Err(Unopened::NotAuthentic));
    assert!(!gateway.is_exhausted());
    assert!(open(&mut gateway, &mut good.clone()).is_ok());
    assert_eq!(open(&mut gateway, &mut forged), Err(Unopened::NotAuthentic));
    assert!(gateway.is_exhausted());
    assert_eq!(open(&mut gateway, &mut good.clone()), Err(Unopened::Exhausted));

    // A sleep does not forgive.
    assert!(SealedKeys::from_bytes(&gateway.to_bytes()).unwrap().is_exhausted());
    gateway.failures = 1;
    assert_eq!(SealedKeys::from_bytes(&gateway.to_bytes()).unwrap().failures, FAILURES_STEP);
}

#[test]
fn a_number_is_sealed_once() {
    let [mut device, _] = pair();
    assert!(packet(&mut device, 7, b"first").is_some());
    for pn in [7, 6, 0] {
        assert_eq!(packet(&mut device, pn, b"other"), None);
    }
    let mut device = SealedKeys::from_bytes(&device.to_bytes()).unwrap();
    assert_eq!(packet(&mut device, 7, b"other"), None);
    assert!(packet(&mut device, 8, b"next").is_some());
}

#[test]
fn what_has_no_room_for_header_and_tag_is_refused() {
    let [mut device, mut gateway] = pair();
    for len in 0..HEADER + TAG {
        let mut bytes = vec![0; len];
        assert_eq!(device.seal(PacketNumber::new(0), HEADER, &mut bytes), None);
        assert_eq!(gateway.open(PacketNumber::new(0), false, HEADER, &mut bytes), Err(Unopened::TooShort));
    }
    let mut bytes = vec![0; HEADER + TAG];
    assert_eq!(device.seal(PacketNumber::new(0), HEADER, &mut bytes), Some(()));
    assert_eq!(gateway.open(PacketNumber::new(0), false, HEADER, &mut bytes), Ok(Generation::Current));
}

#[test]
fn each_direction_has_its_key() {
    let [mut device, mut gateway] = pair();
    let mut mine = packet(&mut device, 0, b"reading").unwrap();
    assert_eq!(open(&mut device, &mut mine), Err(Unopened::NotAuthentic));
    assert_eq!(open(&mut gateway, &mut mine), Ok((Generation::Current, b"reading".to_vec())));
}
