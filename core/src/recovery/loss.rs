//! When a packet is lost (RFC 9002 section 6.1), on a path that may reorder more than was thought.

use super::rtt::Rtt;
use crate::{Duration, Instant, PacketNumber};

/// Packets sent after one, of which one was acknowledged, before it counts as lost: RFC 9002 section 6.1.1.
pub(crate) const PACKET_THRESHOLD: u8 = 3;
/// A path that reorders more than that is left to the time threshold, and to spurious losses.
const PACKET_THRESHOLD_MAX: u8 = 64;
/// Round trips without a spurious loss before the thresholds go halfway back, as the reordering
/// window of RFC 8985 section 6.2 persists over 16 recoveries.
const PERSIST: u8 = 16;

/// What to think of a packet that is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Lost,
    /// Lost if nothing is heard of it by then.
    Wait {
        until: Instant,
    },
    /// Nothing sent later was acknowledged: only the probe timeout judges it.
    Open,
}

/// What counts as late. It starts as RFC 9002 says and grows with reordering that is proven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    packets: u8,
    /// Round trips since the last spurious loss, or since the thresholds last shrank.
    calm: u8,
    /// Time beyond 9/8 of the round-trip time, in microseconds.
    extra: u32,
}

impl Thresholds {
    pub(crate) const fn new() -> Self {
        Self { packets: PACKET_THRESHOLD, calm: 0, extra: 0 }
    }

    /// How long a packet may be overtaken: 9/8 of the larger of smoothed and latest round-trip
    /// time, at least 1 ms (RFC 9002 section 6.1.2), and what reordering needs. The latest is
    /// without the delay that the peer reports: that says nothing of the path.
    pub(crate) fn delay(&self, rtt: &Rtt) -> Duration {
        base(rtt).saturating_add(Duration::from_micros(u64::from(self.extra)))
    }

    /// A packet declared lost was acknowledged: `distance` packets after it had been acknowledged
    /// by then, `waited` had passed since it was sent.
    pub(crate) fn on_spurious(&mut self, distance: u64, waited: Duration, rtt: &Rtt) {
        self.calm = 0;
        let packets = u8::try_from(distance.saturating_add(1)).unwrap_or(u8::MAX);
        self.packets = self.packets.max(packets.min(PACKET_THRESHOLD_MAX));
        // No more than one round-trip time more: RFC 8985 section 6.2 (step 4).
        let over = waited.saturating_sub(base(rtt)).min(rtt.smoothed()).as_micros();
        let extra = over.saturating_add(over >> 3);
        self.extra = self.extra.max(u32::try_from(extra).unwrap_or(u32::MAX));
    }

    /// Once per round trip.
    pub(crate) fn on_round(&mut self) {
        self.calm = self.calm.saturating_add(1);
        if self.calm >= PERSIST {
            self.calm = 0;
            self.packets = PACKET_THRESHOLD + ((self.packets - PACKET_THRESHOLD) >> 1);
            self.extra >>= 1;
        }
    }

    /// Judges one packet; `delay` is as above.
    pub(crate) fn judge(
        &self,
        pn: PacketNumber,
        sent: Instant,
        largest_acked: Option<PacketNumber>,
        now: Instant,
        delay: Duration,
    ) -> Verdict {
        match largest_acked {
            Some(largest) if largest > pn => {
                let until = sent + delay;
                if largest.value() - pn.value() >= u64::from(self.packets) || until <= now {
                    Verdict::Lost
                } else {
                    Verdict::Wait { until }
                }
            }
            _ => Verdict::Open,
        }
    }
}

fn base(rtt: &Rtt) -> Duration {
    let longer = rtt.smoothed().max(rtt.latest()).as_micros();
    Duration::from_micros(longer.saturating_add(longer >> 3)).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn rtt() -> Rtt {
        let mut rtt = Rtt::new(ms(333));
        rtt.sample(Instant::ZERO, ms(80), Duration::ZERO);
        rtt
    }

    // RFC 9002 §6.1.1: packet threshold SHOULD NOT be below 3.
    #[test]
    fn three_later_packets_mean_loss_two_do_not() {
        let (sent, now) = (Instant::from_millis(10), Instant::from_millis(11));
        let judge = |largest| Thresholds::new().judge(PacketNumber::new(7), sent, largest, now, ms(50));
        assert_eq!(judge(None), Verdict::Open);
        assert_eq!(judge(Some(PacketNumber::new(6))), Verdict::Open);
        assert_eq!(judge(Some(PacketNumber::new(9))), Verdict::Wait { until: sent + ms(50) });
        assert_eq!(judge(Some(PacketNumber::new(10))), Verdict::Lost);
    }

    // RFC 9002 §6.1.2: a packet sent a threshold of time before one that was acknowledged is lost.
    #[test]
    fn time_alone_means_loss_once_something_later_arrived() {
        let (sent, now) = (Instant::from_millis(10), Instant::from_millis(60));
        let largest = Some(PacketNumber::new(8));
        let verdict = Thresholds::new().judge(PacketNumber::new(7), sent, largest, now, ms(50));
        assert_eq!(verdict, Verdict::Lost);
        assert_eq!(Thresholds::new().delay(&rtt()), ms(90));
    }

    // RFC 8985 §6.2: the window grows with reordering, up to a round trip, and shrinks after a while without.
    #[test]
    fn reordering_that_was_proven_is_waited_for_and_forgotten() {
        let mut thresholds = Thresholds::new();
        thresholds.on_spurious(10, ms(98), &rtt());
        assert_eq!(thresholds.packets, 11);
        assert_eq!(thresholds.delay(&rtt()), ms(99));
        (0..PERSIST).for_each(|_| thresholds.on_round());
        assert_eq!(thresholds.packets, 7);
        assert_eq!(thresholds.delay(&rtt()), Duration::from_micros(94_500));
        (0..30 * u32::from(PERSIST)).for_each(|_| thresholds.on_round());
        assert_eq!(thresholds.packets, PACKET_THRESHOLD);
        assert_eq!(thresholds.delay(&rtt()), ms(90));
    }

    proptest! {
        #[test]
        fn the_thresholds_stay_in_their_bounds(
            events in prop::collection::vec(prop::option::of((0u64..1_000, 0u64..100_000)), 1..100),
        ) {
            let mut thresholds = Thresholds::new();
            for event in events {
                match event {
                    Some((distance, waited)) => {
                        thresholds.on_spurious(distance, ms(waited), &rtt());
                        // The same reordering again is no loss.
                        let bounded = ms(waited).min(ms(90 + 80));
                        prop_assert!(thresholds.delay(&rtt()) >= bounded);
                        prop_assert!(u64::from(thresholds.packets) > distance.min(63));
                    }
                    None => thresholds.on_round(),
                }
                prop_assert!((PACKET_THRESHOLD..=PACKET_THRESHOLD_MAX).contains(&thresholds.packets));
                prop_assert!(thresholds.delay(&rtt()) <= ms(90 + 80 + 10));
            }
        }
    }
}
