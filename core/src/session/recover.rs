//! Acknowledgements and losses: from packets to the messages that they carried.

use super::state::{Engine, State};
use crate::journal::NONE;
use crate::recovery::congestion::is_persistent;
use crate::recovery::received::WINDOW;
use crate::recovery::sent_packets::{Control, Fate, SentPacket};
use crate::recovery::{loss, pto};
use crate::wire::Ack;
use crate::{Duration, Instant, PacketNumber, SeqNo};

impl State {
    pub(super) fn pto_period(&self) -> Duration {
        pto::period(&self.recovery.rtt, self.peer.max_ack_delay)
    }

    /// When silence means that a probe is due.
    pub(super) fn pto_deadline(&self) -> Option<Instant> {
        (self.recovery.in_flight > 0).then(|| {
            let recovery = &self.recovery;
            let wait = pto::backoff(self.pto_period(), recovery.pto_count, self.config.max_backoff, recovery.jitter);
            recovery.last_eliciting + wait
        })
    }

    /// A HELLO that was sent once was answered. The first sample, or nothing but one datagram could
    /// be in flight until there is one (RFC 8085 section 3.1). Karn's rule: RFC 6298 section 3.
    pub(super) fn note_handshake_time(&mut self, sent: Instant) {
        self.recovery.rtt.sample(self.now, self.now.saturating_since(sent), Duration::ZERO);
        self.set_pace();
    }

    /// How long the peer held an acknowledgement back (RFC 9002 section 5.3). `None`: far longer than it promised; it is a
    /// repetition, and tells nothing of the path.
    fn delay_of(&self, ack: &Ack<'_>) -> Option<Duration> {
        let longest = self.peer.max_ack_delay;
        (ack.delay <= longest.saturating_shl(1)).then_some(ack.delay.min(longest))
    }

    fn set_pace(&mut self) {
        let recovery = &mut self.recovery;
        let congestion = &recovery.congestion;
        recovery.pacer.set_rate(congestion.window(), recovery.rtt.smoothed(), congestion.is_slow_start());
    }

    /// An authentic, new packet arrived.
    pub(super) fn note_sign_of_life(&mut self, eliciting: bool) {
        self.trust_gateway();
        let silence = self.now.saturating_since(self.patience.since);
        self.patience.since = self.now;
        // As long as persistent congestion takes (RFC 9002 section 7.6.1): the path was gone, and is back. Backoff ends,
        // and what has been in flight for longer than a probe timeout is asked for at once.
        let period = self.pto_period();
        if silence > period.saturating_add(period.saturating_shl(1)) {
            self.recovery.pto_count = 0;
        } else if eliciting {
            // The peer is there and talks: it need not be waited for as if it were gone.
            self.recovery.pto_count = self.recovery.pto_count.min(1);
        }
    }
}

