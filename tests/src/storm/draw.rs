//! A storm out of a seed: both ends' limits, the channels, the applications, the links, and what happens.

use super::plan::{Act, Plan, Talk, Turn};
use crate::device::Naps;
use crate::load::Source;
use crate::memory::Preset;
use crate::network;
use crate::setup::{DeviceSetup, Setup};
use firmware_sim::faults::{Bottleneck, Burst, Faults};
use firmware_sim::link::{Rng, below, rng};
use whimbrel_core::{
    ChannelConfig, ChannelId, Config, Delivery, Duration, Instant, Priority, Protection, Redundancy, SchemaId,
};

/// Bytes of a packet around the payload of a message that travels alone: header, head and an acknowledgement.
const AROUND: usize = 56;
/// Fragments of a message that no session refuses.
const FRAGMENTS_MAX: usize = 32;
/// IPv4 and UDP headers.
const OVERHEAD: usize = 28;

/// Draws, each from what the draws before left.
pub(super) struct Dice(Rng);

impl Dice {
    pub(super) fn new(seed: u64, sequence: u64) -> Self {
        Self(rng(seed, sequence))
    }

    /// From `low` to `high`, both included.
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + below(&mut self.0, high.saturating_sub(low) + 1)
    }

    /// So many times in a hundred.
    pub(super) fn percent(&mut self, chance: u64) -> bool {
        below(&mut self.0, 100) < chance
    }

    /// Up to so many hundredths, or none at all: `chance` times in a hundred.
    fn share(&mut self, chance: u64, most: u64) -> f64 {
        let (is, share) = (self.percent(chance), self.within(1, most));
        if is { share as f64 / 100.0 } else { 0.0 }
    }

    pub(super) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.within(low, high))
    }

    /// Mostly sealed, mostly in the pattern that is the default.
    fn protection(&mut self) -> Protection {
        match self.within(0, 9) {
            0 => Protection::Plain,
            1..=3 => Protection::NnPsk0,
            _ => Protection::NkPsk0,
        }
    }

    fn one_of<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[below(&mut self.0, N as u64) as usize]
    }
}

/// The storm of a seed.
pub fn draw(seed: u64) -> Plan {
    let mut dice = Dice::new(seed, 40);
    let count = [1, 1, 1, 1, 1, 2, 2, 3, 4, 6][dice.within(0, 9) as usize];
    let links = if dice.percent(50) { 1 } else { count };
    let gateway = dice.one_of(Preset::ALL);
    let config = limits(&mut dice);
    let store_delay = if dice.percent(10) { dice.millis(0, 2_000) } else { dice.millis(0, 100) };
    let devices: Vec<_> = (0..count).map(|at| device(&mut dice, gateway, &config, at % links)).collect();
    let setup =
        Setup { seed, gateway, config, links: (0..links).map(|_| weather(&mut dice)).collect(), store_delay, devices };
    let down = setup.links.iter().map(|up| Faults { delay: up.delay, ..weather(&mut dice) }).collect();
    let mut dice = Dice::new(seed, 41);
    let talks = setup.devices.iter().map(|device| talk(&mut dice, device, &setup)).collect();
    let mut dice = Dice::new(seed, 42);
    let turns = (0..dice.within(2, 14)).map(|_| turn(&mut dice, count, &setup.links)).collect();
    Plan { setup, down, talks, turns }
}

fn limits(dice: &mut Dice) -> Config {
    let spread = dice.within(127, 1_452);
    let max_datagram = dice.one_of([127, 576, 1_200, 1_452, spread]) as u16;
    Config {
        max_datagram,
        initial_rtt: if dice.percent(50) { dice.millis(20, 1_000) } else { Config::new().initial_rtt },
        max_ack_delay: if dice.percent(50) { dice.millis(0, 200) } else { Config::new().max_ack_delay },
        ack_every: dice.within(1, 4) as u8,
        max_backoff: dice.millis(5_000, 60_000),
        receive_window: if dice.percent(30) { dice.within(1, 200) as u16 } else { Config::new().receive_window },
    }
}

