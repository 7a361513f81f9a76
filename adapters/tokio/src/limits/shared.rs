//! What the shards of an endpoint count together.

use std::sync::Arc;

use super::Limits;
use super::prefix::Prefix;
use super::rates::{Limiter, PerPrefix, Time, limiter};
use super::report::Refusal;
use super::seats::Seats;
use super::strikes::Strikes;

/// What the shards of an endpoint count together.
pub(crate) struct Shared {
    pub(crate) time: Time,
    pub(crate) strikes: Strikes,
    pub(crate) seats: Arc<Seats>,
    per_prefix: Option<PerPrefix>,
    in_all: Option<Limiter>,
    macs: Option<Limiter>,
    blocked_macs: Option<Limiter>,
    without_cookie: Option<Limiter>,
}

impl Shared {
    pub(crate) fn new(limits: &Limits, shards: usize) -> Self {
        let time = Time::default();
        Self {
            strikes: Strikes::new(&limits.strikes, shards),
            seats: Seats::new(limits.sessions_per_prefix),
            per_prefix: limits.handshakes_per_prefix.map(|rate| PerPrefix::new(rate, limits.prefixes_max, &time)),
            in_all: limits.handshakes.map(|rate| limiter(rate, &time)),
            macs: limits.hello_macs.map(|rate| limiter(rate, &time)),
            blocked_macs: limits.blocked_hello_macs.map(|rate| limiter(rate, &time)),
            without_cookie: limits.handshakes_without_cookie.map(|rate| limiter(rate, &time)),
            time,
        }
    }

    /// Whether the MAC of another request may be looked at now.
    pub(crate) fn may_check_mac(&self, blocked: bool) -> bool {
        allows(if blocked { &self.blocked_macs } else { &self.macs })
    }

    /// Whether handshakes come so fast that the next one needs a cookie.
    pub(crate) fn is_under_load(&self) -> bool {
        !allows(&self.without_cookie)
    }

    /// Whether another handshake may begin now.
    pub(crate) fn handshake(&self, prefix: Prefix) -> Result<(), Refusal> {
        // First the one that a network can only fill for itself.
        if self.per_prefix.as_ref().is_some_and(|rates| !rates.allows(prefix)) {
            return Err(Refusal::PrefixRate);
        }
        if !allows(&self.in_all) {
            return Err(Refusal::HandshakeRate);
        }
        Ok(())
    }
}

fn allows(rate: &Option<Limiter>) -> bool {
    rate.as_ref().is_none_or(|rate| rate.check().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Rate;

    #[test]
    fn a_network_that_is_refused_takes_nothing_from_the_others() {
        let limits = Limits {
            handshakes_per_prefix: Some(Rate::per_second(1).with_burst(2)),
            handshakes: Some(Rate::per_second(1).with_burst(4)),
            ..Limits::default()
        };
        let shared = Shared::new(&limits, 1);
        let ask = |address: &str| shared.handshake(limits.prefix.of(address.parse().unwrap()));
        let greedy: Vec<_> = (0..9).map(|_| ask("192.0.2.1").is_ok()).collect();
        assert_eq!(greedy.iter().filter(|ok| **ok).count(), 2);
        assert_eq!(ask("192.0.2.2"), Err(Refusal::PrefixRate));
        assert_eq!((ask("198.51.100.1"), ask("198.51.100.1")), (Ok(()), Ok(())));
        assert_eq!(ask("203.0.113.1"), Err(Refusal::HandshakeRate));
    }
}
