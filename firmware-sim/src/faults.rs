//! What a link does to the frames that cross it.

use thiserror::Error;
use whimbrel_core::Duration;

/// The faults of one direction of a link. Each frame is judged by itself: there is no burst in it, but
/// [`crate::link::Link::set_faults`] may change the faults at any time, to [`Faults::BLACKOUT`] for instance.
///
/// Chances are from 0 (never) to 1 (always).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// Chance that a frame is lost.
    pub loss: f64,
    /// Chance that a frame is held back by `reorder_delay`, so that later ones overtake it.
    pub reorder: f64,
    /// Chance that a second copy of a frame follows the first.
    pub duplicate: f64,
    /// Chance that a copy of a frame is spoilt.
    pub corrupt: f64,
    /// How long every frame takes.
    pub delay: Duration,
    /// How much longer a reordered frame takes. Default 10 ms.
    pub reorder_delay: Duration,
}

/// Why faults are refused.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("the chance of {fault} is {chance}, which is not within 0 and 1")]
pub struct FaultsError {
    /// Which one.
    pub fault: &'static str,
    /// What was asked for.
    pub chance: f64,
}

impl Faults {
    /// A perfect link.
    pub const NONE: Self = Self {
        loss: 0.0,
        reorder: 0.0,
        duplicate: 0.0,
        corrupt: 0.0,
        delay: Duration::ZERO,
        reorder_delay: Duration::from_millis(10),
    };

    /// A link that loses everything.
    pub const BLACKOUT: Self = Self { loss: 1.0, ..Self::NONE };

    /// The same faults, when every chance is one.
    ///
    /// # Errors
    /// When a chance is not a number from 0 to 1.
    pub fn checked(self) -> Result<Self, FaultsError> {
        let Self { loss, reorder, duplicate, corrupt, delay: _, reorder_delay: _ } = self;
        let chances = [("loss", loss), ("reordering", reorder), ("duplication", duplicate), ("corruption", corrupt)];
        // `contains` is false for what is not a number.
        match chances.into_iter().find(|(_, chance)| !(0.0..=1.0).contains(chance)) {
            Some((fault, chance)) => Err(FaultsError { fault, chance }),
            None => Ok(self),
        }
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_from_zero_to_one() {
        assert_eq!(Faults::NONE.checked(), Ok(Faults::NONE));
        assert_eq!(Faults::BLACKOUT.checked(), Ok(Faults::BLACKOUT));
        let error = Faults { corrupt: 1.5, ..Faults::NONE }.checked().unwrap_err();
        assert_eq!(error.to_string(), "the chance of corruption is 1.5, which is not within 0 and 1");
        for loss in [-0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Faults { loss, ..Faults::NONE }.checked().unwrap_err().fault, "loss");
        }
        for wrong in [Faults { reorder: 2.0, ..Faults::NONE }, Faults { duplicate: 2.0, ..Faults::NONE }] {
            assert!(wrong.checked().is_err());
        }
    }
}
