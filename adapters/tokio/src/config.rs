//! What an endpoint is told when it is bound.

use core::time::Duration;

use whimbrel_core::{ChannelConfig, Config};

use crate::limits::Limits;

/// The tunables of an endpoint. The defaults suit a gateway of ten thousand devices.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// The tunables of each session.
    pub core: Config,
    /// Sockets on the one address, each with a task of its own. 1 to 64; default 1.
    pub shards: usize,
    /// Most sessions at a time, over all shards; each takes up to 64 KiB while it lives. Default 10,000.
    pub sessions_max: usize,
    /// Most handshakes at a time that await the application or the device's first packet, over all shards. Default 1024.
    pub pending_max: usize,
    /// Events that wait for the application; one carries at most [`EndpointConfig::READINGS_MAX`] readings of
    /// [`EndpointConfig::READINGS_BYTES_MAX`] bytes. Default 256: at most some 66 MiB.
    pub event_capacity: usize,
    /// A session is dropped after this long without a datagram for it. Default 24 hours.
    pub idle_timeout: Duration,
    /// An accepted handshake is dropped after this long without the device's first packet. Default 10 s.
    pub pending_timeout: Duration,
    /// Most answers a second, on each shard, to packets of unknown connections and of other versions; a tenth of it more
    /// to those from blocked sources. Default 1000.
    pub resets_per_second: u32,
    /// The channels that the gateway sends on, the same for every session. They cannot be durable yet. Default none.
    pub downlink: Vec<ChannelConfig>,
    /// How much each network and each device may take.
    pub limits: Limits,
}

impl EndpointConfig {
    /// Most readings in one event; more than that wait for the next.
    pub const READINGS_MAX: usize = 1024;
    /// Memory of the readings in one event, in bytes; what would come after them waits for the next.
    pub const READINGS_BYTES_MAX: usize = 256 << 10;
    /// Most shards: the connection id spends 6 of its 32 bits on them.
    pub const SHARDS_MAX: usize = 64;
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            // Twice what the slots of a session hold: credit promises consumption in order, not a slot.
            core: Config { receive_window: 256, ..Config::default() },
            shards: 1,
            sessions_max: 10_000,
            pending_max: 1024,
            event_capacity: 256,
            idle_timeout: Duration::from_secs(24 * 60 * 60),
            pending_timeout: Duration::from_secs(10),
            resets_per_second: 1000,
            downlink: Vec::new(),
            limits: Limits::default(),
        }
    }
}
