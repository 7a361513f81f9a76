//! How a world begins.

use crate::memory::Preset;
use crate::pair::Pair;
use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Config, Duration, SchemaId};

/// The channel of [`Setup::new`]: ordered and durable.
pub const CHANNEL: ChannelId = ChannelId::new(1).unwrap();

/// How a world begins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Determines everything that is left to chance.
    pub seed: u64,
    /// The device's memory.
    pub device: Preset,
    /// The gateway's memory.
    pub gateway: Preset,
    /// Of both ends.
    pub config: Config,
    /// Of both links.
    pub faults: Faults,
    /// What the device sends on.
    pub channels: Vec<ChannelConfig>,
    /// What the gateway sends on.
    pub gateway_channels: Vec<ChannelConfig>,
    /// How long the sink takes to store a message.
    pub store_delay: Duration,
    /// The shortest and the longest message of a load, in bytes.
    pub sizes: (usize, usize),
}

impl Setup {
    /// One durable channel, medium memory, a perfect link of 5 ms each way.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            device: Preset::Medium,
            gateway: Preset::Medium,
            config: Config::default(),
            faults: Faults { delay: Duration::from_millis(5), ..Faults::NONE },
            channels: vec![ChannelConfig::durable(CHANNEL, SchemaId::named("test/1"))],
            gateway_channels: Vec::new(),
            store_delay: Duration::ZERO,
            sizes: (0, 64),
        }
    }

    /// The same with other faults, but for the delay.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = Faults { delay: self.faults.delay, ..faults };
        self
    }

    /// The same with links that lose this share of the datagrams.
    pub fn loss(self, loss: f64) -> Self {
        let faults = self.faults;
        self.faults(Faults { loss, ..faults })
    }

    /// The world.
    pub fn build(self) -> Pair {
        Pair::new(self)
    }
}
