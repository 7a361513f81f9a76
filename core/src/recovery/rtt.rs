//! The round-trip time: the estimator of RFC 9002 section 5, and the smallest of the last ten seconds.

use crate::{Duration, Instant};

/// How long the smallest sample stands for the path without its queues: as in BBR
/// (draft-cardwell-iccrg-bbr-congestion-control section 4.3.4).
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// Smoothed round-trip time, its variation, and its minimum; microseconds, at most 71 minutes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    latest: u32,
    smoothed: u32,
    variation: u32,
    minimum: u32,
    /// The smallest sample since the minimum was seen last, and its time: the next minimum.
    lowest: u32,
    minimum_at: Instant,
    lowest_at: Instant,
    has_sample: bool,
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

fn span(micros: u32) -> Duration {
    Duration::from_micros(u64::from(micros))
}

impl Rtt {
    /// Before the first sample (RFC 9002 section 5.3): the variation is half the initial estimate.
    pub(crate) fn new(initial: Duration) -> Self {
        let initial = micros(initial);
        Self {
            latest: initial,
            smoothed: initial,
            variation: initial >> 1,
            minimum: initial,
            lowest: u32::MAX,
            minimum_at: Instant::ZERO,
            lowest_at: Instant::ZERO,
            has_sample: false,
        }
    }

    pub(crate) fn has_sample(&self) -> bool {
        self.has_sample
    }

    pub(crate) fn smoothed(&self) -> Duration {
        span(self.smoothed)
    }

    pub(crate) fn variation(&self) -> Duration {
        span(self.variation)
    }

    /// The last sample without the delay of the peer.
    pub(crate) fn latest(&self) -> Duration {
        span(self.latest)
    }

    /// The smallest of the window.
    pub(crate) fn minimum(&self) -> Duration {
        span(self.minimum)
    }

    /// How long the path has not been as short as that.
    pub(crate) fn minimum_age(&self, now: Instant) -> Duration {
        now.saturating_since(self.minimum_at)
    }

    /// Takes a sample: the time from sending the largest acknowledged packet to its
    /// acknowledgement, of which the peer says that it held it back for `ack_delay`.
    pub(crate) fn sample(&mut self, now: Instant, latest: Duration, ack_delay: Duration) {
        let raw = micros(latest);
        if !self.has_sample {
            self.has_sample = true;
            self.latest = raw;
            self.smoothed = raw;
            self.variation = raw >> 1;
            self.minimum = raw;
            self.minimum_at = now;
            return;
        }
        self.note_minimum(now, raw);
        // RFC 9002 section 5.3: the delay is subtracted unless that gives less than the minimum.
        let adjusted = raw.saturating_sub(micros(ack_delay));
        let adjusted = if adjusted >= self.minimum { adjusted } else { raw };
        self.latest = adjusted;
        let deviation = self.smoothed.abs_diff(adjusted);
        // rttvar = 3/4 rttvar + 1/4 |smoothed - adjusted|; smoothed = 7/8 smoothed + 1/8 adjusted.
        self.variation = (self.variation - (self.variation >> 2)).saturating_add(deviation >> 2);
        self.smoothed = (self.smoothed - (self.smoothed >> 3)).saturating_add(adjusted >> 3);
    }

    /// The queue was given time to drain: the lowest sample since the last one near the minimum takes its
    /// place. It may have come from datagrams shorter than those of now.
    pub(crate) fn confirm_minimum(&mut self, now: Instant) {
        if self.lowest != u32::MAX {
            self.minimum = self.lowest;
            self.minimum_at = now;
            self.lowest = u32::MAX;
        }
    }

    /// The minimum is exact as long as samples come near it, a sixteenth above or less; after a
    /// window without any, the lowest sample since takes its place, with the time when it came. So
    /// flows that share a queue agree on when it was shortest.
    fn note_minimum(&mut self, now: Instant, raw: u32) {
        if raw <= self.minimum.saturating_add(self.minimum >> 4) {
            self.minimum = self.minimum.min(raw);
            self.minimum_at = now;
            self.lowest = u32::MAX;
            return;
        }
        if raw <= self.lowest {
            self.lowest = raw;
            self.lowest_at = now;
        }
        if self.minimum_age(now) > WINDOW {
            self.minimum = self.lowest;
            self.minimum_at = self.lowest_at;
            self.lowest = u32::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    // RFC 9002 section 5.3: on the first sample, smoothed_rtt = latest_rtt and rttvar = latest_rtt / 2.
    #[test]
    fn first_sample_replaces_the_assumption() {
        let mut rtt = Rtt::new(ms(333));
        rtt.sample(Instant::ZERO, ms(50), ms(40));
        assert_eq!((rtt.smoothed(), rtt.variation(), rtt.minimum()), (ms(50), ms(25), ms(50)));
    }

    #[test]
    fn the_peers_delay_is_taken_off_but_not_below_the_minimum() {
        let mut rtt = Rtt::new(ms(333));
        rtt.sample(Instant::ZERO, ms(80), Duration::ZERO);
        rtt.sample(Instant::ZERO, ms(120), ms(40));
        assert_eq!((rtt.smoothed(), rtt.latest()), (ms(80), ms(80)));
        rtt.sample(Instant::ZERO, ms(88), ms(40));
        assert_eq!((rtt.smoothed(), rtt.latest()), (ms(81), ms(88)));
    }

    #[test]
    fn a_longer_path_is_believed_after_the_window() {
        let mut rtt = Rtt::new(ms(333));
        rtt.sample(Instant::ZERO, ms(50), Duration::ZERO);
        for at in 1..=100 {
            rtt.sample(Instant::from_millis(at * 100), ms(if at == 40 { 70 } else { 90 }), Duration::ZERO);
            assert_eq!(rtt.minimum(), ms(50));
        }
        rtt.sample(Instant::from_millis(10_001), ms(90), Duration::ZERO);
        assert_eq!(rtt.minimum(), ms(70));
        // It is as old as the sample.
        assert_eq!(rtt.minimum_age(Instant::from_millis(10_001)), ms(6_001));
    }

    proptest! {
        // It is a minimum: no smaller than all that ever came, no larger than any since it was confirmed.
        #[test]
        #[cfg_attr(miri, ignore = "thousands of samples")]
        fn the_minimum_is_confirmed_or_replaced(steps in prop::collection::vec((1u64..3_000, 1u64..1_000), 1..200)) {
            let mut rtt = Rtt::new(ms(333));
            let (mut now, mut past) = (Instant::ZERO, std::vec::Vec::new());
            for (wait, sample) in steps {
                now = now + ms(wait);
                rtt.sample(now, ms(sample), Duration::ZERO);
                past.push((now, sample));
                let all = past.iter().map(|(_, sample)| *sample).min().unwrap();
                prop_assert!(rtt.minimum() >= ms(all) && rtt.minimum() <= ms(sample), "{:?} {}", rtt, sample);
                let confirmed = past.iter().any(|(at, sample)| {
                    *at == rtt.minimum_at && ms(*sample) <= rtt.minimum().saturating_add(ms(sample >> 4))
                });
                prop_assert!(confirmed, "{:?}", rtt);
            }
        }
    }

    extern crate std;
}
