//! Times as they are stored: microseconds since 1970 UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// Microseconds since 1970 UTC; negative before, saturating.
pub(crate) fn micros(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |before| -before),
    }
}

/// The stored form of now.
pub(crate) fn now() -> i64 {
    micros(SystemTime::now())
}

/// A stored time to the second, for people. What no calendar holds (beyond the year 9999) is 1970.
pub(crate) fn civil(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn times_before_1970_are_negative() {
        assert_eq!(micros(UNIX_EPOCH + Duration::from_micros(7)), 7);
        assert_eq!(micros(UNIX_EPOCH - Duration::from_micros(7)), -7);
    }

    #[test]
    fn people_see_whole_seconds() {
        assert_eq!(civil(1_700_000_000_999_999).unix_timestamp(), 1_700_000_000);
        assert_eq!(civil(-1).unix_timestamp(), -1);
        assert_eq!(civil(i64::MAX), OffsetDateTime::UNIX_EPOCH);
    }
}
