//! Sources that send what nobody honest sends: after too many strikes within a window they are not heard
//! for a while, and longer each time.
//!
//! A source address proves nothing. So a block never concerns what proves itself: the packets of sessions
//! that are here. It spares the work, the answers and the log lines that strangers can cause.

use core::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use whimbrel_core::{Duration, Instant};

use super::StrikeLimits;
use super::prefix::Prefix;
use crate::clock::span;

/// What is known of one source.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Strikes since the window began.
    strikes: u32,
    window: Instant,
    /// Blocks so far, each twice as long as the one before.
    blocks: u32,
    until: Option<Instant>,
}

impl Record {
    const fn new(now: Instant) -> Self {
        Self { strikes: 0, window: now, blocks: 0, until: None }
    }

    fn strike(&mut self, now: Instant, limits: &StrikeLimits) -> Strike {
        let longest = span(limits.block_max);
        if self.until.is_some_and(|until| now < until) {
            return Strike::Noted;
        }
        if self.until.is_some_and(|until| now.saturating_since(until) >= longest) {
            // As long as the longest block without another: forgiven.
            *self = Self::new(now);
        }
        if now.saturating_since(self.window) >= span(limits.window) {
            (self.strikes, self.window) = (0, now);
        }
        self.strikes = self.strikes.saturating_add(1);
        if self.strikes <= limits.strikes {
            return Strike::Noted;
        }
        let block = span(limits.block).saturating_shl(self.blocks).min(longest);
        *self = Self { strikes: 0, window: now, blocks: self.blocks.saturating_add(1), until: Some(now + block) };
        Strike::Blocked(block)
    }
}

/// What a strike led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// Noted.
    Noted,
    /// One too many: nothing is heard from the source for so long.
    Blocked(Duration),
}

/// The sources of strikes, as many as there is room for; those not heard of for the longest time give way.
struct Watched(LruCache<Prefix, Record, RandomState>);

impl Watched {
    fn is_blocked(&mut self, source: Prefix, now: Instant) -> bool {
        self.0.get(&source).is_some_and(|record| record.until.is_some_and(|until| now < until))
    }

    fn strike(&mut self, source: Prefix, now: Instant, limits: &StrikeLimits) -> Strike {
        let mut record = self.0.get(&source).copied().unwrap_or(Record::new(now));
        let strike = record.strike(now, limits);
        self.0.insert(source, record);
        strike
    }
}

/// The strikes of all sources, for all shards.
pub(crate) struct Strikes {
    limits: StrikeLimits,
    hasher: RandomState,
    /// A source belongs to one of them.
    parts: Box<[Mutex<Watched>]>,
}

impl Strikes {
    /// In as many parts as there are `shards`, so that they seldom wait for each other.
    pub(crate) fn new(limits: &StrikeLimits, shards: usize) -> Self {
        let shards = shards.max(1);
        let capacity = limits.sources_max.div_ceil(shards).max(1);
        let part = |_| Mutex::new(Watched(LruCache::with_hasher(capacity, RandomState::new())));
        Self { limits: limits.clone(), hasher: RandomState::new(), parts: (0..shards).map(part).collect() }
    }

    /// Whether nothing is heard from the source now, but what proves itself.
    pub(crate) fn is_blocked(&self, source: core::net::IpAddr, now: Instant) -> bool {
        let source = self.limits.prefix.of(source);
        self.part(source).is_some_and(|mut part| part.is_blocked(source, now))
    }

    /// The source sent something that nobody honest sends.
    pub(crate) fn strike(&self, source: core::net::IpAddr, now: Instant) -> Strike {
        let source = self.limits.prefix.of(source);
        self.part(source).map_or(Strike::Noted, |mut part| part.strike(source, now, &self.limits))
    }

    /// Sources with a record.
    pub(crate) fn watched(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).0.len()).sum()
    }

    fn part(&self, source: Prefix) -> Option<MutexGuard<'_, Watched>> {
        let number = self.hasher.hash_one(source) % self.parts.len() as u64;
        self.parts.get(number as usize).map(|part| part.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{IpAddr, Ipv4Addr};
    use core::time;

    fn strikes() -> Strikes {
        let limits = StrikeLimits {
            strikes: 3,
            window: time::Duration::from_secs(10),
            block: time::Duration::from_secs(4),
            block_max: time::Duration::from_secs(10),
            sources_max: 100,
            ..StrikeLimits::default()
        };
        Strikes::new(&limits, 1)
    }

    fn source(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(number))
    }

    fn at(secs: u64) -> Instant {
        Instant::from_millis(secs * 1000)
    }

    fn blocked_for(secs: u64) -> Strike {
        Strike::Blocked(Duration::from_secs(secs))
    }

    #[test]
    fn one_too_many_within_the_window_is_a_block_that_ends() {
        let strikes = strikes();
        for _ in 0..3 {
            assert_eq!(strikes.strike(source(1), at(0)), Strike::Noted);
        }
        assert!(!strikes.is_blocked(source(1), at(0)));
        assert_eq!(strikes.strike(source(1), at(0)), blocked_for(4));
        assert!(strikes.is_blocked(source(1), at(0)) && strikes.is_blocked(source(1), at(3)));
        assert!(!strikes.is_blocked(source(2), at(0)), "its neighbour");
        assert!(!strikes.is_blocked(source(1), at(4)));
    }

    #[test]
    fn strikes_far_apart_are_forgotten() {
        let strikes = strikes();
        for secs in (0..1000).step_by(4) {
            assert_eq!(strikes.strike(source(1), at(secs)), Strike::Noted, "{secs}");
        }
    }

    #[test]
    fn each_block_is_twice_as_long_up_to_the_longest_until_it_is_forgiven() {
        let strikes = strikes();
        let offend = |secs| (0..4).fold(Strike::Noted, |_, _| strikes.strike(source(1), at(secs)));
        assert_eq!(offend(0), blocked_for(4));
        assert_eq!(offend(1), Strike::Noted, "it is blocked: no second block on top");
        assert_eq!(offend(5), blocked_for(8));
        assert_eq!(offend(14), blocked_for(10));
        assert_eq!(offend(25), blocked_for(10));
        // The last one ended at 35; as long as the longest block passed since.
        assert_eq!(offend(44), blocked_for(10));
        assert_eq!(offend(64), blocked_for(4));
    }

    #[test]
    fn a_million_sources_take_the_room_of_a_hundred_and_the_worst_stays_blocked() {
        let strikes = strikes();
        for _ in 0..4 {
            strikes.strike(source(u32::MAX), at(0));
        }
        for number in 0..1_000_000 {
            assert_eq!(strikes.strike(source(number), at(1)), Strike::Noted);
            if number % 50 == 0 {
                assert!(strikes.is_blocked(source(u32::MAX), at(1)), "it goes on sending");
            }
        }
        assert_eq!(strikes.watched(), 100);
    }
}
