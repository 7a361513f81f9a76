//! What storms did and what came of it, added up.

use crate::oracle::{Fates, Kind};
use crate::tally::Tally;
use crate::world::World;
use core::ops::AddAssign;
use firmware_sim::link::Link;
use whimbrel_core::{Duration, Event};

/// Of one storm, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Storms.
    pub storms: u64,
    /// Devices in them.
    pub devices: u64,
    /// Seconds of virtual time.
    pub seconds: u64,
    /// What was done, by class; see [`Counts::INJECTED`].
    pub injected: [u64; Self::INJECTED.len()],
    /// Datagrams sent.
    pub datagrams: u64,
    /// Datagrams delivered.
    pub arrived: u64,
    /// Times that a session said `Full`.
    pub refused: u64,
    /// Sessions that devices opened after their first.
    pub reconnects: u64,
    /// What became of messages: durable ones first, then by mode.
    pub fates: [Fates; Self::MODES.len()],
    /// The longest time from the end of the faults until everything was right, in hundredths of its bound.
    pub slowest: u64,
}

impl Counts {
    /// The names of what is injected.
    pub const INJECTED: [&str; 24] = [
        "lost one by one",
        "lost in bursts",
        "lost at a full queue",
        "lost in a partition",
        "lost to a sleeping device",
        "lost to an address left",
        "too long",
        "duplicated",
        "reordered",
        "corrupted",
        "partitions",
        "rebindings",
        "sleeps",
        "deep sleeps",
        "clock steps",
        "device crashes",
        "gateway crashes",
        "sessions ended",
        "application stalls",
        "counters lost",
        "counters raised",
        "keys updated",
        "loads",
        "cookies",
    ];

    /// The names of the modes.
    pub const MODES: [&str; 6] =
        ["ordered durable", "reliable durable", "ordered", "reliable", "latest", "best effort"];

    /// Of a storm that is over. `took`: from the end of the faults until everything was right; `bound`: what it
    /// might have taken.
    pub fn of(world: &World, took: Duration, bound: Duration) -> Self {
        let links = || world.network.up.iter().chain(&world.network.down).map(Link::stats);
        let sum = |count: fn(&firmware_sim::link::LinkStats) -> u64| links().map(count).sum::<u64>();
        let Tally { lost_asleep, lost_path, rebindings, partitions, sleeps, clock_steps, .. } = world.tally;
        let Tally { device_crashes, gateway_crashes, sessions_ended, stalls, hibernations, .. } = world.tally;
        let Tally { counters_lost, loads, key_updates, .. } = world.tally;
        let raised = |event: &&Event| matches!(event, Event::BootEpochRaised { .. });
        let raised = world.devices.iter().flat_map(|device| &device.events).filter(raised).count() as u64;
        let mut counts = Self {
            storms: 1,
            devices: world.devices.len() as u64,
            seconds: world.now.as_micros() / 1_000_000,
            injected: [
                sum(|stats| stats.lost),
                sum(|stats| stats.burst_lost),
                sum(|stats| stats.overflowed),
                sum(|stats| stats.cut_off),
                lost_asleep,
                lost_path,
                sum(|stats| stats.too_long),
                sum(|stats| stats.duplicated),
                sum(|stats| stats.reordered),
                sum(|stats| stats.corrupted),
                partitions,
                rebindings,
                sleeps,
                hibernations,
                clock_steps,
                device_crashes,
                gateway_crashes,
                sessions_ended,
                stalls,
                counters_lost,
                raised,
                key_updates,
                loads,
                world.gateway.turned.cookies,
            ],
            datagrams: sum(|stats| stats.offered),
            arrived: sum(|stats| stats.delivered),
            slowest: took.as_micros() * 100 / bound.as_micros().max(1),
            ..Self::default()
        };
        for (device, peer) in world.devices.iter().zip(&world.gateway.peers) {
            counts.refused += device.load.refused + peer.load.refused;
            counts.reconnects += u64::from(device.reconnects());
            for flow in device.oracle.flows() {
                let mode = flow.mode();
                let at = match (mode.durable, mode.kind) {
                    (true, Kind::Ordered) => 0,
                    (true, _) => 1,
                    (_, Kind::Ordered) => 2,
                    (_, Kind::Reliable) => 3,
                    (_, Kind::Latest) => 4,
                    (_, Kind::BestEffort) => 5,
                };
                counts.fates[at] += flow.fates(world.now);
            }
        }
        counts
    }

    /// What was never injected.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        Self::INJECTED.into_iter().zip(self.injected).filter(|(_, count)| *count == 0).map(|(name, _)| name)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.storms += other.storms;
        self.devices += other.devices;
        self.seconds += other.seconds;
        self.datagrams += other.datagrams;
        self.arrived += other.arrived;
        self.refused += other.refused;
        self.reconnects += other.reconnects;
        self.slowest = self.slowest.max(other.slowest);
        for (sum, count) in self.injected.iter_mut().zip(other.injected) {
            *sum += count;
        }
        for (sum, fates) in self.fates.iter_mut().zip(other.fates) {
            *sum += fates;
        }
    }
}
