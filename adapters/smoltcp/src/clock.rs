//! Time between the two worlds: both count microseconds, smoltcp in an `i64`.

use whimbrel_core::Instant;

/// The core's time as smoltcp's; held at smoltcp's end of time, 292,000 years after the epoch.
pub fn to_smoltcp(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// smoltcp's time as the core's; what lies before the epoch is the epoch.
pub fn from_smoltcp(at: smoltcp::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_both_ways_and_saturate() {
        let now = Instant::from_micros(1_234_567);
        assert_eq!(from_smoltcp(to_smoltcp(now)), now);
        assert_eq!(to_smoltcp(Instant::from_micros(u64::MAX)).total_micros(), i64::MAX);
        assert_eq!(from_smoltcp(smoltcp::time::Instant::from_micros(-5)), Instant::ZERO);
    }
}
