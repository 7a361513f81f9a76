//! Cookies: a gateway under load makes a device prove its address, and remembers nothing for it
//! (WireGuard, section 5.3 of its paper; RFC 6347 section 4.2.1).

use super::key::Secret;
use super::mac;
use crate::wire::Claim;
use crate::{Duration, Instant};

/// How long a cookie is given out (WireGuard, section 5.4.7). It is taken for as long again.
const LIFETIME: Duration = Duration::from_secs(120);

/// Makes cookies and checks them.
#[derive(Clone, Debug)]
pub struct Cookies(Secret);

impl Cookies {
    /// From 32 random bytes that nobody else has.
    pub const fn new(secret: [u8; 32]) -> Self {
        Self(Secret::new(secret))
    }

    /// The cookie for this source address at this time.
    pub fn cookie(&self, now: Instant, source: &[u8]) -> [u8; 16] {
        self.of_period(now.as_micros() / LIFETIME.as_micros(), source)
    }

    /// Whether a HELLO from this address shows a cookie that it was given.
    pub fn accepts(&self, now: Instant, source: &[u8], claim: &Claim<'_>) -> bool {
        let period = now.as_micros() / LIFETIME.as_micros();
        let Some((maced, shown)) = claim.mac2() else { return false };
        [Some(period), period.checked_sub(1)].into_iter().flatten().any(|period| {
            let expected = mac::cookie_mac(&self.of_period(period, source), maced);
            expected.first_chunk::<8>().is_some_and(|expected| mac::same(shown, expected))
        })
    }

    fn of_period(&self, period: u64, source: &[u8]) -> [u8; 16] {
        mac::cookie(self.0.expose(), period, source)
    }
}
