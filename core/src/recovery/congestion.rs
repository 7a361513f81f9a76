//! How much may be in flight, told by delay: in the manner of FAST TCP (Wei, Jin, Low and Hegde,
//! IEEE/ACM Transactions on Networking 14(6), 2006), with what was delivered in place of the window.
//!
//! Once per round trip the window goes halfway to `rate * minimum RTT + ALPHA`: what the path holds
//! at the rate at which it delivers, and a few datagrams that keep its queue from running dry. A
//! loss says nothing by itself, for on a radio link most are not congestion; a share `p` of losses
//! lowers what is delivered, and bounds the window to `ALPHA / p`. docs/CONGESTION.md has the
//! measurements.

use super::loss_rate::LossRate;
use super::rtt::Rtt;
use super::sent_packets::Low;
use crate::{Duration, Instant, PacketNumber};

/// Datagrams that a flow keeps in the queue.
const ALPHA: u32 = 8;
/// And where urgent messages share the path with others: they would wait behind them in that queue.
const ALPHA_GENTLE: u32 = 2;
/// So many less where an eighth of all packets is lost, or more: if the queue is too short for
/// `ALPHA`, a smaller one fits; if the losses have another cause, it does still.
const ALPHA_LOSS: u32 = 2;
/// But no more than it delivers in that time, in microseconds ..
const ALPHA_TIME: u64 = 500_000;
/// .. and no less than that many: the smallest window of RFC 9002 section 7.2.
const ALPHA_MIN: u32 = 2;
/// A bound on what a fault in the peer can make us believe: 16 MiB.
const WINDOW_MAX: u32 = 1 << 24;
/// Slow start ends when every sample of a round shows a queue of this, or of an eighth of the
/// minimum: HyStart++ (RFC 9406 section 4.2), whose bounds are 4 and 16 ms.
const QUEUE_MIN: Duration = Duration::from_millis(4);
/// Samples of one round that must agree.
const SAMPLES: u8 = 3;
/// Without a short sample for that long, the window shrinks for a moment, so that the queue drains
/// and shows the minimum; shorter than [`super::rtt::WINDOW`], after which it would be forgotten.
const DRAIN_AFTER: Duration = Duration::from_secs(9);
/// The moment: long enough that flows which share a queue drain it together, as ProbeRTT of BBR
/// (draft-cardwell-iccrg-bbr-congestion-control section 4.3.4), and a round trip at least.
const DRAIN: Duration = Duration::from_millis(200);

/// The initial window of RFC 9002 section 7.2: ten datagrams, at most 14,720 bytes.
pub(crate) fn initial_window(max_datagram: u16) -> u32 {
    let datagram = u32::from(max_datagram);
    (datagram * 10).min(14_720.max(datagram * 2))
}

/// Three probe timeouts, from the first packet lost to the last (RFC 9002 section 7.6.1).
pub(crate) fn is_persistent(first_lost: Instant, last_lost: Instant, pto: Duration) -> bool {
    last_lost.saturating_since(first_lost) > pto.saturating_add(pto.saturating_shl(1))
}

/// The congestion window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Congestion {
    window: u32,
    in_flight: u32,
    /// Bytes acknowledged, and lost, in this round.
    delivered: u32,
    lost: u32,
    /// The smallest sample of the round, in microseconds.
    shortest: u32,
    /// The window before the last collapse, of packets sent before that instant.
    before: u32,
    collapsed_at: Instant,
    /// What was delivered in the round before, in bytes per 2^20 microseconds.
    rate: u32,
    /// A round ends when a packet is acknowledged that was sent after it began.
    round_end: Low,
    round_start: Instant,
    drain_end: Instant,
    datagram: u16,
    /// Datagrams to keep in the queue.
    alpha: u8,
    samples: u8,
    /// Rounds that began with a path that was not full, and so say nothing of its rate.
    skip: u8,
    /// The window kept the sender from sending more, in this round and in the one before.
    limited: bool,
    was_limited: bool,
    slow_start: bool,
    draining: bool,
    /// The window while the queue drains.
    drained: u32,
}

