//! How a world begins.

use crate::memory::Preset;
use crate::world::World;
use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Config, Duration, Protection, SchemaId};

/// The channel of [`Setup::new`]: ordered and durable.
pub const CHANNEL: ChannelId = ChannelId::new(1).unwrap();

/// A device, as it is switched on.
#[derive(Clone, Debug)]
pub struct DeviceSetup {
    /// How its sessions are protected.
    pub protection: Protection,
    /// Its memory.
    pub preset: Preset,
    /// Its session's.
    pub config: Config,
    /// What it sends on.
    pub channels: Vec<ChannelConfig>,
    /// What the gateway sends to it on.
    pub gateway_channels: Vec<ChannelConfig>,
    /// The shortest and the longest message of a greedy load, in bytes.
    pub sizes: (usize, usize),
    /// How much too fast its clock runs, in millionths.
    pub ppm: i32,
    /// Which link it is on.
    pub link: usize,
}

/// How a world begins.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Determines everything that is left to chance.
    pub seed: u64,
    /// The devices.
    pub devices: Vec<DeviceSetup>,
    /// The memory of each of the gateway's sessions.
    pub gateway: Preset,
    /// Of the gateway's sessions.
    pub config: Config,
    /// The links, the same in both directions.
    pub links: Vec<Faults>,
    /// How long the sink takes to store a message.
    pub store_delay: Duration,
}

impl Setup {
    /// One device with one durable channel, sealed, medium memory, a perfect link of 5 ms each way.
    pub fn new(seed: u64) -> Self {
        let device = DeviceSetup {
            protection: Protection::NkPsk0,
            preset: Preset::Medium,
            config: Config::default(),
            channels: vec![ChannelConfig::durable(CHANNEL, SchemaId::named("test/1"))],
            gateway_channels: Vec::new(),
            sizes: (0, 64),
            ppm: 0,
            link: 0,
        };
        Self {
            seed,
            devices: vec![device],
            gateway: Preset::Medium,
            config: Config::default(),
            links: vec![Faults { delay: Duration::from_millis(5), ..Faults::NONE }],
            store_delay: Duration::ZERO,
        }
    }

    /// The same with other memory at both ends.
    pub fn presets(mut self, device: Preset, gateway: Preset) -> Self {
        self.gateway = gateway;
        self.each(|setup| setup.preset = device)
    }

    /// The same in another protection.
    pub fn protection(self, protection: Protection) -> Self {
        self.each(|setup| setup.protection = protection)
    }

    /// The same with other limits at both ends.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self.each(|setup| setup.config = config)
    }

    /// The same with devices that send on other channels.
    pub fn channels(self, channels: &[ChannelConfig]) -> Self {
        self.each(|setup| setup.channels = channels.to_vec())
    }

    /// The same with a gateway that sends on these channels.
    pub fn gateway_channels(self, channels: &[ChannelConfig]) -> Self {
        self.each(|setup| setup.gateway_channels = channels.to_vec())
    }

    /// The same with messages of other sizes.
    pub fn sizes(self, shortest: usize, longest: usize) -> Self {
        self.each(|setup| setup.sizes = (shortest, longest))
    }

    /// The same with so many devices, all alike and on one link.
    pub fn count(mut self, devices: usize) -> Self {
        let first = self.devices[0].clone();
        self.devices.resize(devices, first);
        self
    }

    fn each(mut self, change: impl FnMut(&mut DeviceSetup)) -> Self {
        self.devices.iter_mut().for_each(change);
        self
    }

    /// The same with other faults, but for the delay.
    pub fn faults(mut self, faults: Faults) -> Self {
        for link in &mut self.links {
            *link = Faults { delay: link.delay, ..faults };
        }
        self
    }

    /// The same with links that lose this share of the datagrams.
    pub fn loss(mut self, loss: f64) -> Self {
        self.links.iter_mut().for_each(|link| link.loss = loss);
        self
    }

    /// The world.
    pub fn build(self) -> World {
        World::new(self)
    }
}
