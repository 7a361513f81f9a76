//! When to acknowledge (RFC 9000 section 13.2): cheap when nothing is wrong, at once when something is.

use super::sent_packets::Low;
use crate::{Duration, Instant, PacketNumber};

/// Packets after a gap, a late packet or the beginning that are acknowledged at once, each: so a
/// lost acknowledgement delays a retransmission by one packet, not by a delayed acknowledgement.
const URGENT: u8 = 2;
/// Packets in order after which a path counts as one that loses nothing.
const CALM: u8 = 64;
/// Acknowledgements that report a packet before it is left out.
const TELLINGS: u8 = 8;

/// What is owed to the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckPolicy {
    /// Ack-eliciting packets since the last acknowledgement.
    unacknowledged: u8,
    /// Packets that are still to be acknowledged at once.
    urgent: u8,
    /// Packets in order since the last that was not, up to `CALM`.
    calm: u8,
    /// Acknowledgements since `marked`.
    tellings: u8,
    /// When the acknowledgement is due at the latest.
    deadline: Option<Instant>,
    /// When the largest packet arrived, for the delay field; nothing is acknowledged before the first.
    largest_at: Instant,
    /// The peer knows of everything up to here: it acknowledged an acknowledgement of it.
    pub(crate) known_to_peer: Option<PacketNumber>,
    /// Our first packet whose acknowledgement told of the last packet that came late.
    complete_from: PacketNumber,
    /// What lies below was told often enough. It makes acknowledgements short where the peer never
    /// acknowledges one. If it missed them all, it sends a message twice, and nothing worse.
    told: Low,
    /// What will be told often enough next.
    marked: Low,
}

impl Default for AckPolicy {
    fn default() -> Self {
        Self {
            unacknowledged: 0,
            // The peer may not know the round-trip time yet, and send nothing before it does.
            urgent: URGENT,
            calm: CALM,
            tellings: 0,
            deadline: None,
            largest_at: Instant::ZERO,
            known_to_peer: None,
            complete_from: PacketNumber::new(0),
            told: Low::default(),
            marked: Low::default(),
        }
    }
}

impl AckPolicy {
    /// A packet arrived. `in_order`: it is the one after the largest so far.
    pub(crate) fn on_packet(
        &mut self,
        now: Instant,
        is_largest: bool,
        in_order: bool,
        eliciting: bool,
        every: u8,
        max_delay: Duration,
    ) {
        if is_largest {
            self.largest_at = now;
        }
        if !eliciting {
            return;
        }
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        // RFC 9000 section 13.2.1: at once when a packet is missing or comes late.
        let due = if !in_order || self.urgent > 0 || self.unacknowledged >= every { now } else { now + max_delay };
        self.calm = if in_order { (self.calm + 1).min(CALM) } else { 0 };
        self.urgent = if in_order { self.urgent.saturating_sub(1) } else { URGENT };
        self.deadline = Some(self.deadline.map_or(due, |deadline| deadline.min(due)));
    }

    /// A packet came again: our acknowledgement may have been lost.
    pub(crate) fn on_duplicate(&mut self, now: Instant) {
        self.deadline = Some(now);
    }

    /// A packet arrived that is not the largest. `next`: the number of our next packet. What was
    /// said before did not tell of it.
    pub(crate) fn on_late(&mut self, pn: PacketNumber, next: PacketNumber) {
        self.known_to_peer = self.known_to_peer.filter(|known| *known < pn);
        self.complete_from = next;
        let pn = Low::of(pn);
        if pn.is_before(self.told) {
            self.told = pn;
        }
        if pn.is_before(self.marked) {
            self.marked = pn;
        }
        self.tellings = 0;
    }

    /// Our packet `pn`, which acknowledged up to `largest`, arrived.
    pub(crate) fn on_known(&mut self, pn: PacketNumber, largest: Option<PacketNumber>) {
        if pn >= self.complete_from {
            self.known_to_peer = self.known_to_peer.max(largest);
        }
    }

