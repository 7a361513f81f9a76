//! The reorder buffer and the assembly against sets of numbers.

extern crate std;
use super::super::assembly::AssemblyState;
use super::*;
use crate::seq::Position;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::{vec, vec::Vec};

const SLOTS: usize = 3;
const SLOT_LEN: usize = 8;
const WINDOW: u64 = 8;
const ASSEMBLY: usize = 32;
/// Payload of every fragment but the last.
const UNIT: usize = 9;
const MODES: [Delivery; 3] = [Delivery::Ordered, Delivery::Reliable, Delivery::Latest];

#[derive(Clone, Debug)]
enum Op {
    /// Message `next + ahead - 2` comes, or a fragment of it.
    Insert {
        stream: usize,
        ahead: u64,
        part: u8,
    },
    HandOn {
        stream: usize,
        ahead: u64,
    },
    Take(usize),
    Forward {
        stream: usize,
        ahead: u64,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        5 => (0usize..3, 0..WINDOW + 4, any::<u8>()).prop_map(|(stream, ahead, part)| Op::Insert { stream, ahead, part }),
        3 => (0usize..2, 0..WINDOW + 4).prop_map(|(stream, ahead)| Op::HandOn { stream, ahead }),
        3 => (0usize..3).prop_map(Op::Take),
        1 => (0usize..2, 0u64..12).prop_map(|(stream, ahead)| Op::Forward { stream, ahead }),
    ];
    prop::collection::vec(op, 1..100)
}

/// The message of that number: its length and bytes follow from it.
fn message(stream: usize, seq: u64) -> Vec<u8> {
    let len = [0, 5, SLOT_LEN, SLOT_LEN + 1, 2 * UNIT + 4, 3, 1][(seq % 7) as usize];
    let len = if stream == 2 { len.min(SLOT_LEN) } else { len };
    (0..len).map(|at| (seq as u8).wrapping_mul(17).wrapping_add((stream * 64 + at) as u8)).collect()
}

/// When it expires: told apart by its number.
fn expiry(seq: u64) -> Instant {
    Instant::from_micros(1_000 + seq)
}

/// A stream as the sets have it.
#[derive(Debug, Default)]
struct Stream {
    next: u64,
    forward: u64,
    lacked: u32,
    /// In slots, or complete in the assembly.
    kept: BTreeSet<u64>,
    /// Handed on, but not all below.
    taken: BTreeSet<u64>,
}

impl Stream {
    fn settle(&mut self) {
        while self.taken.remove(&self.next) {
            self.next += 1;
        }
    }

    fn skip_to(&mut self, point: u64) {
        while self.next < point {
            self.lacked += u32::from(!self.taken.remove(&self.next));
            self.next += 1;
        }
    }

    /// The message to hand on next.
    fn available(&self, mode: Delivery) -> Option<u64> {
        let first = *self.kept.first()?;
        let missing = (self.next..first).filter(|seq| !self.taken.contains(seq)).any(|seq| seq >= self.forward);
        (mode != Delivery::Ordered || !missing).then_some(first)
    }
}

/// The message being put together.
#[derive(Debug)]
struct Parts {
    stream: usize,
    seq: u64,
    have: BTreeSet<u8>,
}

struct Model {
    state: ReorderState,
    streams: Vec<ReceiveStream>,
    index: Vec<u16>,
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    assembly: AssemblyState,
    assembly_bytes: Vec<u8>,
    sets: [Stream; 3],
    parts: Option<Parts>,
}

impl Model {
    fn new(first: u64) -> Self {
        let stream = |delivery| {
            let first = SeqNo::new(first);
            ReceiveStream {
                delivery,
                next: first,
                highest: Position::of(first),
                forward: first,
                ..ReceiveStream::EMPTY
            }
        };
        let (mut slots, mut index) = (vec![Slot::EMPTY; SLOTS], vec![0; 3 * WINDOW as usize]);
        let set = || Stream { next: first, forward: first, ..Stream::default() };
        Self {
            state: ReorderState::new(&mut slots, &mut index),
            streams: MODES.map(stream).to_vec(),
            index,
            slots,
            bytes: vec![0; SLOTS * SLOT_LEN],
            assembly: AssemblyState::EMPTY,
            assembly_bytes: vec![0; ASSEMBLY],
            sets: [set(), set(), set()],
            parts: None,
        }
    }

