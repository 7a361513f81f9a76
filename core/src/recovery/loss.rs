//! When a packet is lost (RFC 9002 section 6.1), on a path that may reorder more than was thought.

use super::rtt::Rtt;
use crate::{Duration, Instant, PacketNumber};
use core::num::NonZeroU32;

/// Packets sent after one, of which one was acknowledged, before it counts as lost: RFC 9002 section 6.1.1.
pub(crate) const PACKET_THRESHOLD: u8 = 3;
/// A path that reorders more than that is left to the time threshold, and to spurious losses.
const PACKET_THRESHOLD_MAX: u8 = 64;
/// Round trips without a spurious loss before the thresholds go halfway back, as the reordering
/// window of RFC 8985 section 6.2 persists over 16 recoveries.
const PERSIST: u8 = 16;
/// And then again halfway each time after so many more.
const AGAIN: u8 = 4;
/// The timer granularity that RFC 9002 section 6.1.2 recommends, in microseconds.
const GRANULARITY: u32 = 1_000;

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

/// What counts as late. It starts as RFC 9002 says, grows with reordering that is proven, and
/// shrinks where there is none: only a packet that was overtaken is judged, and a path that keeps
/// the order, however long it takes, never makes one late (RFC 9002 section 6.1.2 leaves adaptive thresholds open).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    packets: u8,
    /// Round trips since the last spurious loss, or since the thresholds last shrank.
    calm: u8,
    /// Time beyond the round-trip time, in microseconds; before the first round trip an eighth of it.
    slack: Option<NonZeroU32>,
}

impl Thresholds {
    pub(crate) const fn new() -> Self {
        Self { packets: PACKET_THRESHOLD, calm: PERSIST - AGAIN, slack: None }
    }

    /// How long a packet may be overtaken: the larger of smoothed and latest round-trip time, and
    /// what reordering needs; at first an eighth (RFC 9002 section 6.1.2), never less than 1 ms.
    /// The latest is without the delay that the peer reports: that says nothing of the path.
    pub(crate) fn delay(&self, rtt: &Rtt) -> Duration {
        longer(rtt).saturating_add(Duration::from_micros(u64::from(self.slack(rtt))))
    }

    fn slack(&self, rtt: &Rtt) -> u32 {
        let eighth = u32::try_from(longer(rtt).as_micros() >> 3).unwrap_or(u32::MAX);
        self.slack.map_or(eighth, NonZeroU32::get).max(GRANULARITY)
    }

    /// A packet declared lost was acknowledged: `distance` packets after it had been acknowledged
    /// by then, `waited` had passed since it was sent. The slack goes all the way when it happens
    /// often. The first time after a while a quarter: a message sent twice now and then costs less
    /// than waiting longer for each that is lost.
    pub(crate) fn on_spurious(&mut self, distance: u64, waited: Duration, rtt: &Rtt) {
        let rare = self.calm >= PERSIST - AGAIN;
        self.calm = 0;
        let packets = u8::try_from(distance.saturating_add(1)).unwrap_or(u8::MAX);
        self.packets = self.packets.max(packets.min(PACKET_THRESHOLD_MAX));
        // No more than one round-trip time more: RFC 8985 section 6.2 (step 4).
        let over = waited.saturating_sub(longer(rtt)).min(rtt.smoothed()).as_micros();
        let over = u32::try_from(over.saturating_add(over >> 3)).unwrap_or(u32::MAX);
        let slack = self.slack(rtt);
        let step = over.saturating_sub(slack) >> if rare { 2 } else { 0 };
        self.slack = NonZeroU32::new(slack.saturating_add(step));
    }

    /// Once per round trip.
    pub(crate) fn on_round(&mut self, rtt: &Rtt) {
        self.calm = self.calm.saturating_add(1);
        if self.calm >= PERSIST {
            self.calm = PERSIST - AGAIN;
            self.packets = PACKET_THRESHOLD + ((self.packets - PACKET_THRESHOLD) >> 1);
            self.slack = NonZeroU32::new((self.slack(rtt) >> 1).max(GRANULARITY));
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

fn longer(rtt: &Rtt) -> Duration {
    rtt.smoothed().max(rtt.latest())
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
        // From 10 ms a quarter of the way to 9/8 of 18.
        assert_eq!((thresholds.packets, thresholds.delay(&rtt())), (11, Duration::from_micros(92_562)));
        thresholds.on_spurious(10, ms(98), &rtt());
        assert_eq!((thresholds.packets, thresholds.delay(&rtt()).as_millis()), (11, 100));
        (0..PERSIST - 1).for_each(|_| thresholds.on_round(&rtt()));
        assert_eq!((thresholds.packets, thresholds.delay(&rtt()).as_millis()), (11, 100));
        thresholds.on_round(&rtt());
        assert_eq!((thresholds.packets, thresholds.delay(&rtt()).as_millis()), (7, 90));
        (0..100).for_each(|_| thresholds.on_round(&rtt()));
        assert_eq!((thresholds.packets, thresholds.delay(&rtt())), (PACKET_THRESHOLD, ms(81)));
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "thousands of steps")]
        fn the_thresholds_stay_in_their_bounds(
            events in prop::collection::vec(prop::option::of((0u64..1_000, 0u64..100_000)), 1..100),
        ) {
            let mut thresholds = Thresholds::new();
            for event in events {
                match event {
                    Some((distance, waited)) => {
                        (0..2).for_each(|_| thresholds.on_spurious(distance, ms(waited), &rtt()));
                        // Reordering that stays is no loss.
                        let bounded = ms(waited).min(ms(80 + 80));
                        prop_assert!(thresholds.delay(&rtt()) >= bounded);
                        prop_assert!(u64::from(thresholds.packets) > distance.min(63));
                    }
                    None => thresholds.on_round(&rtt()),
                }
                prop_assert!((PACKET_THRESHOLD..=PACKET_THRESHOLD_MAX).contains(&thresholds.packets));
                prop_assert!(thresholds.delay(&rtt()) <= ms(90 + 80 + 10));
            }
        }
    }
}
