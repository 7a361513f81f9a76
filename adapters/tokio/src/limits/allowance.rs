//! How much one device may send: the session's bytes and messages a second.
//!
//! Only what is authentic is charged, or anybody could spend a device's allowance with forged packets. So it
//! is charged afterwards: while something is owed, nothing more is taken from the session, whose credit then
//! stops the device without a loss. A device that does not heed its credit, and owes [`AHEAD`], is not even
//! heard: its datagrams are dropped whole before the session sees them, are not acknowledged, and come again.

use core::num::NonZeroU32;

use whimbrel_core::Instant;

use super::Limits;
use super::rates::{Limiter, Rate, Time, limiter};

/// Bytes that a device may owe and still be heard.
const AHEAD: u32 = 64 << 10;
/// Counted for each datagram besides its bytes: its IPv6 and UDP headers, and the work on it.
const OVERHEAD: u32 = 48;

/// What one session may still send.
pub(crate) struct Allowance {
    bytes: Meter,
    messages: Meter,
}

impl Allowance {
    pub(crate) fn new(limits: &Limits, time: &Time) -> Self {
        // What is owed is paid at once, so that it must fit a burst.
        let burst_min = |rate: Rate, least: u32| rate.with_burst(rate.burst.max(least));
        Self {
            bytes: Meter::new(limits.device_bytes.map(|rate| burst_min(rate, Limits::DEVICE_BYTES_BURST_MIN)), time),
            messages: Meter::new(limits.device_messages, time),
        }
    }

    /// Whether the next datagram is to be dropped.
    pub(crate) fn is_overdrawn(&mut self) -> bool {
        self.bytes.owed >= AHEAD && self.bytes.settle().is_err()
    }

    /// An authentic datagram came.
    pub(crate) fn charge_datagram(&mut self, len: usize) {
        self.bytes.owe(u32::try_from(len).unwrap_or(u32::MAX).saturating_add(OVERHEAD));
    }

    /// The application got a message.
    pub(crate) fn charge_message(&mut self) {
        self.messages.owe(1);
    }

    /// Whether messages may be taken from the session; if not, when to ask again.
    pub(crate) fn settle(&mut self) -> Result<(), Instant> {
        self.bytes.settle().and(self.messages.settle())
    }
}

/// A rate, charged afterwards.
struct Meter {
    /// `None`: no limit.
    limiter: Option<(Limiter, u32)>,
    owed: u32,
}

impl Meter {
    fn new(rate: Option<Rate>, time: &Time) -> Self {
        Self { limiter: rate.map(|rate| (limiter(rate, time), rate.burst)), owed: 0 }
    }

    fn owe(&mut self, count: u32) {
        if let Some((_, burst)) = &self.limiter {
            // More than a burst could never be paid.
            self.owed = self.owed.saturating_add(count).min(*burst);
        }
    }

    fn settle(&mut self) -> Result<(), Instant> {
        let (Some((limiter, _)), Some(owed)) = (&self.limiter, NonZeroU32::new(self.owed)) else {
            return Ok(());
        };
        if let Ok(Err(refused)) = limiter.check_n(owed) {
            let at = refused.earliest_possible().as_nanos().div_ceil(1000);
            return Err(Instant::from_micros(u64::try_from(at).unwrap_or(u64::MAX)));
        }
        self.owed = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn allowance(bytes: Option<Rate>, messages: Option<Rate>, time: &Time) -> Allowance {
        Allowance::new(&Limits { device_bytes: bytes, device_messages: messages, ..Limits::default() }, time)
    }

    #[test]
    fn messages_are_taken_at_the_rate_and_the_wait_is_told() {
        let time = Time::default();
        let mut allowance = allowance(None, Some(Rate::per_second(10).with_burst(2)), &time);
        let mut taken = 0;
        while allowance.settle().is_ok() {
            allowance.charge_message();
            taken += 1;
        }
        // The third was charged afterwards.
        assert_eq!((taken, allowance.settle()), (3, Err(at(100))));
        time.advance(at(100));
        assert_eq!(allowance.settle(), Ok(()));
    }

    /// Datagrams of 1,000 bytes are offered every millisecond and dropped when they must be. Returns how
    /// many were heard within the first second and within the ten after it.
    fn heard(allowance: &mut Allowance, time: &Time) -> (usize, usize) {
        let (mut first, mut later) = (0, 0);
        for millis in 0..11_000 {
            time.advance(at(millis));
            if !allowance.is_overdrawn() {
                allowance.charge_datagram(1000);
                *if millis < 1000 { &mut first } else { &mut later } += 1;
            }
        }
        (first, later)
    }

    #[test]
    fn one_who_does_not_heed_the_push_back_is_heard_at_the_rate() {
        let time = Time::default();
        let mut allowance = allowance(Some(Rate::per_second(104_800)), None, &time);
        // In ten seconds ten times the rate, in datagrams with their overhead: 1,000.
        let (first, later) = heard(&mut allowance, &time);
        let unpaid = (AHEAD / 1048) as usize + 1;
        assert!(later.abs_diff(1000) <= unpaid, "{later}");
        // Before, a burst and a second's worth.
        assert!(first.abs_diff(225) <= unpaid, "{first}");
        assert!(allowance.settle().is_err(), "and its messages wait all the while");
    }

    #[test]
    fn without_a_limit_nothing_is_owed() {
        let time = Time::default();
        let mut allowance = allowance(None, None, &time);
        assert_eq!(heard(&mut allowance, &time), (1000, 10_000));
        assert_eq!(allowance.settle(), Ok(()));
    }

    #[test]
    fn what_nobody_charged_costs_nothing() {
        let time = Time::default();
        let mut allowance = allowance(Some(Rate::per_second(1)), Some(Rate::per_second(1)), &time);
        for _ in 0..1_000_000 {
            assert!(!allowance.is_overdrawn() && allowance.settle().is_ok());
        }
    }
}
