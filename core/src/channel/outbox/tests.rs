//! The outbox against a naive model: what was accepted, what arrived at a receiver that loses nothing of
//! what reaches it, and lists walked in full after every step.

extern crate std;
use super::*;
use crate::journal::RamState;
use crate::{ChannelConfig, ChannelId, Duration, SchemaId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::{vec, vec::Vec};

mod cases;

const ENTRIES: usize = 9;
/// Payload bytes in a block.
const BLOCK: usize = 30;
const BLOCKS: usize = 14;
/// Streams by mode: durable, ordered, reliable, latest, best effort.
const DURABLE: u8 = 0;
const LATEST: u8 = 3;
const BEST_EFFORT: u8 = 4;
const STREAMS: u8 = 5;
/// The longest payload of a packet here.
const PIECE: usize = 40;
const PRIORITIES: [Priority; 4] = [Priority::Background, Priority::Normal, Priority::High, Priority::Urgent];

#[derive(Clone, Debug)]
enum Op {
    Push {
        stream: u8,
        len: usize,
        priority: usize,
        lifetime: Option<u64>,
    },
    /// A packet of at most so many entries, which arrives or does not.
    Send {
        most: usize,
        arrives: bool,
    },
    Acked(usize),
    Lost(usize),
    /// A request, in a packet that acknowledges up to so many packets before the newest.
    Nak {
        stream: u8,
        seq16: u16,
        before: u64,
    },
    Credit {
        stream: u8,
        more: u64,
    },
    Commit,
    /// FORWARD on every stream that has something to say, and perhaps its answer.
    Forward {
        answered: bool,
    },
    ForwardLost,
    Wait(u64),
    /// A new session, at a peer that stored so many messages less than it has.
    Restart(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let len = prop_oneof![6 => 0usize..PIECE, 1 => 0usize..140];
    let op = prop_oneof![
        6 => (0..STREAMS, len, 0usize..4, prop::option::weighted(0.3, 1u64..30))
            .prop_map(|(stream, len, priority, lifetime)| Op::Push { stream, len, priority, lifetime }),
        5 => (1usize..5, any::<bool>()).prop_map(|(most, arrives)| Op::Send { most, arrives }),
        3 => (0usize..6).prop_map(Op::Acked),
        3 => (0usize..6).prop_map(Op::Lost),
        1 => (0..3u8, 0u16..12, 0u64..4).prop_map(|(stream, seq16, before)| Op::Nak { stream, seq16, before }),
        2 => (0..3u8, 0u64..5).prop_map(|(stream, more)| Op::Credit { stream, more }),
        1 => Just(Op::Commit),
        2 => any::<bool>().prop_map(|answered| Op::Forward { answered }),
        1 => Just(Op::ForwardLost),
        2 => (1u64..12).prop_map(Op::Wait),
        1 => (0u64..3).prop_map(Op::Restart),
    ];
    prop::collection::vec(op, 1..120)
}

/// What is known of an accepted message besides the outbox.
#[derive(Debug, Default)]
struct Accepted {
    payload: Vec<u8>,
    /// Fragments, or 1.
    pieces: u8,
    /// Those that reached the receiver.
    arrived: BTreeSet<u8>,
}

impl Accepted {
    fn is_whole(&self) -> bool {
        self.arrived.len() == usize::from(self.pieces)
    }
}

struct Packet {
    pn: PacketNumber,
    arrives: bool,
    carried: Vec<Carried>,
}

struct Model {
    state: OutboxState,
    messages: Vec<OutMessage>,
    streams: Vec<SendStream>,
    ram: RamState,
    links: Vec<u16>,
    bytes: Vec<u8>,
    now: Instant,
    pn: PacketNumber,
    packets: Vec<Packet>,
    accepted: BTreeMap<(u8, u64), Accepted>,
    /// How far the receiver was told to wait for nothing, and how much it lacked below.
    receivers: [(u64, u64); STREAMS as usize],
    /// The packet that each entry was last put into.
    last_sent: [PacketNumber; ENTRIES],
    /// What COMMIT said of the durable stream.
    committed: u64,
    /// Best-effort messages in packets: the session counts these.
    gone: u32,
}

impl Model {
    fn new(reserved: bool) -> Self {
        let (id, schema) = (|number| ChannelId::new(number).unwrap(), SchemaId(0));
        let streams = [
            ChannelConfig::durable(id(0), schema),
            ChannelConfig::ordered(id(1), schema),
            ChannelConfig::reliable(id(2), schema),
            ChannelConfig::latest(id(3), schema),
            ChannelConfig::best_effort(id(4), schema),
        ];
        let mut streams: Vec<_> = streams.iter().map(SendStream::new).collect();
        streams[3].credit = SeqNo::new(u64::MAX);
        streams[4].credit = SeqNo::new(u64::MAX);
        let (mut messages, mut links) = (vec![OutMessage::EMPTY; ENTRIES], vec![0; BLOCKS]);
        let bytes = vec![0; BLOCKS * BLOCK];
        let mut state = OutboxState::new(&mut messages, BLOCKS, reserved);
        state.peer_slot = 30;
        Self {
            state,
            messages,
            streams,
            ram: RamState::new(&mut links, &bytes),
            links,
            bytes,
            now: Instant::from_millis(1),
            pn: PacketNumber::new(0),
            packets: Vec::new(),
            accepted: BTreeMap::new(),
            receivers: [(0, 0); STREAMS as usize],
            last_sent: [PacketNumber::new(0); ENTRIES],
            committed: 0,
            gone: 0,
        }
    }

    fn outbox(&mut self) -> Outbox<'_> {
        let journal = RamJournal { state: &mut self.ram, links: &mut self.links, bytes: &mut self.bytes };
        Outbox { state: &mut self.state, messages: &mut self.messages, streams: &mut self.streams, journal }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Push { stream, len, priority, lifetime } => self.push(stream, len, PRIORITIES[priority], lifetime),
            Op::Send { most, arrives } => self.send(most, arrives),
            Op::Acked(at) => self.acked(at),
            Op::Lost(at) if at < self.packets.len() => {
                let packet = self.packets.remove(at);
                packet.carried.into_iter().for_each(|carried| self.outbox().on_lost(carried));
            }
            Op::Nak { stream, seq16, before } => self.nak(stream, seq16, before),
            Op::Credit { stream, more } => {
                let stream = &mut self.streams[usize::from(stream)];
                stream.credit = stream.credit.saturating_add(more);
            }
            Op::Commit => self.commit(),
            Op::Forward { answered } => (0..3).for_each(|stream| self.forward(stream, answered)),
            Op::ForwardLost => self.outbox().on_forward_lost(),
            Op::Wait(ms) => {
                self.now = self.now + Duration::from_millis(ms);
                self.expire();
            }
            Op::Restart(back) => self.restart(back),
            Op::Lost(_) => {}
        }
        self.check();
    }

    fn push(&mut self, stream: u8, len: usize, priority: Priority, lifetime: Option<u64>) {
        let seq = self.streams[usize::from(stream)].next;
        // Best effort and latest have no fragments.
        let len = if stream >= LATEST { len.min(PIECE) } else { len };
        let payload: Vec<u8> = (0..len).map(|at| (seq.value() as u8).wrapping_mul(7).wrapping_add(at as u8)).collect();
        let expires = lifetime.map_or(NEVER, |ms| self.now + Duration::from_millis(ms));
        let terms = Terms { expires, priority, whole: PIECE, fragment: PIECE - 3 };
        let piece = if len > PIECE { PIECE - 3 } else { len.max(1) };
        let pieces = len.div_ceil(piece).max(1);
        let before = (self.state.free_len, self.ram_free());
        let replaced = if stream == LATEST { self.streams[usize::from(LATEST)].head } else { NONE };
        let mut room = before;
        if let Some(message) = self.messages.get(usize::from(replaced)) {
            room = (room.0 + 1, room.1 + blocks_of(message.len.into()));
        }
        let reserve = if priority > Priority::Normal { (0, 0) } else { self.state.reserve };
        let blocks: usize = if len == 0 { 1 } else { payload.chunks(piece).map(|part| blocks_of(part.len())).sum() };
        let fits = pieces + usize::from(reserve.0) <= usize::from(room.0) && blocks + usize::from(reserve.1) <= room.1;
        let result = self.outbox().push(stream, &terms, &payload);
        assert_eq!(result, if fits { Ok(seq) } else { Err(SendError::Full) });
        if fits {
            let accepted = Accepted { payload, pieces: pieces as u8, arrived: BTreeSet::new() };
            self.accepted.insert((stream, seq.value()), accepted);
        } else {
            assert_eq!((self.state.free_len, self.ram_free()), before, "refused, but something changed");
        }
    }

    fn ram_free(&mut self) -> usize {
        self.outbox().journal.free_blocks()
    }

    /// What the entry holds must be the piece of the message that was accepted.
    fn check_payload(&mut self, slot: u16) {
        let message = self.messages[usize::from(slot)];
        let mut payload = vec![0; message.len.into()];
        self.outbox().read(slot, &mut payload);
        let accepted = &self.accepted[&(message.stream, message.seq().value())];
        let piece = if message.fragments == 0 { PIECE } else { PIECE - 3 };
        let part = accepted.payload.chunks(piece).nth(message.fragment.into()).unwrap_or(&[]);
        assert_eq!(payload, part);
        assert_eq!(message.fragments.max(1), accepted.pieces);
    }

    /// The entry to send must be one that may be sent, and none may be more urgent.
    fn check_choice(&self, slot: u16) {
        let message = &self.messages[usize::from(slot)];
        let stream = &self.streams[usize::from(message.stream)];
        let due = self.messages.iter().filter(|other| other.state == EntryState::Due).map(|other| other.priority).max();
        match message.state {
            EntryState::Due => assert!(due <= Some(message.priority)),
            EntryState::Unsent => {
                assert!(message.seq() < stream.credit);
                assert_eq!(stream.unsent, slot);
                assert!(due < Some(stream.rank()));
            }
            other => panic!("{other:?} is sent"),
        }
    }

    fn send(&mut self, most: usize, arrives: bool) {
        let mut carried = Vec::new();
        for _ in 0..most {
            let Some(slot) = self.outbox().next_to_send().map(|next| next.slot) else {
                assert!(self.messages.iter().all(|message| message.state != EntryState::Due));
                break;
            };
            self.check_choice(slot);
            self.check_payload(slot);
            let (pn, message) = (self.pn, self.messages[usize::from(slot)]);
            if arrives {
                let stream = usize::from(message.stream);
                let known = self.accepted.get_mut(&(message.stream, message.seq().value())).unwrap();
                if message.seq().value() >= self.receivers[stream].0 {
                    known.arrived.insert(message.fragment);
                }
            }
            self.last_sent[usize::from(slot)] = pn;
            let sent = self.outbox().on_sent(slot, pn);
            assert_eq!(sent.best_effort, message.stream == BEST_EFFORT);
            if sent.best_effort {
                self.gone += 1;
            } else {
                carried.push(Carried { slot, generation: sent.generation });
            }
        }
        self.packets.push(Packet { pn: self.pn, arrives, carried });
        self.pn = self.pn.next();
    }

    fn acked(&mut self, at: usize) {
        if self.packets.get(at).is_some_and(|packet| packet.arrives) {
            let packet = self.packets.remove(at);
            assert!(packet.pn < self.pn);
            packet.carried.into_iter().for_each(|carried| self.outbox().on_acked(carried));
        }
    }

    /// Of what was never sent it is known at once that it is lost.
    fn expire(&mut self) {
        let now = self.now;
        let whole = |message: &&OutMessage| message.fragment == 0;
        let unsent = |model: &Self| {
            let unsent = |message: &&OutMessage| message.state == EntryState::Unsent && message.fragments == 0;
            model.messages.iter().filter(unsent).count() as u32
        };
        let kept = |model: &Self| {
            let kept = |message: &&OutMessage| message.state != EntryState::Free && !message.state.is_gap();
            model.messages.iter().filter(kept).filter(whole).count()
        };
        let (unsent_before, kept_before, expired) = (unsent(self), kept(self), self.state.ledger.expired);
        let more_room = self.outbox().expire(now);
        assert!(self.state.ledger.expired - expired >= unsent_before - unsent(self));
        assert!(!more_room || kept(self) < kept_before);
    }

    /// What was sent last before the packet that asks goes out again.
    fn nak(&mut self, stream: u8, seq16: u16, before: u64) {
        let largest = PacketNumber::new(self.pn.value().saturating_sub(before));
        let asked: Vec<usize> = (0..ENTRIES)
            .filter(|slot| {
                let message = &self.messages[*slot];
                message.stream == stream && message.seq().truncate() == seq16 && self.last_sent[*slot] < largest
            })
            .filter(|slot| self.messages[*slot].state == EntryState::InFlight)
            .collect();
        let due = |model: &Self| -> Vec<usize> {
            (0..ENTRIES).filter(|slot| model.messages[*slot].state == EntryState::Due).collect()
        };
        let mut expected = due(self);
        expected.extend(asked);
        expected.sort_unstable();
        self.outbox().on_nak(stream, seq16, largest);
        assert_eq!(due(self), expected);
    }

    /// How much of the durable stream the receiver has, from the first message on.
    fn stored(&self) -> u64 {
        let mut next = self.receivers[usize::from(DURABLE)].0;
        while self.accepted.get(&(DURABLE, next)).is_some_and(Accepted::is_whole) {
            next += 1;
        }
        next
    }

    fn commit(&mut self) {
        let next = self.stored();
        self.committed = next;
        self.outbox().on_committed(DURABLE, SeqNo::new(next));
    }

    fn forward(&mut self, stream: u8, answered: bool) {
        if let Some(point) = self.outbox().forward_point(stream) {
            self.outbox().on_forward_sent(stream, point);
            if answered {
                let receiver = &mut self.receivers[usize::from(stream)];
                for seq in receiver.0..point.value() {
                    receiver.1 += u64::from(!self.accepted[&(stream, seq)].is_whole());
                }
                receiver.0 = receiver.0.max(point.value());
                let (next, lacked) = *receiver;
                self.outbox().on_forwarded(stream, SeqNo::new(next), lacked);
            }
        }
    }

    /// A new session: of streams without a journal, the peer takes up what was never sent; of the durable one,
    /// what it has not stored, or not quite.
    fn restart(&mut self, back: u64) {
        self.packets.clear();
        for at in 0..STREAMS {
            let stream = self.streams[usize::from(at)];
            let next = match at {
                DURABLE => {
                    // What it said to be stored, it has.
                    let stored = self.stored().saturating_sub(back).max(self.committed);
                    SeqNo::new(stored).max(self.outbox().floor(&stream))
                }
                _ => self.messages.get(usize::from(stream.unsent)).map_or(stream.next, |message| message.seq()),
            };
            let takes = Takes { message: 200, whole: PIECE, whole_expiring: PIECE, fragment: PIECE };
            self.outbox().restart(at, next, &takes);
            self.receivers[usize::from(at)] = (next.value(), 0);
            // What the old receiver had beyond is sent again.
            self.accepted.range_mut((at, next.value())..(at + 1, 0)).for_each(|(_, message)| message.arrived.clear());
        }
        self.check();
        let left = self.messages.iter().filter(|message| message.state != EntryState::Free);
        left.for_each(|message| assert!(message.state == EntryState::Unsent || message.state.is_gap()));
    }

    /// Every message is accounted for, and every list is whole.
    fn check(&mut self) {
        let ledger = self.state.ledger;
        let settled = ledger.delivered + ledger.expired + ledger.superseded + ledger.undeliverable + ledger.in_doubt;
        assert_eq!(ledger.accepted, settled + u32::from(self.state.pending) + self.gone, "{ledger:?}");
        assert_eq!(ledger.accepted as usize, self.accepted.len());
        let mut seen = self.check_free();
        let (mut arrived, mut blocks) = (0, 0);
        for at in 0..STREAMS {
            self.check_stream(at, &mut seen, &mut arrived, &mut blocks);
        }
        assert_eq!(seen.len(), ENTRIES, "entries of no list");
        assert_eq!(self.state.arrived, arrived);
        assert_eq!(self.ram_free() + blocks, BLOCKS, "blocks of no message");
        self.check_due();
        self.check_long();
    }

    /// The peer puts together one long message at a time.
    fn check_long(&self) {
        let long = |message: &&OutMessage| message.fragments > 0 || message.len > self.state.peer_slot;
        let on_its_way = |message: &&OutMessage| matches!(message.state, EntryState::InFlight | EntryState::Due);
        let messages = self.messages.iter().filter(|message| message.stream < LATEST);
        let busy: BTreeSet<_> = messages.filter(long).filter(on_its_way).map(|m| (m.stream, m.seq())).collect();
        assert!(busy.len() <= 1, "{busy:?}");
    }

    fn check_free(&self) -> BTreeSet<u16> {
        let mut seen = BTreeSet::new();
        let mut slot = self.state.free;
        while slot != NONE {
            assert!(seen.insert(slot), "the free list bites its tail");
            assert_eq!(self.messages[usize::from(slot)].state, EntryState::Free);
            slot = self.messages[usize::from(slot)].next;
        }
        assert_eq!(seen.len(), usize::from(self.state.free_len));
        seen
    }

    fn check_stream(&mut self, at: u8, seen: &mut BTreeSet<u16>, arrived: &mut u16, blocks: &mut usize) {
        let stream = self.streams[usize::from(at)];
        let (mut slot, mut before, mut unsent, mut gaps) = (stream.head, NONE, NONE, 0);
        let mut counts = [0i16; 4];
        let mut last = None;
        while slot != NONE {
            let message = self.messages[usize::from(slot)];
            assert!(seen.insert(slot), "on two lists");
            assert_eq!((message.stream, message.prev), (at, before));
            let place = (message.seq().value(), message.fragment);
            assert!(last < Some(place), "out of order");
            last = Some(place);
            *arrived += u16::from(message.state == EntryState::Arrived);
            match message.state {
                EntryState::Unsent => {
                    unsent = if unsent == NONE { slot } else { unsent };
                    counts[message.priority as usize] += 1;
                }
                EntryState::Free => panic!("a free entry on a stream"),
                state => assert!(unsent == NONE || state.is_gap(), "sent before those below it"),
            }
            if message.state.is_gap() {
                gaps += 1;
                last = Some((message.seq().value() + u64::from(message.len) - 1, 0));
            } else {
                *blocks += blocks_of(message.len.into());
                self.check_payload(slot);
            }
            (before, slot) = (slot, message.next);
        }
        assert_eq!((stream.tail, stream.unsent, stream.gaps), (before, unsent, gaps));
        let rank = PRIORITIES.into_iter().rev().find(|priority| counts[*priority as usize] > 0);
        assert_eq!(stream.rank(), rank.unwrap_or(Priority::Background));
        let blocked = self.outbox().is_blocked();
        let held = self.streams.iter().any(|stream| {
            self.messages.get(usize::from(stream.unsent)).is_some_and(|message| message.seq() >= stream.credit)
        });
        assert_eq!(blocked, held);
    }

    /// The due lists hold what is due, each entry by its priority, once.
    fn check_due(&self) {
        let mut due = BTreeSet::new();
        for (level, list) in self.state.due.iter().enumerate() {
            let (mut slot, mut before) = (list.head, NONE);
            while slot != NONE {
                let message = &self.messages[usize::from(slot)];
                assert!(due.insert(slot));
                assert_eq!((message.state, message.due_prev), (EntryState::Due, before));
                assert_eq!(message.priority as usize, level);
                (before, slot) = (slot, message.due_next);
            }
            assert_eq!(list.tail, before);
        }
        let all = (0..).zip(&self.messages).filter(|(_, message)| message.state == EntryState::Due);
        assert_eq!(all.map(|(slot, _)| slot).collect::<BTreeSet<u16>>(), due);
    }

    /// The link and the receiver are good from now on: nothing stays, and the counts are those of the receiver.
    fn finish(&mut self) {
        for stream in &mut self.streams {
            stream.credit = SeqNo::new(u64::MAX);
        }
        let lost: Vec<_> = core::mem::take(&mut self.packets).into_iter().filter(|packet| !packet.arrives).collect();
        lost.into_iter().flat_map(|packet| packet.carried).for_each(|carried| self.outbox().on_lost(carried));
        for _ in 0..40 {
            // What is on its way and was never reported is as good as lost.
            let stuck: Vec<u16> = (0..)
                .zip(&self.messages)
                .filter(|(_, m)| m.state == EntryState::InFlight)
                .map(|(slot, _)| slot)
                .collect();
            for slot in stuck {
                while self.messages[usize::from(slot)].state == EntryState::InFlight {
                    let generation = self.messages[usize::from(slot)].generation;
                    self.outbox().on_lost(Carried { slot, generation });
                }
            }
            self.send(20, true);
            self.acked(self.packets.len() - 1);
            self.outbox().on_forward_lost();
            (0..3).for_each(|stream| self.forward(stream, true));
            self.commit();
            self.check();
        }
        assert_eq!((self.state.pending, usize::from(self.state.free_len)), (0, ENTRIES));
    }
}

