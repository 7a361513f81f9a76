//! How often: rates in the shard's own time, for all together, and for each network in bounded memory.

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use hashlink::LruCache;
use whimbrel_core::Instant;

use super::prefix::Prefix;

/// So many a second on average, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// On average. 1 to 100,000,000.
    pub per_second: u32,
    /// At once, when there was nothing for a while. 1 or more.
    pub burst: u32,
}

impl Rate {
    /// The highest rate: beyond it nanoseconds are too coarse to tell rates apart.
    pub const MAX: u32 = 100_000_000;

    /// So many a second, and a second's worth at once.
    pub const fn per_second(per_second: u32) -> Self {
        Self { per_second, burst: per_second }
    }

    /// The same with so many at once.
    #[must_use]
    pub const fn with_burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    /// For the rate limiter; zeros count as one.
    pub(super) fn quota(self) -> Quota {
        let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Quota::per_second(at_least_one(self.per_second)).allow_burst(at_least_one(self.burst))
    }
}

/// The time of an endpoint's shards, for the rate limiters: stands still within a turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Time(Arc<AtomicU64>);

impl Time {
    /// Never goes back: shards do not look at the clock in the same moment.
    pub(crate) fn advance(&self, now: Instant) {
        self.0.fetch_max(now.as_micros(), Ordering::Relaxed);
    }
}

impl clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// One rate.
pub(crate) type Limiter = RateLimiter<NotKeyed, InMemoryState, Time, NoOpMiddleware<Duration>>;

/// A limiter that all share.
pub(crate) fn limiter(rate: Rate, time: &Time) -> Limiter {
    RateLimiter::direct_with_clock(rate.quota(), time.clone())
}

/// One rate for each network.
pub(crate) struct PerPrefix(RateLimiter<Prefix, Recent, Time, NoOpMiddleware<Duration>>);

impl PerPrefix {
    /// Remembers up to `capacity` networks; a forgotten one begins anew, with its whole burst.
    pub(crate) fn new(rate: Rate, capacity: usize, time: &Time) -> Self {
        let recent = Recent(Mutex::new(LruCache::with_hasher(capacity.max(1), RandomState::new())));
        Self(RateLimiter::new(rate.quota(), recent, time.clone()))
    }

    pub(crate) fn allows(&self, prefix: Prefix) -> bool {
        self.0.check_key(&prefix).is_ok()
    }
}

/// The networks that were heard of last: as many as there is room for, whoever comes.
// The rate limiter's own stores grow with their keys until somebody sweeps them.
struct Recent(Mutex<LruCache<Prefix, Nanos, RandomState>>);

impl StateStore for Recent {
    type Key = Prefix;

    fn measure_and_replace<T, F, E>(&self, key: &Prefix, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (answer, state) = f(known.get(key).copied())?;
        known.insert(*key, state);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PrefixLengths;
    use super::*;
    use core::net::Ipv4Addr;

    fn prefix(number: u32) -> Prefix {
        PrefixLengths { v4: 32, v6: 64 }.of(Ipv4Addr::from_bits(number).into())
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_burst_at_once_and_then_the_rate() {
        let time = Time::default();
        let limiter = limiter(Rate::per_second(10).with_burst(3), &time);
        let passed = |count: usize| (0..count).filter(|_| limiter.check().is_ok()).count();
        assert_eq!(passed(9), 3);
        time.advance(at(99));
        assert_eq!(passed(9), 0);
        time.advance(at(100));
        assert_eq!(passed(9), 1);
        time.advance(at(10_000));
        assert_eq!(passed(9), 3);
    }

    #[test]
    fn time_does_not_go_back() {
        let time = Time::default();
        time.advance(at(7));
        time.advance(at(5));
        assert_eq!(clock::Clock::now(&time), Duration::from_millis(7));
    }

    #[test]
    fn each_network_has_a_rate_of_its_own() {
        let time = Time::default();
        let rates = PerPrefix::new(Rate::per_second(1).with_burst(2), 100, &time);
        let passed = |number| (0..5).filter(|_| rates.allows(prefix(number))).count();
        assert_eq!((passed(1), passed(2), passed(1)), (2, 2, 0));
        time.advance(at(1000));
        assert_eq!(passed(1), 1);
    }

    #[test]
    fn a_million_networks_take_the_room_of_a_thousand() {
        let time = Time::default();
        let rates = PerPrefix::new(Rate::per_second(1), 1000, &time);
        assert!(rates.allows(prefix(u32::MAX)));
        for number in 0..1_000_000 {
            assert!(rates.allows(prefix(number)));
            // Refused too, a network that goes on coming is not forgotten.
            if number % 500 == 0 {
                assert!(!rates.allows(prefix(u32::MAX)));
            }
        }
        let known = rates.0.into_state_store().0.into_inner().unwrap();
        assert_eq!((known.len(), known.capacity()), (1000, 1000));
    }
}