fn device(dice: &mut Dice, gateway: Preset, theirs: &Config, link: usize) -> DeviceSetup {
    let (preset, protection) = (dice.one_of(Preset::ALL), dice.protection());
    let config = limits(dice);
    // HELLO and ACCEPT must fit into a datagram: header, fields and limits, and for each stream the longest varints.
    let datagram = usize::from(config.max_datagram.min(theirs.max_datagram));
    let [hello, accept] = if protection == Protection::Plain { [57, 51] } else { [57 + 65, 51 + 69] };
    // One always fits, as its numbers are small.
    let most = preset.streams().0.min(gateway.streams().1).min((datagram - hello) / 35).clamp(1, 5);
    let up = dice.within(1, most as u64);
    let room = datagram.saturating_sub(accept + 26 * up as usize) / 35;
    let most = gateway.streams().0.min(preset.streams().1).min(room).min(3);
    let down = dice.within(0, most as u64);
    let ppm = if dice.percent(30) { dice.within(0, 400) as i32 - 200 } else { 0 };
    DeviceSetup {
        protection,
        preset,
        config,
        channels: (1..=up).map(|number| channel(dice, number as u8, true)).collect(),
        gateway_channels: (1..=down).map(|number| channel(dice, number as u8 + 20, false)).collect(),
        sizes: (0, 0),
        ppm,
        link,
    }
}

fn channel(dice: &mut Dice, number: u8, may_be_durable: bool) -> ChannelConfig {
    let id = ChannelId::new(number).expect("a small number");
    let schema = SchemaId(u64::from(number));
    let channel = match dice.within(0, 5) {
        0 | 1 if may_be_durable => ChannelConfig::durable(id, schema),
        2 => ChannelConfig::reliable(id, schema),
        3 => ChannelConfig::latest(id, schema),
        4 => ChannelConfig::best_effort(id, schema),
        _ => ChannelConfig::ordered(id, schema),
    };
    let fixed = Redundancy::Fixed(dice.within(0, 4) as u8);
    let redundancy = dice.one_of([Redundancy::None, fixed, Redundancy::Adaptive]);
    let priority = dice.one_of([Priority::Background, Priority::Normal, Priority::High, Priority::Urgent]);
    channel.with_redundancy(redundancy).with_priority(priority)
}

fn weather(dice: &mut Dice) -> Faults {
    let is_slow = dice.percent(15);
    let late = if is_slow { dice.millis(50, 2_000) } else { dice.millis(1, 50) };
    let burst = Burst {
        enter: dice.within(1, 5) as f64 / 100.0,
        leave: dice.within(5, 50) as f64 / 100.0,
        loss_good: 0.0,
        loss_bad: dice.within(50, 100) as f64 / 100.0,
    };
    let (rate, queue) = (dice.within(2_000, 100_000), dice.within(3, 64) as usize);
    Faults {
        loss: dice.share(60, 30),
        reorder: dice.share(40, 20),
        duplicate: dice.share(40, 10),
        corrupt: dice.share(40, 5),
        delay: dice.millis(0, 200),
        reorder_delay: late,
        burst: dice.percent(25).then_some(burst),
        bottleneck: dice.percent(20).then_some(Bottleneck { rate, queue, overhead: OVERHEAD - network::HEADER }),
        ..Faults::NONE
    }
}

fn talk(dice: &mut Dice, device: &DeviceSetup, gateway: &Setup) -> Talk {
    let tag = if device.protection == Protection::Plain { 4 } else { 16 };
    // What both ends take, without what protects it.
    let datagram = usize::from(device.config.max_datagram.min(gateway.config.max_datagram)) - tag;
    let share = |most: u64| (most / gateway.devices.len() as u64).max(8);
    let up = device.channels.iter().map(|channel| source(dice, channel, gateway.gateway, share(400), datagram));
    let up = up.collect();
    let down = &device.gateway_channels;
    let down = down.iter().map(|channel| source(dice, channel, device.preset, share(150), datagram));
    let down = down.collect();
    let (awake, asleep) = (dice.millis(50, 5_000), dice.millis(100, 30_000));
    let naps = Naps { awake, asleep, tells: dice.percent(50), deep: dice.percent(60) };
    Talk { up, down, naps: dice.percent(20).then_some(naps) }
}