impl OutMessage {
    /// The model's numbers have 32 bits.
    fn seq(&self) -> SeqNo {
        self.at.expand(SeqNo::new(u32::MAX.into()))
    }
}

fn blocks_of(len: usize) -> usize {
    len.div_ceil(BLOCK).max(1)
}

proptest! {
    #[test]
    fn nothing_is_lost_or_counted_twice(ops in ops(), reserved: bool) {
        let mut model = Model::new(reserved);
        model.check();
        let same_session = |op: &&Op| !matches!(op, Op::Restart(_));
        ops.iter().filter(same_session).for_each(|op| model.step(op));
        model.finish();
        // What the receiver has is delivered; what it lacks was given up.
        let waited_for = model.accepted.iter().filter(|((stream, _), _)| *stream < LATEST);
        let (whole, lacked): (Vec<_>, Vec<_>) = waited_for.partition(|(_, accepted)| accepted.is_whole());
        let latest = model.accepted.keys().filter(|(stream, _)| *stream == LATEST).count();
        let ledger = model.state.ledger;
        prop_assert!(ledger.delivered as usize >= whole.len() && ledger.delivered as usize <= whole.len() + latest);
        prop_assert!(ledger.expired as usize >= lacked.len());
    }

    #[test]
    fn new_sessions_account_for_old_ones(ops in ops()) {
        let mut model = Model::new(false);
        ops.iter().for_each(|op| model.step(op));
        model.finish();
    }
}