    /// What lies at or below this need not be reported, beside `largest`.
    pub(crate) fn settled(&self, largest: PacketNumber) -> u64 {
        self.known_to_peer.map_or(0, PacketNumber::value).max(self.told.expand(largest).value())
    }

    /// Whether the path lost or reordered something lately.
    pub(crate) fn is_troubled(&self) -> bool {
        self.calm < CALM
    }

    /// Whether there is something to acknowledge at all, so that a packet that goes anyway takes it along.
    pub(crate) fn is_pending(&self) -> bool {
        self.deadline.is_some()
    }

    /// When to send an acknowledgement by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// How long the largest packet has waited.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        now.saturating_since(self.largest_at)
    }

    /// An acknowledgement left that reports up to `largest`.
    pub(crate) fn on_sent(&mut self, largest: PacketNumber) {
        self.unacknowledged = 0;
        self.deadline = None;
        self.tellings += 1;
        if self.tellings >= TELLINGS {
            self.tellings = 0;
            self.told = self.marked;
            self.marked = Low::of(largest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(25);

    // RFC 9000 §13.2.2: an ACK after at least two ack-eliciting packets; §13.2.1: within max_ack_delay.
    #[test]
    fn every_second_packet_or_after_the_delay() {
        let mut policy = AckPolicy { urgent: 0, ..AckPolicy::default() };
        let now = Instant::from_millis(7);
        policy.on_packet(now, true, true, false, 2, DELAY);
        assert_eq!(policy.deadline(), None);
        policy.on_packet(now, true, true, true, 2, DELAY);
        assert_eq!(policy.deadline(), Some(now + DELAY));
        policy.on_packet(now, true, true, true, 2, DELAY);
        assert_eq!(policy.deadline(), Some(now));
        policy.on_sent(PacketNumber::new(2));
        assert_eq!(policy.deadline(), None);
    }

    // An ACK of 10 that left before 8 arrived does not tell of 8, whenever it is acknowledged itself.
    #[test]
    fn what_came_late_is_not_known_from_an_earlier_acknowledgement() {
        let mut policy = AckPolicy::default();
        let ten = Some(PacketNumber::new(10));
        policy.on_known(PacketNumber::new(4), ten);
        assert_eq!(policy.known_to_peer, ten);
        policy.on_late(PacketNumber::new(8), PacketNumber::new(6));
        assert_eq!(policy.known_to_peer, None);
        policy.on_known(PacketNumber::new(5), ten);
        assert_eq!(policy.known_to_peer, None);
        policy.on_known(PacketNumber::new(6), ten);
        assert_eq!(policy.known_to_peer, ten);
    }

    #[test]
    fn at_once_after_a_gap() {
        let mut policy = AckPolicy::default();
        let now = Instant::from_millis(7);
        let arrive = |policy: &mut AckPolicy, in_order| {
            policy.on_packet(now, true, in_order, true, 8, DELAY);
            let deadline = policy.deadline();
            policy.on_sent(PacketNumber::new(9));
            deadline
        };
        for in_order in [false, true, true] {
            assert_eq!(arrive(&mut policy, in_order), Some(now));
        }
        assert_eq!(arrive(&mut policy, true), Some(now + DELAY));
    }

    // Each packet is reported by eight acknowledgements at least, and by sixteen at most.
    #[test]
    fn what_was_told_often_is_left_out_until_something_comes_late() {
        let mut policy = AckPolicy::default();
        for largest in 1..=100 {
            let settled = policy.settled(PacketNumber::new(largest));
            assert!(settled + 8 <= largest.max(8) && settled + 16 >= largest, "{settled} {largest}");
            policy.on_sent(PacketNumber::new(largest));
        }
        policy.on_late(PacketNumber::new(70), PacketNumber::new(5));
        for _ in 0..8 {
            assert!(policy.settled(PacketNumber::new(100)) <= 70);
            policy.on_sent(PacketNumber::new(100));
        }
    }
}