    fn reorder(&mut self) -> Reorder<'_> {
        Reorder {
            state: &mut self.state,
            streams: &mut self.streams,
            index: &mut self.index,
            slots: &mut self.slots,
            bytes: &mut self.bytes,
            assembly: Assembly { state: &mut self.assembly, bytes: &mut self.assembly_bytes },
            window: WINDOW as usize,
        }
    }

    fn slots_used(&self) -> usize {
        let short = |stream: usize| move |seq: &&u64| message(stream, **seq).len() <= SLOT_LEN;
        (0..3).map(|stream| self.sets[stream].kept.iter().filter(short(stream)).count()).sum()
    }

    /// What the sets say of a message that comes, before it is looked at where it could wait.
    fn expected(&self, stream: usize, seq: u64) -> Result<(), Placed> {
        let set = &self.sets[stream];
        if seq < set.next || set.kept.contains(&seq) || set.taken.contains(&seq) {
            Err(Placed::Duplicate)
        } else if seq >= set.next + WINDOW {
            Err(Placed::NoRoom)
        } else {
            Ok(())
        }
    }

    fn insert(&mut self, stream: usize, seq: u64, part: u8) {
        let payload = message(stream, seq);
        let (number, expires) = (SeqNo::new(seq), expiry(seq));
        let pieces = payload.len().div_ceil(UNIT) as u8;
        let known = self.expected(stream, seq);
        if payload.len() > 2 * UNIT {
            let part = part % pieces;
            let piece = payload.chunks(UNIT).nth(part.into()).unwrap();
            let placed = self.reorder().insert_fragment(stream, number, (part, pieces), piece, expires);
            assert_eq!(placed, known.map_or_else(|placed| placed, |()| self.add_part(stream, seq, part, pieces)));
            return;
        }
        let fits = payload.len() <= SLOT_LEN;
        let placed = self.reorder().insert(stream, number, &payload, expires);
        let expected = match known {
            Err(placed) => placed,
            Ok(()) if fits && self.slots_used() < SLOTS => {
                self.sets[stream].kept.insert(seq);
                Placed::Stored
            }
            Ok(()) if fits => Placed::NoRoom,
            Ok(()) => self.add_part(stream, seq, 0, 1),
        };
        assert_eq!(placed, expected);
    }

    fn add_part(&mut self, stream: usize, seq: u64, part: u8, pieces: u8) -> Placed {
        let parts = self.parts.get_or_insert_with(|| Parts { stream, seq, have: BTreeSet::new() });
        if (parts.stream, parts.seq) != (stream, seq) {
            return Placed::NoRoom;
        }
        if !parts.have.insert(part) {
            return Placed::Duplicate;
        }
        if parts.have.len() == usize::from(pieces) {
            self.sets[stream].kept.insert(seq);
        }
        Placed::Stored
    }

    /// Parts of a message that the sender gave up go.
    fn drop_parts(&mut self, stream: usize) {
        let (next, kept) = (self.sets[stream].next, &self.sets[stream].kept);
        let gone = |parts: &Parts| parts.stream == stream && parts.seq < next && !kept.contains(&parts.seq);
        self.parts = self.parts.take().filter(|parts| !gone(parts));
    }

    fn insert_latest(&mut self, seq: u64) {
        let stream = 2;
        let payload = message(stream, seq);
        let (placed, replaced) = self.reorder().insert_latest(stream, SeqNo::new(seq), &payload, expiry(seq));
        let older = !self.sets[stream].kept.is_empty();
        self.sets[stream].kept.clear();
        let room = self.slots_used() < SLOTS;
        assert_eq!((placed, replaced), (if room { Placed::Stored } else { Placed::NoRoom }, older));
        if room {
            self.sets[stream].kept.insert(seq);
            self.sets[stream].next = seq + 1;
        }
    }

    fn hand_on(&mut self, stream: usize, seq: u64) {
        let handed = self.reorder().hand_on(stream, SeqNo::new(seq));
        assert_eq!(handed, self.expected(stream, seq));
        if handed.is_ok() {
            self.sets[stream].taken.insert(seq);
            self.sets[stream].settle();
        }
    }

    fn take(&mut self, stream: usize) {
        let expected = self.sets[stream].available(MODES[stream]);
        let got = self.reorder().next_waiting(stream);
        assert_eq!(got.map(|(seq, _)| seq.value()), expected);
        let set = &mut self.sets[stream];
        match got {
            Some((seq, waiting)) => {
                let seq = seq.value();
                set.kept.remove(&seq);
                if stream != 2 {
                    if stream == 0 {
                        set.skip_to(seq);
                    }
                    set.taken.insert(seq);
                    set.settle();
                    self.drop_parts(stream);
                }
                self.check_message(stream, seq, waiting);
            }
            None => {
                // As the session does.
                self.state.deliverable &= !(1 << stream);
                if set.forward > set.next && stream != 2 {
                    set.skip_to(set.forward);
                    set.settle();
                    self.drop_parts(stream);
                }
            }
        }
    }

    fn check_message(&mut self, stream: usize, seq: u64, waiting: Waiting) {
        let reorder = self.reorder();
        match waiting {
            Waiting::Slot(slot) => {
                assert_eq!(reorder.payload(slot), message(stream, seq));
                assert_eq!(reorder.expires(slot), expiry(seq));
                self.reorder().free(slot);
            }
            Waiting::Assembled => {
                assert_eq!(reorder.assembly.payload(), message(stream, seq));
                assert_eq!(reorder.assembly.state.expires, expiry(seq));
                self.reorder().assembly.free();
                self.parts = None;
            }
        }
    }

    fn forward(&mut self, stream: usize, point: u64) {
        let (set, owner) = (&mut self.sets[stream], &mut self.streams[stream]);
        set.forward = set.forward.max(point);
        owner.forward = owner.forward.max(SeqNo::new(point));
        if set.kept.range(..set.forward).next().is_none() {
            set.skip_to(set.forward);
            set.settle();
            self.drop_parts(stream);
        }
        self.reorder().skip_given_up(stream);
    }

    fn check(&mut self) {
        for (stream, mode) in MODES.into_iter().enumerate() {
            let (set, owner) = (&self.sets[stream], self.streams[stream]);
            assert_eq!((owner.next.value(), owner.lacked), (set.next, set.lacked), "{set:?}");
            let woken = self.state.deliverable & (1 << stream) != 0;
            assert!(woken || set.available(mode).is_none(), "asleep on {set:?}");
            if stream != 2 {
                for seq in set.next..set.next + WINDOW + 1 {
                    let missing = self.expected(stream, seq).is_ok();
                    assert_eq!(self.reorder().is_missing(stream, SeqNo::new(seq)), missing);
                }
            }
        }
        let mut free = 0;
        let mut slot = self.state.free;
        while slot != NONE {
            free += 1;
            assert!(free <= SLOTS, "the free list bites its tail");
            slot = self.slots[usize::from(slot)].next_free;
        }
        assert_eq!(free + self.slots_used(), SLOTS, "a slot is lost");
    }
}