impl Congestion {
    pub(crate) fn new(max_datagram: u16) -> Self {
        Self {
            alpha: ALPHA as u8,
            window: initial_window(max_datagram),
            in_flight: 0,
            delivered: 0,
            lost: 0,
            shortest: u32::MAX,
            before: 0,
            collapsed_at: Instant::ZERO,
            rate: 0,
            round_end: Low::default(),
            round_start: Instant::ZERO,
            drain_end: Instant::ZERO,
            datagram: max_datagram,
            samples: 0,
            skip: 0,
            limited: false,
            was_limited: false,
            slow_start: true,
            draining: false,
            drained: 0,
        }
    }

    /// The same, but when `gentle` it keeps the queue so short that urgent messages do not wait in it, and
    /// yields to others; it counts in datagrams of half the size.
    pub(crate) fn gentle(self, gentle: bool) -> Self {
        if gentle { Self { alpha: ALPHA_GENTLE as u8, datagram: self.datagram >> 1, ..self } } else { self }
    }

    fn datagrams(&self, count: u32) -> u32 {
        u32::from(self.datagram) * count
    }

    /// Bytes that may be sent now.
    pub(crate) fn room(&self) -> u32 {
        let window = if self.draining { self.drained } else { self.window };
        window.saturating_sub(self.in_flight)
    }

    /// The window, in bytes.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    /// Whether less is in flight than the window and so many bytes beyond it.
    pub(crate) fn is_within(&self, beyond: usize) -> bool {
        (self.in_flight as usize) < self.window as usize + beyond
    }

    /// Whether the window kept the sender from sending more, in this round or in the one before.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited || self.was_limited
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(crate) fn is_slow_start(&self) -> bool {
        self.slow_start
    }

    pub(crate) fn on_sent(&mut self, now: Instant, pn: PacketNumber, bytes: u16) {
        if self.in_flight == 0 {
            self.begin_round(now, pn);
            self.skip = self.skip.max(1);
        }
        self.in_flight = self.in_flight.saturating_add(u32::from(bytes));
    }

    /// There is more to send than the window allows.
    pub(crate) fn on_limited(&mut self) {
        self.limited = true;
    }

    /// `was_lost`: it counted as lost, and as no longer in flight.
    pub(crate) fn on_acked(&mut self, sent: Instant, bytes: u16, was_lost: bool) {
        let bytes = u32::from(bytes);
        self.delivered = self.delivered.saturating_add(bytes);
        if !was_lost {
            self.in_flight = self.in_flight.saturating_sub(bytes);
        } else {
            self.lost = self.lost.saturating_sub(bytes);
            if sent <= self.collapsed_at {
                // It was no collapse.
                self.window = self.window.max(core::mem::take(&mut self.before));
            }
        }
        // RFC 9002 sections 7.3.1 and 7.8.
        if self.slow_start && (self.limited || self.was_limited) {
            self.window = self.window.saturating_add(bytes).min(WINDOW_MAX);
        }
    }

    pub(crate) fn on_lost(&mut self, _sent: Instant, bytes: u16, _now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(u32::from(bytes));
        self.lost = self.lost.saturating_add(u32::from(bytes));
    }

