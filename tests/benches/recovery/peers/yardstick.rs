//! The yardstick: a sketch of selective repeat that leaves nothing on the table, and that nobody can deploy.
//!
//! Every packet is acknowledged at once, and every acknowledgement says all that has arrived. A message is sent again
//! as soon as a packet later than the last one that carried it is acknowledged. There is no congestion control. New
//! packets repeat up to `repeats` messages not yet acknowledged, those just before their own. When all else is silent
//! for two round trips, which it knows, it sends the oldest message again.
//!
//! For bulk it is told the bottleneck's rate, and keeps to it, and to a memory of fixed size.

use crate::flow::{End, Flow};
use crate::world::UDP_IP;
use std::collections::{BTreeMap, VecDeque};
use whimbrel_core::{Duration, Instant};

/// What a packet costs besides its messages, as Whimbrel's plain packets: type, connection, number, check.
pub(crate) const PACKET: usize = 10;
/// What a message costs besides its bytes: type, stream, number.
pub(crate) const MESSAGE: usize = 4;
/// The length of an acknowledgement. What it says is not limited by it: it names a snapshot.
const ACK: usize = 12;
/// The longest packet, as everywhere in this bench.
pub(crate) const PACKET_MAX: usize = 1200;
/// Two round trips of the bench's links, and a little.
const SILENCE: Duration = Duration::from_millis(110);

/// What a bulk sender is told about the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bulk {
    /// The bottleneck, in bytes a second.
    pub(crate) rate: u64,
    /// Payload bytes that the sender keeps, at most.
    pub(crate) memory: usize,
    /// Messages from the first missing one that the receiver keeps.
    pub(crate) slots: u16,
}

#[derive(Debug)]
struct Kept {
    payload: Vec<u8>,
    /// The last packet that carried it; `None`: it is due.
    carried_by: Option<u32>,
}

/// All that has arrived at some time.
#[derive(Debug, Default)]
struct Snapshot {
    missing: u16,
    early: Vec<u16>,
    largest_packet: u32,
}

/// Both ends.
#[derive(Debug, Default)]
pub(crate) struct Yardstick {
    repeats: usize,
    bulk: Option<Bulk>,
    // The sender: messages not acknowledged, and when the bottleneck is free again.
    next_message: u16,
    next_packet: u32,
    kept: BTreeMap<u16, Kept>,
    kept_bytes: usize,
    free_at: Instant,
    /// When something was sent or heard last.
    last: Instant,
    // The receiver.
    missing: u16,
    early: BTreeMap<u16, Vec<u8>>,
    largest_packet: u32,
    snapshots: Vec<Snapshot>,
    acks: VecDeque<Vec<u8>>,
    arrived: VecDeque<Vec<u8>>,
}

impl Yardstick {
    /// For telemetry.
    pub(crate) fn new(repeats: usize) -> Self {
        Self { repeats, ..Self::default() }
    }

    /// For bulk.
    pub(crate) fn bulk(bulk: Bulk) -> Self {
        Self { bulk: Some(bulk), ..Self::default() }
    }

    fn is_due(&self) -> bool {
        self.kept.values().any(|message| message.carried_by.is_none())
    }

    fn silence(&self) -> Option<Instant> {
        (!self.kept.is_empty() && !self.is_due()).then_some(self.last + SILENCE)
    }

    /// The messages of the next packet: what is due, and repeats while there is room.
    fn choose(&self) -> Vec<u16> {
        let mut room = PACKET_MAX - PACKET;
        let mut fits = |message: &Kept| {
            let fits = message.payload.len() + MESSAGE <= room;
            room -= if fits { message.payload.len() + MESSAGE } else { 0 };
            fits
        };
        let due = self.kept.iter().filter(|(_, message)| message.carried_by.is_none());
        let mut chosen: Vec<u16> = due.take_while(|(_, message)| fits(message)).map(|(number, _)| *number).collect();
        if let Some(first) = chosen.first().copied() {
            let before = self.kept.range(..first).rev().take(self.repeats);
            chosen.extend(before.take_while(|(_, message)| fits(message)).map(|(number, _)| *number));
        }
        chosen
    }

