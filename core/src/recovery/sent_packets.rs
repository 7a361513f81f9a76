//! Ack-eliciting packets in flight, oldest first, and the messages that each carries.
//!
//! Two rings: packets, and references to messages in the order in which packets carried them. A
//! packet names a run of the second ring; both are freed from the front.

use crate::channel::outbox::Carried;
use crate::{Instant, PacketNumber};

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    InFlight,
    /// Declared lost; kept a while, in case that it was wrong.
    Lost,
    Acked,
}

/// Control frames in a packet, to be said again when it is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) commit: bool,
    pub(crate) credit: bool,
    pub(crate) ping: bool,
}

/// One packet sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentPacket {
    pub(crate) pn: PacketNumber,
    pub(crate) time: Instant,
    /// The largest packet of the peer that an ACK frame in it named.
    pub(crate) acknowledged: Option<PacketNumber>,
    pub(crate) bytes: u16,
    /// Set when the packet is pushed.
    pub(crate) carried_start: u16,
    pub(crate) carried_len: u16,
    pub(crate) fate: Fate,
    pub(crate) control: Control,
    /// The congestion window was what limited the sender.
    pub(crate) limited: bool,
}

impl SentPacket {
    pub(crate) const EMPTY: Self = Self {
        pn: PacketNumber::new(0),
        time: Instant::ZERO,
        acknowledged: None,
        bytes: 0,
        carried_start: 0,
        carried_len: 0,
        fate: Fate::Acked,
        control: Control { commit: false, credit: false, ping: false },
        limited: false,
    };
}

/// Ring positions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SentState {
    head: u16,
    len: u16,
    carried_head: u16,
    carried_len: u16,
}

/// The rings with their memory.
pub(crate) struct SentPackets<'a> {
    pub(crate) state: &'a mut SentState,
    pub(crate) packets: &'a mut [SentPacket],
    pub(crate) carried: &'a mut [Carried],
}

fn wrap(at: usize, len: usize) -> usize {
    if at >= len { at - len } else { at }
}

impl SentPackets<'_> {
    pub(crate) fn len(&self) -> usize {
        usize::from(self.state.len)
    }

    /// The i-th packet, oldest first.
    pub(crate) fn get(&self, i: usize) -> Option<&SentPacket> {
        if i >= self.len() {
            return None;
        }
        self.packets.get(wrap(usize::from(self.state.head) + i, self.packets.len()))
    }

    pub(crate) fn get_mut(&mut self, i: usize) -> Option<&mut SentPacket> {
        if i >= self.len() {
            return None;
        }
        let at = wrap(usize::from(self.state.head) + i, self.packets.len());
        self.packets.get_mut(at)
    }

    /// The j-th message of a packet.
    pub(crate) fn carried(&self, packet: &SentPacket, j: u16) -> Option<Carried> {
        if j >= packet.carried_len {
            return None;
        }
        let at = wrap(usize::from(packet.carried_start) + usize::from(j), self.carried.len());
        self.carried.get(at).copied()
    }

    /// The first packet whose number is `pn` or more.
    pub(crate) fn position(&self, pn: PacketNumber) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(packet) if packet.pn < pn => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// Makes room for one packet: lost packets at the front are forgotten early. Says whether there is room.
    pub(crate) fn reserve(&mut self) -> bool {
        self.prune(|_| false);
        if self.len() < self.packets.len() {
            return true;
        }
        self.prune(|packet| packet.fate == Fate::Lost);
        self.len() < self.packets.len()
    }

    /// How many more references the ring of messages takes.
    pub(crate) fn carried_room(&self) -> usize {
        self.carried.len() - usize::from(self.state.carried_len)
    }

    /// Notes a reference of the packet being built.
    pub(crate) fn push_carried(&mut self, carried: Carried) {
        let at = wrap(usize::from(self.state.carried_head) + usize::from(self.state.carried_len), self.carried.len());
        if let Some(place) = self.carried.get_mut(at) {
            *place = carried;
            self.state.carried_len += 1;
        }
    }

    /// Notes the packet itself, whose `carried_len` references were pushed just before.
    pub(crate) fn push(&mut self, packet: SentPacket) {
        let start = usize::from(self.state.carried_head) + usize::from(self.state.carried_len)
            - usize::from(packet.carried_len);
        let carried_start = wrap(start, self.carried.len().max(1)) as u16;
        let at = wrap(usize::from(self.state.head) + self.len(), self.packets.len());
        if let Some(place) = self.packets.get_mut(at) {
            *place = SentPacket { carried_start, ..packet };
            self.state.len += 1;
        }
    }

    /// Forgets packets at the front that were acknowledged, or that `also` names.
    pub(crate) fn prune(&mut self, also: impl Fn(&SentPacket) -> bool) {
        while let Some(packet) = self.get(0).copied() {
            if packet.fate != Fate::Acked && !also(&packet) {
                return;
            }
            self.state.head = wrap(usize::from(self.state.head) + 1, self.packets.len()) as u16;
            self.state.len -= 1;
            let carried = usize::from(self.state.carried_head) + usize::from(packet.carried_len);
            self.state.carried_head = wrap(carried, self.carried.len().max(1)) as u16;
            self.state.carried_len -= packet.carried_len;
        }
    }
}
