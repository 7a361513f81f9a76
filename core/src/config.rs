//! What a session is told when it is made.

use crate::{ChannelId, ConfigError, DeviceId, Duration, SchemaId};

/// How a channel delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Sent once, delivered at most once.
    BestEffort,
    /// Each message exactly once, in order.
    Ordered,
}

/// One channel that this end sends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The channel's number.
    pub id: ChannelId,
    /// How it delivers.
    pub delivery: Delivery,
    /// Whether messages stay in the journal until the peer has stored them.
    pub durable: bool,
    /// What its payloads mean.
    pub schema: SchemaId,
}

impl ChannelConfig {
    /// Ordered and durable: each message in the sink exactly once.
    pub const fn durable(id: ChannelId, schema: SchemaId) -> Self {
        Self { id, delivery: Delivery::Ordered, durable: true, schema }
    }

    /// Ordered, kept until acknowledged.
    pub const fn ordered(id: ChannelId, schema: SchemaId) -> Self {
        Self { id, delivery: Delivery::Ordered, durable: false, schema }
    }

    /// Best effort: sent once.
    pub const fn best_effort(id: ChannelId, schema: SchemaId) -> Self {
        Self { id, delivery: Delivery::BestEffort, durable: false, schema }
    }
}

/// Who a device is, for the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provisioned identity.
    pub device: DeviceId,
    /// How many times the device has booted; a device without storage says 0.
    pub boot_epoch: u32,
}

/// The tunables of a session. `Config::default()` is right for a device on the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest UDP payload to send or take, in bytes. Default 1200 (RFC 9000 section 14).
    pub max_datagram: u16,
    /// Round-trip time assumed before the first sample. Default 333 ms (RFC 9002 section 6.2.2).
    pub initial_rtt: Duration,
    /// Longest wait before an acknowledgement is sent. Default 25 ms (RFC 9000 section 18.2).
    pub max_ack_delay: Duration,
    /// Ack-eliciting packets after which an acknowledgement is sent at once. Default 2 (RFC 9000 section 13.2.2).
    pub ack_every: u8,
    /// Longest interval between probes or handshake attempts. Default 60 s.
    pub max_backoff: Duration,
    /// Messages that may be outstanding towards us on a stream beyond what was consumed
    /// (on a durable stream: stored). Default 64.
    pub receive_window: u16,
}

impl Config {
    /// The smallest datagram: one 127-byte radio frame (IEEE 802.15.4).
    pub const MIN_DATAGRAM: u16 = 127;
    /// The largest datagram: what fits an Ethernet frame over IPv6 (1500 - 40 - 8).
    pub const MAX_DATAGRAM: u16 = 1452;

    /// The defaults, in a `const` context.
    pub const fn new() -> Self {
        Self {
            max_datagram: 1200,
            initial_rtt: Duration::from_millis(333),
            max_ack_delay: Duration::from_millis(25),
            ack_every: 2,
            max_backoff: Duration::from_secs(60),
            receive_window: 64,
        }
    }

    pub(crate) const fn check(&self) -> Result<(), ConfigError> {
        if self.max_datagram < Self::MIN_DATAGRAM || self.max_datagram > Self::MAX_DATAGRAM {
            return Err(ConfigError::DatagramSize);
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
