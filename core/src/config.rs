//! What a session is told when it is made.

use crate::{ChannelId, ConfigError, DeviceId, Duration, SchemaId};

/// How a channel delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Sent once, delivered at most once.
    BestEffort,
    /// Only the newest value matters: a message replaces its predecessor and is sent until it is
    /// acknowledged or replaced itself. An older one never comes after a newer.
    Latest,
    /// Each message exactly once, in any order.
    Reliable,
    /// Each message exactly once, in order.
    Ordered,
}

impl Delivery {
    /// Whether the peer gives credit for it, and waits for what is missing.
    pub(crate) const fn is_reliable(self) -> bool {
        matches!(self, Self::Reliable | Self::Ordered)
    }
}

/// What goes first when not all can go. A message of a higher priority leaves before those of a
/// lower one on other channels, and finds room in the outbox when they find none any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// When nothing else waits.
    Background,
    /// Readings.
    #[default]
    Normal,
    /// Commands and their answers.
    High,
    /// Alarms.
    Urgent,
}

impl Priority {
    pub(crate) const COUNT: usize = LEVELS.len();
}

/// All priorities, ascending.
pub(crate) const LEVELS: [Priority; 4] = [Priority::Background, Priority::Normal, Priority::High, Priority::Urgent];

/// How many of the messages before it a new packet repeats, while they are not acknowledged and
/// there is room: a lost datagram then costs one sending interval, not a round trip. Nothing is
/// repeated while the path's queue grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redundancy {
    /// None.
    #[default]
    None,
    /// So many, whatever the link does.
    Fixed(u8),
    /// As many as the measured loss calls for; none on a link that loses nothing.
    Adaptive,
}

/// One channel that this end sends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The channel's number.
    pub id: ChannelId,
    /// How it delivers.
    pub delivery: Delivery,
    /// Whether messages stay in the journal until the peer has stored them. Ordered channels only.
    pub durable: bool,
    /// What its payloads mean.
    pub schema: SchemaId,
    /// Of messages that name no other.
    pub priority: Priority,
    /// What its packets repeat; nothing on best-effort and latest channels.
    pub redundancy: Redundancy,
}

impl ChannelConfig {
    const fn new(id: ChannelId, schema: SchemaId, delivery: Delivery) -> Self {
        let (priority, redundancy) = (Priority::Normal, Redundancy::None);
        Self { id, delivery, durable: false, schema, priority, redundancy }
    }

    /// Ordered and durable: each message in the sink exactly once.
    pub const fn durable(id: ChannelId, schema: SchemaId) -> Self {
        Self { durable: true, ..Self::ordered(id, schema) }
    }

    /// Ordered, kept until acknowledged.
    pub const fn ordered(id: ChannelId, schema: SchemaId) -> Self {
        Self::new(id, schema, Delivery::Ordered)
    }

    /// Each message once, in the order in which they happen to arrive.
    pub const fn reliable(id: ChannelId, schema: SchemaId) -> Self {
        Self::new(id, schema, Delivery::Reliable)
    }

    /// The newest value.
    pub const fn latest(id: ChannelId, schema: SchemaId) -> Self {
        Self::new(id, schema, Delivery::Latest)
    }

    /// Best effort: sent once.
    pub const fn best_effort(id: ChannelId, schema: SchemaId) -> Self {
        Self::new(id, schema, Delivery::BestEffort)
    }

    /// The same with another priority.
    #[must_use]
    pub const fn with_priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// The same with repeats.
    #[must_use]
    pub const fn with_redundancy(self, redundancy: Redundancy) -> Self {
        Self { redundancy, ..self }
    }
}

/// What one message asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// How long the message is of use, from now; then it is dropped and counted as expired. `None`:
    /// for ever. At least 2 ms, at most 2^31 - 1 ms (24 days).
    pub lifetime: Option<Duration>,
    /// `None`: the channel's. Messages of a channel leave in the order of their numbers, so that this
    /// one lifts those before it too.
    pub priority: Option<Priority>,
}

/// Who a device is, for the handshake, and how it proves it.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) device: DeviceId,
    pub(crate) boot_epoch: u32,
    /// `None`: the plain mode.
    #[cfg(feature = "seal")]
    pub(crate) credentials: Option<crate::Credentials>,
}

impl Identity {
    /// A device with keys. The boot epoch was stored before ([`crate::next_boot_epoch`]): with it no two boots
    /// share a key, whatever the random source does.
    #[cfg(feature = "seal")]
    pub const fn sealed(device: DeviceId, boot_epoch: crate::BootEpoch, credentials: crate::Credentials) -> Self {
        Self { device, boot_epoch: boot_epoch.number(), credentials: Some(credentials) }
    }

    /// A device without keys: anybody can read, forge and replay what it says. For bring-up, and for networks
    /// that are protected in other ways; the gateway must have been told to take such devices. `boot_epoch`: how
    /// many times the device has booted; 0 when it does not count.
    #[cfg(feature = "plain")]
    pub const fn insecure_plain(device: DeviceId, boot_epoch: u32) -> Self {
        Self {
            device,
            boot_epoch,
            #[cfg(feature = "seal")]
            credentials: None,
        }
    }

    /// The provisioned identity.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// Bytes that the handshake takes in a HELLO beside its terms and what every version has: plain, the boot epoch
    /// and a CRC-32; sealed, key id, ephemeral key, tag and both MACs.
    pub(crate) const fn handshake_len(&self) -> usize {
        #[cfg(feature = "seal")]
        if self.credentials.is_some() {
            return 1 + 32 + 16 + 16 + 8;
        }
        4 + 4
    }
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
