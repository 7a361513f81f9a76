//! The round-trip time estimator of RFC 9002 section 5.

use crate::Duration;

/// Smoothed round-trip time and its variation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    pub(crate) latest: Duration,
    pub(crate) smoothed: Duration,
    pub(crate) variation: Duration,
    minimum: Duration,
    pub(crate) has_sample: bool,
}

impl Rtt {
    /// Before the first sample (RFC 9002 section 5.3): the variation is half the initial estimate.
    pub(crate) fn new(initial: Duration) -> Self {
        Self {
            latest: initial,
            smoothed: initial,
            variation: Duration::from_micros(initial.as_micros() >> 1),
            minimum: initial,
            has_sample: false,
        }
    }

    /// Takes a sample: the time from sending the largest acknowledged packet to its
    /// acknowledgement, of which the peer says that it held it back for `ack_delay`.
    pub(crate) fn sample(&mut self, latest: Duration, ack_delay: Duration) {
        self.latest = latest;
        if !self.has_sample {
            self.has_sample = true;
            self.minimum = latest;
            self.smoothed = latest;
            self.variation = Duration::from_micros(latest.as_micros() >> 1);
            return;
        }
        self.minimum = self.minimum.min(latest);
        // RFC 9002 section 5.3: the delay is subtracted unless that gives less than the minimum.
        let adjusted = latest.saturating_sub(ack_delay);
        let adjusted = if adjusted >= self.minimum { adjusted } else { latest };
        let (smoothed, adjusted) = (self.smoothed.as_micros(), adjusted.as_micros());
        let deviation = smoothed.abs_diff(adjusted);
        let variation = self.variation.as_micros();
        // rttvar = 3/4 rttvar + 1/4 |smoothed - adjusted|; smoothed = 7/8 smoothed + 1/8 adjusted.
        self.variation = Duration::from_micros((variation - (variation >> 2)).saturating_add(deviation >> 2));
        self.smoothed = Duration::from_micros((smoothed - (smoothed >> 3)).saturating_add(adjusted >> 3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9002 section 5.3: on the first sample, smoothed_rtt = latest_rtt and rttvar = latest_rtt / 2.
    #[test]
    fn first_sample_replaces_the_assumption() {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        rtt.sample(Duration::from_millis(50), Duration::from_millis(40));
        assert_eq!(rtt.smoothed, Duration::from_millis(50));
        assert_eq!(rtt.variation, Duration::from_millis(25));
    }

    #[test]
    fn the_peers_delay_is_taken_off_but_not_below_the_minimum() {
        let mut rtt = Rtt::new(Duration::from_millis(333));
        rtt.sample(Duration::from_millis(80), Duration::ZERO);
        rtt.sample(Duration::from_millis(120), Duration::from_millis(40));
        assert_eq!(rtt.smoothed, Duration::from_millis(80));
        rtt.sample(Duration::from_millis(88), Duration::from_millis(40));
        assert_eq!(rtt.smoothed, Duration::from_millis(81));
    }
}
