//! How many of our packets are lost: a moving average in integers.

/// All of them, as a fraction of 2^16.
const ONE: u16 = u16::MAX;
/// Packets after which the average is as slow as it gets; a power of two.
const SETTLED: u8 = 64;

/// The fraction of packets lost, among about the last hundred.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LossRate {
    /// As a fraction of 2^16.
    average: u16,
    /// Packets resolved so far, as far as it matters.
    count: u8,
}

impl LossRate {
    /// Gain 1/8 for the first sixteen packets, so that a bad path is known soon; then less, down to
    /// 1/64, so that a good estimate stays one: half its deviation is `sqrt(p (1 - p) / 128)`.
    fn shift(self) -> u32 {
        self.count.checked_ilog2().unwrap_or(0).clamp(3, 6)
    }

    /// The fate of a packet is known.
    pub(crate) fn on_resolved(&mut self, lost: bool) {
        let shift = self.shift();
        if lost {
            self.average += (ONE - self.average) >> shift;
        } else {
            // Rounded up, so that it reaches zero.
            self.average -= (self.average >> shift).max(1).min(self.average);
        }
        self.count = (self.count + 1).min(SETTLED);
    }

    /// A packet that was declared lost arrived after all.
    pub(crate) fn on_spurious(&mut self) {
        self.average = self.average.saturating_sub(ONE >> self.shift());
    }

    /// The estimate, as a fraction of 2^16.
    pub(crate) fn fraction(self) -> u16 {
        self.average
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl LossRate {
        fn per_mille(self) -> u16 {
            ((u32::from(self.average) * 1_000) >> 16) as u16
        }
    }

    #[test]
    fn a_bad_path_is_known_soon_and_a_good_one_again() {
        let mut rate = LossRate::default();
        (0..20).for_each(|at| rate.on_resolved(at % 2 == 0));
        assert!((300..700).contains(&rate.per_mille()), "{}", rate.per_mille());
        (0..1_000).for_each(|_| rate.on_resolved(false));
        assert_eq!(rate.per_mille(), 0);
    }

    #[test]
    fn what_was_not_lost_is_taken_back() {
        let mut rate = LossRate::default();
        (0..100).for_each(|_| rate.on_resolved(false));
        rate.on_resolved(true);
        assert!(rate.per_mille() > 10);
        rate.on_spurious();
        assert_eq!(rate.per_mille(), 0);
    }

    proptest! {
        // A naive model: the ratio over all packets of a path that does not change.
        #[test]
        fn finds_the_rate_of_a_steady_path(per_mille in 0u32..1_000, seed: u64) {
            let mut rate = LossRate::default();
            let (mut random, mut sum) = (seed, 0u32);
            for at in 0u32..4_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                rate.on_resolved((random >> 33) % 1_000 < u64::from(per_mille));
                if at >= 400 {
                    sum += u32::from(rate.per_mille());
                }
            }
            // Averaged over a long time: the estimate has no bias beyond its rounding.
            prop_assert!((sum / 3_600).abs_diff(per_mille) < 40, "{} for {}", sum / 3_600, per_mille);
        }
    }
}
