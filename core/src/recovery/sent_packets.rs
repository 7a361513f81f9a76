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
    pub(crate) forward: bool,
    pub(crate) forwarded: bool,
    pub(crate) key: bool,
    /// Not a frame: messages in it had been lost before.
    pub(crate) again: bool,
}

/// [`Control`] in one byte.
#[derive(Clone, Copy, Debug)]
struct Flags(u8);

impl Flags {
    const fn new(control: Control) -> Self {
        Self(
            control.commit as u8
                | (control.credit as u8) << 1
                | (control.ping as u8) << 2
                | (control.forward as u8) << 3
                | (control.forwarded as u8) << 4
                | (control.again as u8) << 5
                | (control.key as u8) << 6,
        )
    }

    fn control(self) -> Control {
        let has = |bit| self.0 & bit != 0;
        Control {
            commit: has(1),
            credit: has(2),
            ping: has(4),
            forward: has(8),
            forwarded: has(16),
            again: has(32),
            key: has(64),
        }
    }
}

/// The lowest 32 bits of a packet number. Those that a session remembers at one time lie much closer
/// together than 2^31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Low(u32);

impl Low {
    pub(crate) const fn of(pn: PacketNumber) -> Self {
        Self(pn.value() as u32)
    }

    /// Whether it lies before `other`: serial number arithmetic (RFC 1982 section 3.2).
    pub(crate) const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// The full number, which is not above `reference`.
    pub(crate) const fn expand(self, reference: PacketNumber) -> PacketNumber {
        let distance = (reference.value() as u32).wrapping_sub(self.0);
        PacketNumber::new(reference.value().saturating_sub(distance as u64))
    }
}

/// One packet sent. Small, because every session has room for many: 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentPacket {
    pub(crate) time: Instant,
    pn: Low,
    /// The largest packet of the peer that an ACK frame in it named; `NOTHING` when there was none.
    acknowledged: Low,
    pub(crate) bytes: u16,
    /// Set when the packet is pushed.
    carried_start: u16,
    pub(crate) carried_len: u8,
    /// Best-effort messages in it: what becomes of the packet becomes of them.
    pub(crate) best_effort: u8,
    pub(crate) fate: Fate,
    control: Flags,
}

/// No ACK frame. A packet whose number ends so counts as not acknowledged, which is safe.
const NOTHING: Low = Low(u32::MAX);

impl SentPacket {
    pub(crate) const EMPTY: Self = Self {
        time: Instant::ZERO,
        pn: Low(0),
        acknowledged: NOTHING,
        bytes: 0,
        carried_start: 0,
        carried_len: 0,
        best_effort: 0,
        fate: Fate::Acked,
        control: Flags(0),
    };

    pub(crate) fn new(
        pn: PacketNumber,
        time: Instant,
        bytes: u16,
        carried_len: u8,
        acknowledged: Option<PacketNumber>,
        control: Control,
    ) -> Self {
        Self {
            time,
            pn: Low::of(pn),
            acknowledged: acknowledged.map_or(NOTHING, Low::of),
            bytes,
            carried_start: 0,
            carried_len,
            best_effort: 0,
            fate: Fate::InFlight,
            control: Flags::new(control),
        }
    }

    /// Its number; `next` is that of the packet that will be sent next.
    pub(crate) fn pn(&self, next: PacketNumber) -> PacketNumber {
        self.pn.expand(next)
    }

    /// The largest packet of the peer that an ACK frame in it named; `largest` is the largest that the peer sent.
    pub(crate) fn acknowledged(&self, largest: Option<PacketNumber>) -> Option<PacketNumber> {
        largest.filter(|_| self.acknowledged != NOTHING).map(|largest| self.acknowledged.expand(largest))
    }

    pub(crate) fn control(&self) -> Control {
        self.control.control()
    }
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
    pub(crate) fn carried(&self, packet: &SentPacket, j: u8) -> Option<Carried> {
        if j >= packet.carried_len {
            return None;
        }
        let at = wrap(usize::from(packet.carried_start) + usize::from(j), self.carried.len());
        self.carried.get(at).copied()
    }

    /// The first packet whose number is `pn` or more.
    pub(crate) fn position(&self, pn: PacketNumber) -> usize {
        let (mut low, mut high) = (0, self.len());
        let pn = Low::of(pn);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(packet) if packet.pn.is_before(pn) => low = middle + 1,
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
            self.state.carried_len -= u16::from(packet.carried_len);
        }
    }
}

// Too long for Miri: hundreds of steps, and every list walked after each.
#[cfg(all(test, not(miri)))]
mod model_tests;

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_takes_24_bytes() {
        assert_eq!(size_of::<SentPacket>(), 24);
    }

    proptest! {
        #[test]
        fn what_is_kept_short_comes_back_whole(
            pn in 0..u64::MAX / 2, ahead in 0u64..1 << 31, named in prop::option::of(0..u64::MAX / 2),
            commit: bool, credit: bool, ping: bool,
        ) {
            let number = PacketNumber::new(pn);
            let named = named.map(PacketNumber::new).filter(|named| Low::of(*named) != NOTHING);
            let (forward, forwarded, again, key) = (commit, !credit, ping, credit != ping);
            let control = Control { commit, credit, ping, forward, forwarded, again, key };
            let packet = SentPacket::new(number, Instant::ZERO, 1200, 3, named, control);
            prop_assert_eq!(packet.pn(PacketNumber::new(pn + ahead)), number);
            let largest = named.map(|named| PacketNumber::new(named.value() + ahead));
            prop_assert_eq!(packet.acknowledged(largest), named);
            prop_assert_eq!(packet.acknowledged(None), None);
            prop_assert_eq!(packet.control(), control);
        }
    }
}
