//! A device's clock: it runs at a rate of its own, and may step.

use whimbrel_core::{Duration, Instant};

const MILLION: i64 = 1_000_000;

/// What a device's clock says at the world's time. Integers only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// How much too fast it runs, in millionths; negative: too slow.
    ppm: i32,
    /// The world's time, and the clock's, at its last change.
    world: Instant,
    local: Instant,
}

impl Clock {
    /// A clock that shows the world's time at first.
    pub const fn new(ppm: i32) -> Self {
        Self { ppm, world: Instant::ZERO, local: Instant::ZERO }
    }

    /// How much too fast it runs, in millionths.
    pub const fn ppm(&self) -> i32 {
        self.ppm
    }

    fn rate(&self) -> u128 {
        (MILLION + i64::from(self.ppm)).max(1) as u128
    }

    /// What it says at `now`.
    pub fn at(&self, now: Instant) -> Instant {
        let elapsed = u128::from(now.saturating_since(self.world).as_micros());
        self.local + Duration::from_micros((elapsed * self.rate() / MILLION as u128) as u64)
    }

    /// The first time of the world at which it says `local`, or more.
    pub fn when(&self, local: Instant) -> Instant {
        let ahead = u128::from(local.saturating_since(self.local).as_micros());
        self.world + Duration::from_micros((ahead * MILLION as u128).div_ceil(self.rate()) as u64)
    }

    /// From `now` on it shows so many microseconds more, or fewer; not less than zero.
    pub fn step(&mut self, now: Instant, micros: i64) {
        let local = self.at(now).as_micros().saturating_add_signed(micros);
        *self = Self { world: now, local: Instant::from_micros(local), ..*self };
    }

    /// From `now` on it runs at another rate.
    pub fn drift(&mut self, now: Instant, ppm: i32) {
        *self = Self { ppm, world: now, local: self.at(now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_comes_when_the_clock_says_so_and_not_before() {
        for ppm in [-500, -1, 0, 3, 500] {
            let mut clock = Clock::new(ppm);
            clock.step(Instant::from_micros(777_777), -1_234);
            for micros in [0, 900_000, 1_000_001, 123_456_789] {
                let local = Instant::from_micros(micros);
                let when = clock.when(local);
                assert!(clock.at(when) >= local, "{ppm} {micros}");
                let before = Instant::from_micros(when.as_micros().saturating_sub(1));
                assert!(when == clock.world || clock.at(before) < local, "{ppm} {micros}");
            }
        }
    }

    #[test]
    fn a_fast_clock_shows_more() {
        let mut clock = Clock::new(100);
        assert_eq!(clock.at(Instant::from_millis(10_000)), Instant::from_micros(10_001_000));
        clock.step(Instant::from_millis(10_000), 5);
        clock.drift(Instant::from_millis(10_000), 0);
        assert_eq!(clock.at(Instant::from_millis(20_000)), Instant::from_micros(20_001_005));
    }
}