impl Engine<'_> {
    pub(super) fn on_ack(&mut self, ack: &Ack<'_>) {
        if ack.largest >= self.st.recovery.next_pn {
            // An acknowledgement of what was never sent.
            self.st.stats.rx_dropped.malformed = self.st.stats.rx_dropped.malformed.wrapping_add(1);
            return;
        }
        let mut news: Option<PacketNumber> = None;
        let next = self.st.recovery.next_pn;
        // What is remembered lies near, and is compared by its lowest 32 bits.
        let nearest = next.value().saturating_sub(1 << 30);
        for range in ack.ranges() {
            let mut at = self.sent().position(PacketNumber::new((*range.start()).max(nearest)));
            while let Some(packet) = self.sent().get(at).copied() {
                if packet.pn(next).value() > *range.end() {
                    break;
                }
                if packet.fate != Fate::Acked {
                    news = news.max(Some(packet.pn(next)));
                    self.on_packet_acked(at, &packet, ack);
                }
                at += 1;
            }
        }
        if news.is_none() {
            self.note_late_ack(ack);
        }
        let recovery = &mut self.st.recovery;
        recovery.largest_acked = recovery.largest_acked.max(Some(ack.largest));
        if let Some(acked) = news {
            recovery.pto_count = 0;
            self.detect_losses();
            let recovery = &mut self.st.recovery;
            let draining = recovery.congestion.is_draining();
            if recovery.congestion.on_ack(self.st.now, acked, next, &recovery.rtt, recovery.loss_rate) {
                if draining && !recovery.congestion.is_draining() {
                    recovery.rtt.confirm_minimum(self.st.now);
                }
                recovery.thresholds.on_round(&recovery.rtt);
                self.st.set_pace();
            }
            self.note_room();
        }
    }

    /// The first acknowledgement of a packet so old that it is forgotten. It left before all that are remembered, so the
    /// round trip takes longer than the oldest of them is old. Without this a path that became much slower at once would
    /// never be measured again by a device that remembers few packets: each is given up before its answer comes.
    fn note_late_ack(&mut self, ack: &Ack<'_>) {
        let Some(oldest) = self.sent().get(0).copied() else { return };
        let Some(delay) = self.st.delay_of(ack) else { return };
        let recovery = &mut self.st.recovery;
        let is_first = Some(ack.largest) > recovery.largest_acked && ack.largest < oldest.pn(recovery.next_pn);
        let least = self.st.now.saturating_since(oldest.time);
        if is_first && least.saturating_sub(delay) > recovery.rtt.smoothed() {
            recovery.rtt.sample(self.st.now, least, delay);
        }
    }

    /// Whether a packet with messages may leave now, of at most `limit` bytes, if some are `ready`.
    pub(super) fn may_send(&mut self, ready: bool, limit: usize) -> bool {
        let recovery = &mut self.st.recovery;
        recovery.pacer.rest();
        if !ready || recovery.probe_due {
            return ready;
        }
        if !recovery.rtt.has_sample() {
            // RFC 8085 section 3.1: one datagram in flight before the round-trip time is known.
            return recovery.in_flight == 0;
        }
        if (recovery.congestion.room() as usize) < limit {
            recovery.congestion.on_limited();
            return false;
        }
        recovery.pacer.check(self.st.now)
    }

    /// Whether an urgent message may leave although the window is full, or the pace not come to it: a
    /// datagram's worth of them beyond the window.
    pub(super) fn may_hurry(&self, limit: usize) -> bool {
        let recovery = &self.st.recovery;
        recovery.rtt.has_sample() && recovery.congestion.is_within(limit)
    }

    fn on_packet_acked(&mut self, at: usize, packet: &SentPacket, ack: &Ack<'_>) {
        let delay = self.st.delay_of(ack);
        let recovery = &mut self.st.recovery;
        if packet.fate == Fate::InFlight {
            recovery.in_flight = recovery.in_flight.saturating_sub(1);
            recovery.congestion.on_acked(packet.time, packet.bytes, false);
            recovery.loss_rate.on_resolved(false);
            let is_largest = packet.pn(recovery.next_pn) == ack.largest;
            if let Some(delay) = delay.filter(|_| is_largest) {
                recovery.rtt.sample(self.st.now, self.st.now.saturating_since(packet.time), delay);
            }
        } else {
            self.st.stats.tx_spurious_losses = self.st.stats.tx_spurious_losses.wrapping_add(1);
            recovery.congestion.on_acked(packet.time, packet.bytes, true);
            recovery.loss_rate.on_spurious();
            let largest = recovery.largest_acked.map_or(0, PacketNumber::value);
            let distance = largest.saturating_sub(packet.pn(recovery.next_pn).value());
            let waited = self.st.now.saturating_since(packet.time);
            recovery.thresholds.on_spurious(distance, waited, &recovery.rtt);
        }
        let best_effort = u32::from(packet.best_effort);
        let ledger = &mut self.st.outbox.ledger;
        ledger.delivered = ledger.delivered.wrapping_add(best_effort);
        if packet.fate == Fate::InFlight {
            recovery.best_effort = recovery.best_effort.saturating_sub(u16::from(packet.best_effort));
        } else {
            ledger.lost = ledger.lost.wrapping_sub(best_effort);
        }
        let named = packet.acknowledged(recovery.received.largest());
        recovery.ack.on_known(packet.pn(recovery.next_pn), named);
        if let Some(packet) = self.sent().get_mut(at) {
            packet.fate = Fate::Acked;
        }
        for j in 0..packet.carried_len {
            if let Some(carried) = self.sent().carried(packet, j) {
                self.outbox().on_acked(carried);
            }
        }
    }

    /// Looks at every packet that something later overtook (RFC 9002 section 6.1).
    pub(super) fn detect_losses(&mut self) {
        let (now, thresholds) = (self.st.now, self.st.recovery.thresholds);
        let wait = thresholds.delay(&self.st.recovery.rtt);
        let largest = self.st.recovery.largest_acked;
        let mut lost: Option<(Instant, Instant)> = None;
        self.st.recovery.loss_time = None;
        let next = self.st.recovery.next_pn;
        let mut at = 0;
        while let Some(packet) = self.sent().get(at).copied() {
            let pn = packet.pn(next);
            if Some(pn) >= largest {
                break;
            }
            if packet.fate == Fate::InFlight {
                match thresholds.judge(pn, packet.time, largest, now, wait) {
                    loss::Verdict::Lost => {
                        self.on_packet_lost(at);
                        lost = Some((lost.map_or(packet.time, |(first, _)| first), packet.time));
                    }
                    loss::Verdict::Wait { until } => {
                        let earliest = self.st.recovery.loss_time.map_or(until, |time| time.min(until));
                        self.st.recovery.loss_time = Some(earliest);
                    }
                    loss::Verdict::Open => {}
                }
            }
            at += 1;
        }
        if let Some((first, last)) = lost
            && self.st.recovery.rtt.has_sample()
            && is_persistent(first, last, self.st.pto_period())
        {
            self.st.recovery.congestion.on_persistent_congestion(now);
            self.st.set_pace();
        }
        self.sent().prune(|_| false);
    }

    /// What was in the packet is due again.
    pub(super) fn on_packet_lost(&mut self, at: usize) {
        let now = self.st.now;
        let Some(packet) = self.sent().get_mut(at).map(|packet| {
            packet.fate = Fate::Lost;
            *packet
        }) else {
            return;
        };
        self.st.stats.tx_packets_lost = self.st.stats.tx_packets_lost.wrapping_add(1);
        let recovery = &mut self.st.recovery;
        recovery.in_flight = recovery.in_flight.saturating_sub(1);
        recovery.congestion.on_lost(packet.time, packet.bytes, now);
        recovery.best_effort = recovery.best_effort.saturating_sub(u16::from(packet.best_effort));
        let ledger = &mut self.st.outbox.ledger;
        ledger.lost = ledger.lost.wrapping_add(u32::from(packet.best_effort));
        recovery.loss_rate.on_resolved(true);
        for j in 0..packet.carried_len {
            if let Some(carried) = self.sent().carried(&packet, j) {
                self.outbox().on_lost(carried);
            }
        }
        // Control frames are said anew, as they are now, not as they were.
        self.say_again(packet.control());
        self.st.ping_due |= packet.control().ping;
    }

    /// The oldest packet in flight, if there is one: its place.
    fn oldest_in_flight(&mut self) -> Option<usize> {
        let sent = self.sent();
        (0..sent.len()).find(|at| sent.get(*at).is_some_and(|packet| packet.fate == Fate::InFlight))
    }

    /// Makes room to send one more ack-eliciting packet. A packet so old that the peer could not
    /// report it any more counts as lost.
    pub(super) fn reserve_packet(&mut self) -> bool {
        let reach = u64::from(self.st.peer.ack_reach).min(WINDOW - 1);
        let next = self.st.recovery.next_pn;
        while let Some(at) = self.oldest_in_flight() {
            let oldest = self.sent().get(at).map_or(next, |packet| packet.pn(next));
            if next.value().saturating_sub(oldest.value()) <= reach {
                break;
            }
            let sent = self.sent().get(at).map_or(Instant::ZERO, |packet| packet.time);
            if self.st.now < sent + self.st.recovery.rtt.smoothed().max(pto::GRANULARITY) {
                // It may be reported yet. A peer that reports nothing must not be sent to without end.
                return false;
            }
            self.on_packet_lost(at);
        }
        let mut sent = self.sent();
        if sent.carried_room() == 0 {
            sent.prune(|packet| packet.fate == Fate::Lost);
        }
        sent.reserve()
    }

    /// Says again what control frames in flight said, as it is now.
    fn repeat_control(&mut self) {
        let mut control = Control::default();
        for at in 0..self.sent().len() {
            if let Some(packet) = self.sent().get(at).filter(|packet| packet.fate == Fate::InFlight) {
                control.commit |= packet.control().commit;
                control.credit |= packet.control().credit;
                control.forward |= packet.control().forward;
                control.forwarded |= packet.control().forwarded;
                control.key |= packet.control().key;
            }
        }
        self.say_again(control);
    }

    fn say_again(&mut self, control: Control) {
        for stream in self.receive_streams() {
            stream.commit_due |= control.commit && stream.durable;
            stream.credit_due |= control.credit && stream.delivery.is_reliable();
            let told = stream.delivery.is_reliable() && stream.forward > SeqNo::ZERO;
            stream.forwarded_due |= control.forwarded && told;
        }
        if control.forward {
            self.outbox().on_forward_lost();
        }
        #[cfg(feature = "nk")]
        if control.key {
            self.st.say_key_again();
        }
    }

    fn has_room_for_probe(&mut self) -> bool {
        let mut sent = self.sent();
        if sent.carried_room() == 0 {
            sent.prune(|packet| packet.fate == Fate::Lost);
        }
        sent.reserve() && sent.carried_room() > 0
    }

    /// Nothing was heard for a probe timeout: asks again (RFC 9002 section 6.2.4), with the messages
    /// that the peer waits for. New data would serve as well where the peer has room for it.
    pub(super) fn on_probe_timeout(&mut self) {
        let random = self.st.draw() as u8;
        self.st.stats.tx_probes = self.st.stats.tx_probes.wrapping_add(1);
        let recovery = &mut self.st.recovery;
        recovery.jitter = random;
        recovery.pto_count = recovery.pto_count.saturating_add(1);
        recovery.probe_due = true;
        self.st.doubt_gateway();
        // A probe must be remembered, and what it carries: the oldest packets give up their places.
        while !self.has_room_for_probe() {
            let Some(at) = self.oldest_in_flight() else { return };
            self.on_packet_lost(at);
        }
        self.repeat_control();
        // What is next in order, and nothing else: the peer may have room for nothing but that.
        let streams = usize::from(self.st.send_len).max(1);
        let first = self.st.stats.tx_probes as usize;
        let outbox = self.outbox();
        let missing = (0..streams).map(|at| ((first + at) % streams) as u8);
        let stream = missing.into_iter().find(|stream| outbox.next_missing(*stream, NONE).is_some());
        self.st.recovery.probe_stream = stream;
    }
}
