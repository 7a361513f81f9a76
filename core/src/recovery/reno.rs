//! NewReno in bytes (RFC 9002 section 7 and appendix B): what the controller in use is measured
//! against. Only tests and benchmarks have it.

use super::congestion::initial_window;
use super::loss_rate::LossRate;
use super::rtt::Rtt;
use crate::{Instant, PacketNumber};

/// The congestion window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Congestion {
    window: u32,
    slow_start_threshold: u32,
    in_flight: u32,
    /// Losses of packets sent before this belong to an event that was answered already.
    recovery_start: Option<Instant>,
    datagram: u32,
    limited: bool,
    round_end: PacketNumber,
}

impl Congestion {
    pub(crate) fn new(max_datagram: u16) -> Self {
        Self {
            window: initial_window(max_datagram),
            slow_start_threshold: u32::MAX,
            in_flight: 0,
            recovery_start: None,
            datagram: u32::from(max_datagram),
            limited: false,
            round_end: PacketNumber::new(0),
        }
    }

    /// Whether less is in flight than the window and so many bytes beyond it.
    pub(crate) fn is_within(&self, beyond: usize) -> bool {
        (self.in_flight as usize) < self.window as usize + beyond
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.limited
    }

    /// Reno fills the queue whoever waits in it.
    pub(crate) fn gentle(self, _: bool) -> Self {
        self
    }

    fn minimum(&self) -> u32 {
        self.datagram * 2
    }

    pub(crate) fn room(&self) -> u32 {
        self.window.saturating_sub(self.in_flight)
    }

    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    pub(crate) fn is_slow_start(&self) -> bool {
        self.window < self.slow_start_threshold
    }

    pub(crate) fn on_sent(&mut self, _: Instant, _: PacketNumber, bytes: u16) {
        self.in_flight = self.in_flight.saturating_add(u32::from(bytes));
    }

    pub(crate) fn on_limited(&mut self) {
        self.limited = true;
    }

    pub(crate) fn on_acked(&mut self, sent: Instant, bytes: u16, was_lost: bool) {
        if !was_lost {
            self.in_flight = self.in_flight.saturating_sub(u32::from(bytes));
        }
        if self.recovery_start.is_some_and(|start| sent <= start) || !self.limited {
            return;
        }
        let grown = if self.is_slow_start() {
            u32::from(bytes)
        } else {
            // One datagram per window acknowledged.
            (self.datagram * u32::from(bytes)).checked_div(self.window).unwrap_or(0)
        };
        self.window = self.window.saturating_add(grown).min(1 << 24);
    }

    pub(crate) fn on_ack(&mut self, _: Instant, acked: PacketNumber, next: PacketNumber, _: &Rtt, _: LossRate) -> bool {
        let round = acked >= self.round_end;
        if round {
            self.round_end = next;
            self.limited = self.room() < self.datagram;
        }
        round
    }

    pub(crate) fn on_lost(&mut self, sent: Instant, bytes: u16, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(u32::from(bytes));
        if self.recovery_start.is_none_or(|start| sent > start) {
            // RFC 9002 section 7.3.2: once per round trip, by half.
            self.recovery_start = Some(now);
            self.slow_start_threshold = (self.window >> 1).max(self.minimum());
            self.window = self.slow_start_threshold;
        }
    }

    pub(crate) fn on_persistent_congestion(&mut self, _: Instant) {
        self.window = self.minimum();
        self.recovery_start = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    // RFC 9002 §7.3.2: one reduction per round trip, however many packets were lost in it.
    #[test]
    fn a_burst_of_losses_halves_once() {
        let mut congestion = Congestion::new(1200);
        let before = congestion.window;
        for sent in 0..4 {
            congestion.on_sent(at(0), PacketNumber::new(0), 1200);
            congestion.on_lost(at(sent), 1200, at(50));
        }
        assert_eq!(congestion.window, before / 2);
        assert_eq!(congestion.room(), before / 2);
        for sent in 60..64 {
            congestion.on_sent(at(0), PacketNumber::new(0), 1200);
            congestion.on_lost(at(sent * 100), 1200, at(sent * 100 + 50));
        }
        assert_eq!(congestion.window, congestion.minimum());
    }

    // RFC 9002 §7.8: a window that was not used does not grow.
    #[test]
    fn the_window_grows_only_when_it_is_the_limit() {
        let mut congestion = Congestion::new(1200);
        let before = congestion.window;
        congestion.on_sent(at(0), PacketNumber::new(0), 1200);
        congestion.on_acked(at(1), 1200, false);
        assert_eq!(congestion.window, before);
        congestion.on_limited();
        congestion.on_sent(at(0), PacketNumber::new(1), 1200);
        congestion.on_acked(at(2), 1200, false);
        assert_eq!(congestion.window, before + 1200);
    }
}