    fn on_ack(&mut self, now: Instant, frame: &[u8]) {
        let name = frame.first_chunk().map(|name| u32::from_le_bytes(*name)).expect("an acknowledgement names itself");
        let Some(snapshot) = self.snapshots.get(name as usize) else { return };
        let Self { kept, kept_bytes, .. } = self;
        kept.retain(|number, message| {
            let arrived = *number < snapshot.missing || snapshot.early.binary_search(number).is_ok();
            *kept_bytes -= if arrived { message.payload.len() } else { 0 };
            message.carried_by = message.carried_by.filter(|packet| *packet >= snapshot.largest_packet);
            !arrived
        });
        self.last = now;
    }

    fn on_packet(&mut self, frame: &[u8]) {
        let packet = frame.first_chunk().map(|number| u32::from_le_bytes(*number)).expect("a packet has a number");
        self.largest_packet = self.largest_packet.max(packet);
        let mut rest = &frame[PACKET..];
        while let Some((head, after)) = rest.split_first_chunk::<MESSAGE>() {
            let number = u16::from_le_bytes([head[0], head[1]]);
            let (payload, after) = after.split_at(usize::from(u16::from_le_bytes([head[2], head[3]])));
            if number >= self.missing {
                self.early.insert(number, payload.to_vec());
            }
            rest = after;
        }
        while let Some(payload) = self.early.remove(&self.missing) {
            self.arrived.push_back(payload);
            self.missing += 1;
        }
        let name = self.snapshots.len() as u32;
        let early = self.early.keys().copied().collect();
        self.snapshots.push(Snapshot { missing: self.missing, early, largest_packet: self.largest_packet });
        let mut ack = name.to_le_bytes().to_vec();
        ack.resize(ACK, 0);
        self.acks.push_back(ack);
    }
}

impl Flow for Yardstick {
    fn is_ready(&self) -> bool {
        true
    }

    fn offer(&mut self, _now: Instant, _lane: usize, message: &[u8]) -> bool {
        let oldest = self.kept.first_key_value().map_or(self.next_message, |(number, _)| *number);
        let full = self.bulk.is_some_and(|bulk| {
            self.kept_bytes + message.len() > bulk.memory || self.next_message - oldest >= bulk.slots
        });
        if !full {
            self.kept.insert(self.next_message, Kept { payload: message.to_vec(), carried_by: None });
            self.kept_bytes += message.len();
            self.next_message += 1;
        }
        !full
    }

    fn handle(&mut self, now: Instant, at: End, frame: &mut [u8]) {
        match at {
            End::Device => self.on_ack(now, frame),
            End::Gateway => self.on_packet(frame),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.silence().is_some_and(|due| due <= now)
            && let Some(mut oldest) = self.kept.first_entry()
        {
            oldest.get_mut().carried_by = None;
        }
    }

    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>> {
        if from == End::Gateway {
            return self.acks.pop_front();
        }
        if !self.is_due() || self.free_at > now {
            return None;
        }
        let mut frame = self.next_packet.to_le_bytes().to_vec();
        frame.resize(PACKET, 0);
        for number in self.choose() {
            let message = self.kept.get_mut(&number)?;
            message.carried_by = Some(self.next_packet);
            frame.extend(number.to_le_bytes());
            frame.extend((message.payload.len() as u16).to_le_bytes());
            frame.extend(&message.payload);
        }
        self.next_packet += 1;
        self.last = now;
        if let Some(bulk) = self.bulk {
            let micros = ((frame.len() + UDP_IP) as u64 * 1_000_000).div_ceil(bulk.rate);
            self.free_at = now + Duration::from_micros(micros);
        }
        Some(frame)
    }

    fn deliver(&mut self, _now: Instant) -> Option<(usize, Vec<u8>)> {
        Some((0, self.arrived.pop_front()?))
    }

    fn next_deadline(&mut self, _now: Instant) -> Option<Instant> {
        if self.is_due() { Some(self.free_at) } else { self.silence() }
    }
}
