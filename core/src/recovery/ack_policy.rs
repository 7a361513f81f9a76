//! When to acknowledge (RFC 9000 section 13.2): cheap when nothing is wrong, at once when something is.

use crate::{Duration, Instant, PacketNumber};

/// What is owed to the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AckPolicy {
    /// Ack-eliciting packets since the last acknowledgement.
    unacknowledged: u8,
    /// When the acknowledgement is due at the latest.
    deadline: Option<Instant>,
    /// When the largest packet arrived, for the delay field; nothing is acknowledged before the first.
    largest_at: Instant,
    /// The peer knows of everything up to here: it acknowledged an acknowledgement of it.
    pub(crate) known_to_peer: Option<PacketNumber>,
    /// Our first packet whose acknowledgement told of the last packet that came late.
    complete_from: PacketNumber,
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
        let due = if !in_order || self.unacknowledged >= every { now } else { now + max_delay };
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
    }

    /// Our packet `pn`, which acknowledged up to `largest`, arrived.
    pub(crate) fn on_known(&mut self, pn: PacketNumber, largest: Option<PacketNumber>) {
        if pn >= self.complete_from {
            self.known_to_peer = self.known_to_peer.max(largest);
        }
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

    pub(crate) fn on_sent(&mut self) {
        self.unacknowledged = 0;
        self.deadline = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(25);

    // RFC 9000 §13.2.2: an ACK after at least two ack-eliciting packets; §13.2.1: within max_ack_delay.
    #[test]
    fn every_second_packet_or_after_the_delay() {
        let mut policy = AckPolicy::default();
        let now = Instant::from_millis(7);
        policy.on_packet(now, true, true, false, 2, DELAY);
        assert_eq!(policy.deadline(), None);
        policy.on_packet(now, true, true, true, 2, DELAY);
        assert_eq!(policy.deadline(), Some(now + DELAY));
        policy.on_packet(now, true, true, true, 2, DELAY);
        assert_eq!(policy.deadline(), Some(now));
        policy.on_sent();
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
        policy.on_packet(now, true, false, true, 8, DELAY);
        assert_eq!(policy.deadline(), Some(now));
    }
}
