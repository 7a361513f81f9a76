//! When the next datagram with messages may leave (RFC 9002 section 7.7): a leaky bucket as a
//! meter, told by the time at which it is empty again (the virtual scheduling algorithm of ITU-T I.371).

use crate::{Duration, Instant};

/// Fraction bits of a byte's time.
const SHIFT: u32 = 10;
/// Datagrams that may leave at once when nothing is in flight: the initial window of RFC 9002 section 7.2.
const BURST_IDLE: u8 = 10;
/// And otherwise: timers are late, and two datagrams are acknowledged at once.
const BURST: u8 = 3;

/// The pacer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    /// When all that was sent is paid for.
    paid: Instant,
    /// A byte's time, in 2^-10 microseconds; 0 before the first round-trip time.
    byte: u32,
    /// Something waits until then.
    waits: bool,
    /// Datagrams that may be sent before they are paid for.
    burst: u8,
    /// The same when something else is in flight.
    usual: u8,
}

impl Pacer {
    /// `gentle`: nothing leaves before its time, but for the first datagrams after idle.
    pub(crate) const fn new(gentle: bool) -> Self {
        let usual = if gentle { 1 } else { BURST };
        Self { paid: Instant::ZERO, byte: 0, waits: false, burst: usual, usual }
    }

    /// Once per round trip: 5/4 of a window each round-trip time (RFC 9002 section 7.7), twice in
    /// slow start, which doubles.
    pub(crate) fn set_rate(&mut self, window: u32, smoothed: Duration, slow_start: bool) {
        let per_round = if slow_start { u64::from(window) << 1 } else { u64::from(window) + (u64::from(window) >> 2) };
        let byte = (smoothed.as_micros().min(u64::from(u32::MAX)) << SHIFT).checked_div(per_round).unwrap_or(0);
        self.byte = u32::try_from(byte).unwrap_or(u32::MAX);
    }

    fn time(&self, bytes: u32) -> Duration {
        Duration::from_micros((u64::from(bytes) * u64::from(self.byte)) >> SHIFT)
    }

    /// When the bucket must be empty, to hold `burst` datagrams now: one less, that which is sent when all is paid.
    fn before(&self, now: Instant, datagram: u16, burst: u8) -> Instant {
        let credit = self.time(u32::from(datagram) * u32::from(burst - 1));
        Instant::from_micros(now.as_micros().saturating_sub(credit.as_micros()))
    }

    /// Nothing waits any more.
    pub(crate) fn rest(&mut self) {
        self.waits = false;
    }

    /// Something is to be sent: whether it may leave now. If not, it waits.
    pub(crate) fn check(&mut self, now: Instant) -> bool {
        self.waits = self.paid > now;
        !self.waits
    }

    /// When to ask again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waits.then_some(self.paid)
    }

    /// `idle`: nothing else was in flight. `datagram`: the longest.
    pub(crate) fn on_sent(&mut self, now: Instant, bytes: u16, idle: bool, datagram: u16) {
        if idle {
            self.burst = BURST_IDLE;
        }
        self.paid = self.paid.max(self.before(now, datagram, self.burst)) + self.time(u32::from(bytes));
        if self.paid >= self.before(now, datagram, self.usual) {
            self.burst = self.usual;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(100);

    fn pacer(window: u32) -> Pacer {
        let mut pacer = Pacer::new(false);
        pacer.set_rate(window, RTT, false);
        pacer
    }

    /// Datagrams that may leave at one instant.
    fn burst(pacer: &mut Pacer, now: Instant, mut idle: bool) -> u32 {
        let mut count = 0;
        while count < 100 && pacer.check(now) {
            pacer.on_sent(now, 1200, idle, 1200);
            idle = false;
            count += 1;
        }
        count
    }

    // RFC 9002 §7.7: a sender SHOULD limit bursts to the initial congestion window.
    #[test]
    fn a_burst_is_ten_datagrams_after_idle_and_three_otherwise() {
        let now = Instant::from_millis(60_000);
        assert_eq!(burst(&mut pacer(120_000), now, true), 10);
        assert_eq!(burst(&mut pacer(120_000), now, false), 3);
    }

    #[test]
    fn before_the_first_round_trip_nothing_waits() {
        assert_eq!(burst(&mut Pacer::new(false), Instant::ZERO, false), 100);
    }

    #[test]
    fn what_waits_has_a_deadline_and_what_does_not_has_none() {
        let now = Instant::from_millis(60_000);
        let mut pacer = pacer(12_000);
        burst(&mut pacer, now, false);
        // 1200 bytes of 15,000 in 100 ms.
        let due = pacer.deadline().unwrap();
        assert!(due > now && due <= now + Duration::from_millis(8), "{due:?}");
        assert!(pacer.check(due));
        assert_eq!(pacer.deadline(), None);
        pacer.check(now);
        pacer.rest();
        assert_eq!(pacer.deadline(), None);
    }

    proptest! {
        // RFC 9002 §7.7: the rate is 5/4 of a window in a round trip, whatever the pattern of asking.
        #[test]
        fn the_rate_holds(window in 2_400u32..1 << 20, waits in prop::collection::vec(1u64..40_000, 50..200)) {
            let mut pacer = pacer(window);
            let start = Instant::from_millis(60_000);
            let (mut now, mut bytes) = (start, 0u64);
            for wait in waits {
                now = now + Duration::from_micros(wait);
                while pacer.check(now) {
                    pacer.on_sent(now, 1200, false, 1200);
                    bytes += 1200;
                }
            }
            let micros = now.saturating_since(start).as_micros();
            let most = u64::from(window) * 5 / 4 * micros / RTT.as_micros() + 3 * 1200;
            prop_assert!(bytes <= most + most / 64, "{} {}", bytes, most);
        }
    }
}