/// `datagram`: the longest that both ends take, without its tag. What is longer than the receiver takes would be refused once it has
/// said so, and be undeliverable before.
fn source(dice: &mut Dice, channel: &ChannelConfig, receiver: Preset, most: u64, datagram: usize) -> Source {
    let whole = datagram - AROUND;
    let is_reliable = matches!(channel.delivery, Delivery::Ordered | Delivery::Reliable);
    let is_long = dice.percent(15);
    let most_bytes = match receiver.assembled() {
        long if is_long && is_reliable && long > 0 => long.min(whole * FRAGMENTS_MAX),
        _ => receiver.longest().min(whole),
    };
    let longest = dice.within(0, most_bytes as u64) as usize;
    let shortest = dice.within(0, longest as u64) as usize;
    let left = dice.within(1, if is_long { most / 4 } else { most }) as u32;
    let source = Source::greedy(channel.id, left, (shortest, longest));
    let (burst, every) = (dice.within(1, 8) as u32, dice.millis(5, 2_000));
    let due = Instant::ZERO + dice.millis(0, 5_000);
    let mut source = if dice.percent(60) { source.periodic(burst, every, due) } else { source };
    let (lifetime, spread) = (dice.millis(2, 2_000), dice.millis(0, 20_000));
    let lifetimes = dice.percent(30).then_some((lifetime, lifetime.saturating_add(spread)));
    let urgent = if dice.percent(20) { dice.within(1, 30) } else { 0 };
    (source.lifetimes, source.urgent) = (lifetimes, urgent);
    source
}

fn turn(dice: &mut Dice, devices: usize, links: &[Faults]) -> Turn {
    let acts = (0..dice.within(0, 2)).map(|_| act(dice, devices, links)).collect();
    let length = if dice.percent(8) { dice.millis(10_000, 90_000) } else { dice.millis(0, 4_000) };
    Turn { acts, length }
}

fn act(dice: &mut Dice, devices: usize, links: &[Faults]) -> Act {
    let at = dice.within(0, devices as u64 - 1) as usize;
    let link = dice.within(0, links.len() as u64 - 1) as usize;
    match dice.within(0, 17) {
        0 => {
            let faults = Faults { delay: links[link].delay, ..weather(dice) };
            Act::Weather { link, up: dice.percent(50), faults }
        }
        1 | 2 => {
            let way = dice.within(0, 2);
            Act::Partition { link, up: way != 1, down: way != 0 }
        }
        3 => Act::Mtu { link, bytes: dice.within(40, 300) as usize },
        4 => Act::Rebind(at),
        5 => Act::Sleep(at, if dice.percent(10) { dice.millis(1_000, 120_000) } else { dice.millis(10, 5_000) }),
        6 if dice.percent(50) => Act::Drift(at, dice.within(0, 2_000) as i32 - 1_000),
        6 if dice.percent(50) => Act::Step(at, -(dice.within(1, 500_000) as i64)),
        6 => Act::Step(at, dice.within(1, 3_600_000_000) as i64),
        7 => Act::CrashDevice(at),
        8 | 9 => Act::CrashGateway,
        10 => Act::Forget(at),
        11 => Act::GoAway(at),
        12 => Act::Stall,
        13 => Act::Load,
        14 => Act::LoseCounter(at),
        16 => Act::UpdateKeys(at, dice.percent(50)),
        15 => Act::Hibernate(at, dice.millis(10, 20_000)),
        _ => Act::Wake(at),
    }
}