proptest! {
    #[test]
    fn keeps_what_sets_would_keep(ops in ops(), first in 0u64..100) {
        let mut model = Model::new(first);
        model.check();
        for op in ops {
            let place = |model: &Model, stream: usize, ahead: u64| (model.sets[stream].next + ahead).saturating_sub(2);
            match op {
                Op::Insert { stream: 2, ahead, .. } => {
                    let seq = model.sets[2].next + ahead % 3;
                    model.insert_latest(seq);
                }
                Op::Insert { stream, ahead, part } => {
                    let seq = place(&model, stream, ahead);
                    model.insert(stream, seq, part);
                }
                Op::HandOn { stream, ahead } => {
                    // On an ordered stream only what is in turn is handed on from its packet.
                    let seq = if stream == 0 { model.sets[0].next } else { place(&model, stream, ahead) };
                    // One in fragments never is.
                    if message(stream, seq).len() <= 2 * UNIT {
                        model.hand_on(stream, seq);
                    }
                }
                Op::Take(stream) => model.take(stream),
                Op::Forward { stream, ahead } => {
                    let point = model.sets[stream].next + ahead;
                    model.forward(stream, point);
                }
            }
            model.check();
        }
    }

    // Fragments in any order and any number of times make the message; others do not disturb it.
    #[test]
    fn fragments_make_the_message(
        order in Just((0u8..6).collect::<Vec<_>>()).prop_shuffle(), count in 1u8..7, unit in 1usize..6, last in 0usize..6,
        other: u8,
    ) {
        let last = last.min(unit);
        let len = usize::from(count - 1) * unit + last;
        let message: Vec<u8> = (0..len).map(|at| at as u8 + 1).collect();
        let (mut state, mut bytes) = (AssemblyState::EMPTY, vec![0; 36]);
        let mut assembly = Assembly { state: &mut state, bytes: &mut bytes };
        let (seq, later) = (SeqNo::new(5), SeqNo::new(6));
        for (done, index) in order.into_iter().filter(|index| *index < count).enumerate() {
            prop_assert!(!assembly.is_complete());
            let start = usize::from(index) * unit;
            let part = &message[start..(start + unit).min(len)];
            prop_assert_eq!(assembly.place(1, seq, (index, count), part, expiry(u64::from(index))), Placed::Stored);
            prop_assert_eq!(assembly.place(1, seq, (index, count), part, expiry(0)), Placed::Duplicate);
            for (stream, seq, fragment) in [(2, seq, (other, count)), (1, later, (other, count)), (1, seq, (0, count + 1))] {
                prop_assert_eq!(assembly.place(stream, seq, fragment, part, expiry(0)), Placed::NoRoom);
            }
            prop_assert_eq!(assembly.place(1, seq, (count, count), part, expiry(0)), Placed::NoRoom);
            prop_assert_eq!(assembly.is_complete(), done + 1 == usize::from(count));
        }
        prop_assert_eq!(assembly.payload(), &message[..]);
        prop_assert_eq!(assembly.place(1, seq, (0, count), &message[..0], expiry(0)), Placed::Duplicate);
        assembly.drop_below(1, SeqNo::new(9));
        prop_assert!(assembly.is_complete(), "complete messages stay");
    }
}

