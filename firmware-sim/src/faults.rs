//! What a link does to the frames that cross it.

use thiserror::Error;
use whimbrel_core::Duration;

/// The faults of one direction of a link. [`crate::link::Link::set_faults`] may change them at any time, to
/// [`Faults::BLACKOUT`] for instance.
///
/// Chances are from 0 (never) to 1 (always). Each frame is judged by itself, but for [`Faults::burst`].
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
    /// Losses that come in bursts, besides `loss`.
    pub burst: Option<Burst>,
    /// Where the link is narrow; `None`: frames do not hinder each other.
    pub bottleneck: Option<Bottleneck>,
    /// The longest frame that passes, in bytes, without the bottleneck's overhead; `None`: any.
    pub mtu: Option<usize>,
    /// The link is cut: no frame enters. Those in flight still arrive.
    pub partition: bool,
}

/// The Gilbert-Elliott model of losses in bursts (E. N. Gilbert, "Capacity of a burst-noise channel", Bell System
/// Technical Journal 39, 1960; E. O. Elliott, "Estimates of error rates for codes on burst-noise channels", ibid. 42,
/// 1963): a link is good or bad, loses accordingly, and may change with every frame. It begins good.
///
/// The mean share of frames in the bad state is `enter / (enter + leave)`, a stay there lasts `1 / leave` frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Chance that a good link turns bad, before each frame.
    pub enter: f64,
    /// Chance that a bad link turns good, before each frame.
    pub leave: f64,
    /// Chance that a good link loses a frame; 0 in Gilbert's model.
    pub loss_good: f64,
    /// Chance that a bad link loses a frame.
    pub loss_bad: f64,
}

/// A rate, and a drop-tail queue before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    /// Bytes a second; 0 counts as 1.
    pub rate: u64,
    /// Frames that may be in it, the one being sent included. Another one is dropped.
    pub queue: usize,
    /// Bytes that each frame takes besides its own: 28 for IPv4 and UDP headers around a UDP payload.
    pub overhead: usize,
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
        burst: None,
        bottleneck: None,
        mtu: None,
        partition: false,
    };

    /// A link that loses everything.
    pub const BLACKOUT: Self = Self { loss: 1.0, ..Self::NONE };

    /// The same faults, when every chance is one.
    ///
    /// # Errors
    /// When a chance is not a number from 0 to 1.
    pub fn checked(self) -> Result<Self, FaultsError> {
        let Self { loss, reorder, duplicate, corrupt, burst, .. } = self;
        let chances = [("loss", loss), ("reordering", reorder), ("duplication", duplicate), ("corruption", corrupt)];
        let bursts = burst.map(|burst| {
            [
                ("a burst's beginning", burst.enter),
                ("a burst's end", burst.leave),
                ("loss between bursts", burst.loss_good),
                ("loss in a burst", burst.loss_bad),
            ]
        });
        // `contains` is false for what is not a number.
        let wrong = |(_, chance): &(&str, f64)| !(0.0..=1.0).contains(chance);
        match chances.into_iter().chain(bursts.into_iter().flatten()).find(wrong) {
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
        let burst = Burst { enter: 0.1, leave: 0.5, loss_good: 0.0, loss_bad: 1.0 };
        assert!(Faults { burst: Some(burst), ..Faults::NONE }.checked().is_ok());
        for wrong in [
            Burst { enter: 1.1, ..burst },
            Burst { leave: -0.1, ..burst },
            Burst { loss_good: f64::NAN, ..burst },
            Burst { loss_bad: 2.0, ..burst },
        ] {
            assert!(Faults { burst: Some(wrong), ..Faults::NONE }.checked().is_err());
        }
    }
}
