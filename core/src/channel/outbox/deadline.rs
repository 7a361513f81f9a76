//! Deadlines in four bytes.

use super::NEVER;
use crate::Instant;

/// A deadline in units of 1,024 microseconds, modulo 2^32: some fifty days. Rounded down, so that nothing
/// is sent after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(u32);

/// Microseconds in a unit, as a shift.
const UNIT: u32 = 10;

impl Deadline {
    pub(super) const NEVER: Self = Self(0);
    /// It came while the message, which had arrived, waited to be stored: should it turn out not to be, it is
    /// of no use any more.
    pub(super) const PAST: Self = Self(1);

    pub(super) const fn of(time: Instant) -> Self {
        if time.as_micros() == NEVER.as_micros() {
            return Self::NEVER;
        }
        let units = (time.as_micros() >> UNIT) as u32;
        // Those that would read as never or past come later: once in fifty days, two milliseconds.
        Self(if units <= Self::PAST.0 { Self::PAST.0 + 1 } else { units })
    }

    /// The full time, if it is still to come: the first at or after `first`, which no deadline that is kept lies before.
    pub(super) const fn expand(self, first: Instant) -> Option<Instant> {
        if self.0 <= Self::PAST.0 {
            return None;
        }
        let first = first.as_micros() >> UNIT;
        let units = first.saturating_add(self.0.wrapping_sub(first as u32) as u64);
        Some(Instant::from_micros(units << UNIT))
    }

    pub(super) const fn is_past(self) -> bool {
        self.0 == Self::PAST.0
    }

    pub(super) const fn is_never(self) -> bool {
        self.0 == Self::NEVER.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Duration;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_comes_back_at_most_a_unit_early(first in 1u64 << 11..1 << 40, ahead in 0u64..1 << 41) {
            let first = Instant::from_micros(first);
            let time = first + Duration::from_micros(ahead);
            let back = Deadline::of(time).expand(first).unwrap();
            prop_assert!(back <= time && time.saturating_since(back).as_micros() < 2 << UNIT, "{back:?} for {time:?}");
        }
    }

    #[test]
    fn never_is_never() {
        assert!(Deadline::of(NEVER).is_never());
        assert_eq!(Deadline::of(NEVER).expand(Instant::from_millis(9)), None);
        assert!(!Deadline::of(Instant::from_micros(1 << 42)).is_never());
    }
}
