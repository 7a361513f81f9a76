//! Waiting for an answer: the probe timeout (RFC 9002 section 6.2) and exponential backoff with jitter.

use super::rtt::Rtt;
use crate::Duration;

/// The timer granularity that RFC 9002 section 6.1.2 recommends.
pub(crate) const GRANULARITY: Duration = Duration::from_millis(1);

/// `smoothed_rtt + max(4 * rttvar, granularity) + max_ack_delay`: RFC 9002 section 6.2.1.
pub(crate) fn period(rtt: &Rtt, peer_max_ack_delay: Duration) -> Duration {
    rtt.smoothed().saturating_add(rtt.variation().saturating_shl(2).max(GRANULARITY)).saturating_add(peer_max_ack_delay)
}

/// `period * 2^tries`, at most `longest`, and up to a quarter more by chance (Matter Core
/// Specification section 4.12.2.1), so that a fleet does not answer an outage in step.
/// `random` is any 8 bits.
pub(crate) fn backoff(period: Duration, tries: u8, longest: Duration, random: u8) -> Duration {
    let wait = period.saturating_shl(u32::from(tries)).min(longest.max(GRANULARITY));
    if tries == 0 {
        return wait;
    }
    let quarter = wait.as_micros() >> 2;
    let jitter = (quarter >> 8).saturating_mul(u64::from(random));
    wait.saturating_add(Duration::from_micros(jitter))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9002 §6.2.2: with the initial RTT of 333 ms the first probe comes after about a second.
    #[test]
    fn the_first_probe_waits_a_second() {
        let rtt = Rtt::new(Duration::from_millis(333));
        let wait = period(&rtt, Duration::ZERO);
        assert_eq!(wait.as_millis(), 999);
    }

    #[test]
    fn backoff_doubles_to_its_bound_with_a_quarter_of_jitter() {
        let period = Duration::from_millis(100);
        let longest = Duration::from_secs(1);
        assert_eq!(backoff(period, 0, longest, 255), period);
        assert_eq!(backoff(period, 2, longest, 0), Duration::from_millis(400));
        for random in 0..=255 {
            let wait = backoff(period, 200, longest, random);
            assert!(wait >= longest && wait <= Duration::from_millis(1250), "{wait:?}");
        }
    }
}
