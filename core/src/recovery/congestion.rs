//! How much may be in flight: NewReno in bytes (RFC 9002 section 7), behind the interface that
//! a better controller will have.

use crate::{Duration, Instant};

/// The congestion window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Congestion {
    window: u32,
    slow_start_threshold: u32,
    in_flight: u32,
    /// Losses of packets sent before this belong to an event that was answered already.
    recovery_start: Option<Instant>,
    datagram: u32,
}

impl Congestion {
    /// The initial window of RFC 9002 section 7.2: ten datagrams, at most 14,720 bytes.
    pub(crate) fn new(max_datagram: u16) -> Self {
        let datagram = u32::from(max_datagram);
        Self {
            window: (datagram * 10).min(14_720.max(datagram * 2)),
            slow_start_threshold: u32::MAX,
            in_flight: 0,
            recovery_start: None,
            datagram,
        }
    }

    /// RFC 9002 section 7.2 recommends two datagrams. Four, because on a radio link most losses
    /// are not congestion, and readings are a fraction of a datagram.
    fn minimum(&self) -> u32 {
        self.datagram * 4
    }

    /// Bytes that may be sent now.
    pub(crate) fn room(&self) -> u32 {
        self.window.saturating_sub(self.in_flight)
    }

    pub(crate) fn on_sent(&mut self, bytes: u16) {
        self.in_flight = self.in_flight.saturating_add(u32::from(bytes));
    }

    /// `limited`: the window, not the application, kept the sender from sending more (RFC 9002 section 7.8).
    pub(crate) fn on_acked(&mut self, sent: Instant, bytes: u16, limited: bool) {
        self.in_flight = self.in_flight.saturating_sub(u32::from(bytes));
        if self.recovery_start.is_some_and(|start| sent <= start) || !limited {
            return;
        }
        let grown = if self.window < self.slow_start_threshold {
            u32::from(bytes)
        } else {
            // One datagram per window acknowledged.
            (self.datagram * u32::from(bytes)).checked_div(self.window).unwrap_or(0)
        };
        self.window = self.window.saturating_add(grown).min(Self::MAX);
    }

    /// A bound on what a fault in the peer can make us believe: 16 MiB.
    const MAX: u32 = 1 << 24;

    pub(crate) fn on_lost(&mut self, sent: Instant, bytes: u16, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(u32::from(bytes));
        if self.recovery_start.is_none_or(|start| sent > start) {
            // RFC 9002 section 7.3.2: once per round trip, by half.
            self.recovery_start = Some(now);
            self.slow_start_threshold = (self.window >> 1).max(self.minimum());
            self.window = self.slow_start_threshold;
        }
    }

    /// Nothing arrived over three probe timeouts (RFC 9002 section 7.6): the path may be another one now.
    pub(crate) fn on_persistent_congestion(&mut self) {
        self.window = self.minimum();
        self.recovery_start = None;
    }

    /// Three probe timeouts, from the first packet lost to the last (RFC 9002 section 7.6.1).
    pub(crate) fn is_persistent(first_lost: Instant, last_lost: Instant, pto: Duration) -> bool {
        last_lost.saturating_since(first_lost) > pto.saturating_add(pto.saturating_shl(1))
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
            congestion.on_sent(1200);
            congestion.on_lost(at(sent), 1200, at(50));
        }
        assert_eq!(congestion.window, before / 2);
        assert_eq!(congestion.room(), before / 2);
        congestion.on_sent(1200);
        congestion.on_lost(at(60), 1200, at(90));
        assert_eq!(congestion.window, congestion.minimum());
    }

    // RFC 9002 §7.8: a window that was not used does not grow.
    #[test]
    fn the_window_grows_only_when_it_is_the_limit() {
        let mut congestion = Congestion::new(1200);
        let before = congestion.window;
        congestion.on_sent(1200);
        congestion.on_acked(at(1), 1200, false);
        assert_eq!(congestion.window, before);
        congestion.on_sent(1200);
        congestion.on_acked(at(2), 1200, true);
        assert_eq!(congestion.window, before + 1200);
    }
}