/// The numbers that a NAK in these bytes asks for.
fn asked(bytes: &[u8]) -> Vec<u64> {
    let frame = crate::wire::Frames::new(bytes).next();
    let Some(Ok(crate::wire::Frame::Nak(nak))) = frame else { return Vec::new() };
    nak.missing().map(u64::from).collect()
}

proptest! {
    // Once for each gap, when it has outlasted the tolerance.
    #[test]
    fn what_is_missing_is_asked_for_once(
        arrivals in prop::collection::btree_set(0u64..WINDOW, 1..6), later in prop::collection::btree_set(0u64..WINDOW, 1..6),
        forward in 0u64..4,
    ) {
        let mut model = Model::new(0);
        let tolerance = crate::Duration::from_millis(7);
        let mut known = BTreeSet::new();
        let mut requested = BTreeSet::new();
        for (round, arrivals) in [arrivals, later].into_iter().enumerate() {
            let now = Instant::from_millis(100 * (1 + round as u64));
            for seq in arrivals {
                model.reorder().note_early(1, SeqNo::new(seq), now, tolerance);
                if known.insert(seq) {
                    model.reorder().hand_on(1, SeqNo::new(seq)).unwrap();
                }
            }
            let highest = *known.last().unwrap();
            let next = model.streams[1].next.value();
            model.streams[1].forward = SeqNo::new(forward);
            let wanted = |seq: &u64| *seq >= forward.max(next) && !known.contains(seq) && !requested.contains(seq);
            let missing: Vec<u64> = (0..highest).filter(wanted).collect();
            let mut buf = [0; 40];
            let mut w = crate::wire::Writer::new(&mut buf);
            let just_before = now + crate::Duration::from_micros(6_999);
            prop_assert!(!model.reorder().asks(just_before));
            let due = now + tolerance;
            let asks = model.reorder().asks(due);
            prop_assert!(asks || missing.is_empty());
            model.reorder().put_requests(due, &mut w);
            prop_assert_eq!(asked(w.written()), missing.clone());
            requested.extend(missing);
            prop_assert!(!model.reorder().asks(due + crate::Duration::from_secs(9)), "asked for already");
        }
    }
}

#[test]
fn more_fragments_than_there_are_bits_find_no_room() {
    let (mut state, mut bytes) = (AssemblyState::EMPTY, vec![0; 200]);
    let mut assembly = Assembly { state: &mut state, bytes: &mut bytes };
    for fragment in [(0, 0), (64, 65), (64, 70), (5, 5), (7, 5)] {
        assert_eq!(assembly.place(1, SeqNo::ZERO, fragment, &[1], expiry(0)), Placed::NoRoom, "{fragment:?}");
    }
    assert_eq!(assembly.place(1, SeqNo::ZERO, (63, 64), &[1], expiry(0)), Placed::Stored);
    // Nor does a last one that is longer than the others.
    assembly.free();
    assert_eq!(assembly.place(1, SeqNo::ZERO, (0, 3), &[1; 9], expiry(0)), Placed::Stored);
    assert_eq!(assembly.place(1, SeqNo::ZERO, (2, 3), &[1; 10], expiry(0)), Placed::NoRoom);
    assert_eq!(assembly.place(1, SeqNo::ZERO, (2, 3), &[1; 9], expiry(0)), Placed::Stored);
}