    /// An ACK frame brought news: the losses and acknowledgements of its packets, up to `acked`,
    /// are known. `next`: the number of our next packet. Says whether a round trip ended.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        acked: PacketNumber,
        next: PacketNumber,
        rtt: &Rtt,
        loss: LossRate,
    ) -> bool {
        self.samples = self.samples.saturating_add(1);
        self.shortest = self.shortest.min(u32::try_from(rtt.latest().as_micros()).unwrap_or(u32::MAX));
        if self.slow_start && self.samples >= SAMPLES && self.has_queue(rtt) {
            self.slow_start = false;
        }
        if self.draining && self.drain_end <= now {
            self.draining = false;
            // The path fills again in this round.
            self.skip = 1;
            self.begin_round(now, next);
            return true;
        }
        if Low::of(acked).is_before(self.round_end) {
            return false;
        }
        self.end_round(now, rtt, loss);
        self.begin_round(now, next);
        true
    }

    fn has_queue(&self, rtt: &Rtt) -> bool {
        let minimum = rtt.minimum();
        let queue = Duration::from_micros(u64::from(self.shortest)).saturating_sub(minimum);
        queue >= Duration::from_micros(minimum.as_micros() >> 3).max(QUEUE_MIN)
    }

    fn begin_round(&mut self, now: Instant, next: PacketNumber) {
        self.round_end = Low::of(next);
        self.round_start = now;
        (self.delivered, self.lost) = (0, 0);
        (self.shortest, self.samples) = (u32::MAX, 0);
        self.was_limited = core::mem::take(&mut self.limited);
    }

    fn end_round(&mut self, now: Instant, rtt: &Rtt, loss: LossRate) {
        if self.slow_start && self.lost > self.delivered >> 1 {
            // A third is lost: the queue is shorter than what slow start adds.
            self.slow_start = false;
        }
        let limited = self.limited && self.was_limited;
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        if self.draining || self.slow_start {
            return;
        }
        let goal = self.goal(now, rtt, loss);
        // RFC 9002 section 7.8: a window that was not used does not grow. Nor does it say by how
        // much it is too large, unless the delay does.
        if limited || (goal < self.window && self.shortest > self.double(rtt)) {
            self.window = (self.window + goal) >> 1;
        }
        if limited && rtt.minimum_age(now) > DRAIN_AFTER {
            self.draining = true;
            // Less than what the path holds: the queue drains, and the flow goes on.
            let path = u64::from(self.rate).saturating_mul(rtt.minimum().as_micros()) >> 20;
            self.drained = u32::try_from(path - (path >> 3)).unwrap_or(u32::MAX).max(self.datagrams(ALPHA_MIN));
            self.drain_end = now + DRAIN.max(rtt.smoothed());
        }
    }

    fn double(&self, rtt: &Rtt) -> u32 {
        u32::try_from(rtt.minimum().as_micros() << 1).unwrap_or(u32::MAX)
    }

    /// What the path holds at the rate of this round, and what is to stand in its queue.
    fn goal(&mut self, now: Instant, rtt: &Rtt, loss: LossRate) -> u32 {
        let span = now.saturating_since(self.round_start).as_micros();
        // Bytes in 2^20 microseconds: the one division of a round trip.
        let rate = (u64::from(self.delivered) << 20).checked_div(span).unwrap_or(0);
        // The better of two rounds: where packets are lost at random, few of a round can be all lost.
        let rate = u32::try_from(rate).unwrap_or(u32::MAX);
        let rate = u64::from(rate.max(core::mem::replace(&mut self.rate, rate)));
        let within = |micros: u64| u32::try_from(rate.saturating_mul(micros) >> 20).unwrap_or(u32::MAX);
        // 256 where an eighth is lost.
        let lossy = (u32::from(loss.fraction()) >> 5).min(256);
        let most = u32::from(self.alpha);
        let alpha = self.datagrams(most) - ((self.datagrams(ALPHA_LOSS.min(most >> 1)) * lossy) >> 8);
        let alpha = alpha.min(within(ALPHA_TIME)).max(self.datagrams(ALPHA_MIN.min(most)));
        let goal = within(rtt.minimum().as_micros()).saturating_add(alpha);
        goal.clamp(self.minimum(), WINDOW_MAX)
    }

    /// RFC 9002 section 7.2 recommends two datagrams. Four, because on a radio link most losses
    /// are not congestion, and readings are a fraction of a datagram.
    fn minimum(&self) -> u32 {
        self.datagrams(4)
    }

    /// Nothing arrived over three probe timeouts (RFC 9002 section 7.6): the path may be another one now.
    pub(crate) fn on_persistent_congestion(&mut self, now: Instant) {
        self.before = self.window;
        self.collapsed_at = now;
        self.window = self.minimum();
        self.slow_start = true;
        self.draining = false;
    }
}

// Too long for Miri: paths of thousands of packets.
#[cfg(all(test, not(miri)))]
#[path = "congestion_tests.rs"]
mod tests;
