//! The limits of an endpoint, as they are configured.

use core::time::Duration;

use super::{AccessLists, PrefixLengths, Rate};
use crate::error::EndpointError;

/// How much of an endpoint each may take. The defaults suit a gateway of ten thousand devices, many of
/// which may share one address: behind a provider's address translation half of all can.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Who is heard at all. Default everybody. [`crate::Handle::set_access`] changes it.
    pub access: AccessLists,
    /// What counts as one network for the limits of handshakes and sessions. Default 24 bits of IPv4, 56 of IPv6:
    /// what a provider's customer gets (RFC 6177).
    pub prefix: PrefixLengths,
    /// Most sessions and handshakes at a time from one network, counted where they were opened from. Default 5,000:
    /// half of [`crate::EndpointConfig::sessions_max`].
    pub sessions_per_prefix: usize,
    /// Handshakes from one network. `None`: any number. Default 200 a second, 400 at once.
    pub handshakes_per_prefix: Option<Rate>,
    /// Handshakes in all. `None`: any number. Default 2,000 a second, as many at once.
    pub handshakes: Option<Rate>,
    /// Requests whose MAC is looked at, a few microseconds each; what is beyond is dropped unseen. `None`: any number.
    /// Default 50,000 a second.
    pub hello_macs: Option<Rate>,
    /// The same of requests from blocked sources, which are dropped in silence when their MAC is wrong: so a block
    /// that somebody else's packets caused does not keep a device out. `None`: any number. Default 10,000 a second.
    pub blocked_hello_macs: Option<Rate>,
    /// Handshakes beyond this rate need a cookie: the device must show that it is at the address that it writes from
    /// before it costs a scalar multiplication. `None`: never. Default 500 a second.
    pub handshakes_without_cookie: Option<Rate>,
    /// Networks whose handshakes are counted at a time; the others begin anew. Default 16,384, some 2 MiB.
    pub prefixes_max: usize,
    /// Bytes of authentic datagrams from one device, each with 48 more for its headers; what is beyond is pushed
    /// back, then dropped unacknowledged, and comes later. A burst below
    /// [`Limits::DEVICE_BYTES_BURST_MIN`] counts as that. `None`: any number. Default 1 MiB a second, 4 MiB at once.
    pub device_bytes: Option<Rate>,
    /// Messages from one device; what is beyond is pushed back. `None`: any number. Default 10,000 a second, as many at once.
    pub device_messages: Option<Rate>,
    /// Bytes of one device's messages that may wait for the application; more wait in its session, then in the
    /// device. May be exceeded by one batch. Default 1 MiB.
    pub device_waiting: usize,
    /// Who is not heard for a while.
    pub strikes: StrikeLimits,
}

/// When a source is blocked: not heard for a while, except for what proves itself.
///
/// A strike is a datagram that nobody honest sends: one that is malformed, a request with a wrong MAC or of an
/// unknown device, or a packet that its session finds forged. Not: packets of unknown connections, which devices
/// send after a restart of the gateway, and other versions.
///
/// Anybody can write anybody's address on a datagram. So packets of sessions that are here are taken from blocked
/// sources too, requests with a right MAC are, and a few packets of unknown connections a second are answered. What a
/// block spares is the rest, all requests in the plain mode among it, and the log lines about it.
#[derive(Clone, Debug)]
pub struct StrikeLimits {
    /// What counts as one source. Default 32 bits of IPv4, 64 of IPv6: what a single host can have.
    pub prefix: PrefixLengths,
    /// Strikes within a window that are let pass. Default 200.
    pub strikes: u32,
    /// How long strikes are added up. Default 60 s.
    pub window: Duration,
    /// The first block; each further one is twice as long. Default 10 s.
    pub block: Duration,
    /// The longest block; after as long without another, the next one is the first again. Default 1 h.
    pub block_max: Duration,
    /// Sources whose strikes are counted at a time; the one not heard of for the longest gives way. Default 16,384,
    /// some 2 MiB.
    pub sources_max: usize,
}

impl Limits {
    /// The least burst of [`Limits::device_bytes`]: 128 KiB, twice what a device may be behind.
    pub const DEVICE_BYTES_BURST_MIN: u32 = 128 << 10;

    pub(crate) fn check(&self) -> Result<(), EndpointError> {
        let within = |what, value: usize, min, max| {
            if (min..=max).contains(&value) { Ok(()) } else { Err(EndpointError::Limit { what, min, max }) }
        };
        let rates = [
            ("handshakes_per_prefix", self.handshakes_per_prefix),
            ("handshakes", self.handshakes),
            ("hello_macs", self.hello_macs),
            ("blocked_hello_macs", self.blocked_hello_macs),
            ("handshakes_without_cookie", self.handshakes_without_cookie),
            ("device_bytes", self.device_bytes),
            ("device_messages", self.device_messages),
        ];
        for (what, rate) in rates {
            if let Some(rate) = rate {
                within(what, rate.per_second as usize, 1, Rate::MAX as usize)?;
                within(what, rate.burst as usize, 1, u32::MAX as usize)?;
            }
        }
        within("sessions_per_prefix", self.sessions_per_prefix, 1, 1 << 20)?;
        within("prefixes_max", self.prefixes_max, 1, 1 << 24)?;
        within("device_waiting", self.device_waiting, 1, 1 << 30)?;
        within("strikes.sources_max", self.strikes.sources_max, 1, 1 << 24)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            access: AccessLists::default(),
            prefix: PrefixLengths { v4: 24, v6: 56 },
            sessions_per_prefix: 5000,
            handshakes_per_prefix: Some(Rate::per_second(200).with_burst(400)),
            handshakes: Some(Rate::per_second(2000)),
            hello_macs: Some(Rate::per_second(50_000)),
            blocked_hello_macs: Some(Rate::per_second(10_000)),
            handshakes_without_cookie: Some(Rate::per_second(500)),
            prefixes_max: 1 << 14,
            device_bytes: Some(Rate::per_second(1 << 20).with_burst(4 << 20)),
            device_messages: Some(Rate::per_second(10_000)),
            device_waiting: 1 << 20,
            strikes: StrikeLimits::default(),
        }
    }
}

impl Default for StrikeLimits {
    fn default() -> Self {
        Self {
            prefix: PrefixLengths { v4: 32, v6: 64 },
            strikes: 200,
            window: Duration::from_secs(60),
            block: Duration::from_secs(10),
            block_max: Duration::from_secs(60 * 60),
            sources_max: 1 << 14,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed_and_zeros_are_named() {
        assert!(Limits::default().check().is_ok());
        let error = |limits: Limits| limits.check().unwrap_err().to_string();
        let zero = Some(Rate::per_second(0));
        assert_eq!(error(Limits { handshakes: zero, ..Limits::default() }), "handshakes must be in 1..=100000000");
        assert_eq!(
            error(Limits { sessions_per_prefix: 0, ..Limits::default() }),
            "sessions_per_prefix must be in 1..=1048576"
        );
    }
}
