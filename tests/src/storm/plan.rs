//! What happens in a storm, before it happens.

use super::class::{Class, Cuts};
use crate::device::Naps;
use crate::load::Source;
use crate::setup::Setup;
use firmware_sim::faults::Faults;
use whimbrel_core::Duration;

/// One thing that is done to a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// A link's faults change; in which direction.
    Weather {
        /// Which link.
        link: usize,
        /// From the devices, or to them.
        up: bool,
        /// From now on.
        faults: Faults,
    },
    /// A link is cut, from the devices, to them, or both, until the end of the turn.
    Partition {
        /// Which link.
        link: usize,
        /// Nothing passes from the devices.
        up: bool,
        /// Nothing passes to them.
        down: bool,
    },
    /// A link takes no longer datagrams until the end of the turn.
    Mtu {
        /// Which link.
        link: usize,
        /// The longest that passes, in bytes.
        bytes: usize,
    },
    /// A device's address changes.
    Rebind(usize),
    /// A device sleeps for so long.
    Sleep(usize, Duration),
    /// A device sleeps deeply for so long, if its session can.
    Hibernate(usize, Duration),
    /// A device's clock steps by so many microseconds.
    Step(usize, i64),
    /// A device's clock runs at another rate from now on, in millionths.
    Drift(usize, i32),
    /// A device loses its memory.
    CrashDevice(usize),
    /// The gateway loses its memory.
    CrashGateway,
    /// The gateway forgets one session.
    Forget(usize),
    /// The gateway closes one session, to be opened again.
    GoAway(usize),
    /// The gateway gives out cookies until the end of the turn.
    Load,
    /// A device loses its memory, and its boot epoch is erased or set back.
    LoseCounter(usize),
    /// A session's keys change, begun by the device or by the gateway.
    UpdateKeys(usize, bool),
    /// The gateway's application takes nothing until the end of the turn.
    Stall,
    /// A device's application says that the network is back.
    Wake(usize),
}

impl Act {
    /// What kind of fault it is.
    pub const fn class(&self) -> Option<Class> {
        Some(match self {
            Self::Weather { .. } => return None,
            Self::Partition { .. } => Class::Partitions,
            Self::Mtu { .. } => Class::Mtu,
            Self::Rebind(_) => Class::Rebindings,
            Self::Sleep(..) | Self::Hibernate(..) => Class::Sleep,
            Self::Step(..) | Self::Drift(..) => Class::Clocks,
            Self::CrashDevice(_) => Class::DeviceCrashes,
            Self::CrashGateway => Class::GatewayCrashes,
            Self::Forget(_) | Self::GoAway(_) => Class::Endings,
            Self::Load => Class::Cookies,
            Self::UpdateKeys(..) => Class::KeyUpdates,
            Self::LoseCounter(_) => Class::Counters,
            Self::Stall => Class::Stalls,
            Self::Wake(_) => Class::Wakes,
        })
    }

    const fn device(&self) -> Option<usize> {
        match self {
            Self::Rebind(at) | Self::Sleep(at, _) | Self::Step(at, _) | Self::Drift(at, _) => Some(*at),
            Self::Hibernate(at, _) | Self::UpdateKeys(at, _) => Some(*at),
            Self::CrashDevice(at) | Self::LoseCounter(at) | Self::Forget(at) | Self::GoAway(at) | Self::Wake(at) => {
                Some(*at)
            }
            _ => None,
        }
    }
}

/// What is done at once, and how long the world goes on with it.
#[derive(Clone, Debug)]
pub struct Turn {
    /// In this order.
    pub acts: Vec<Act>,
    /// Until the next turn.
    pub length: Duration,
}

/// What the applications at both ends of a device have to say.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    /// From the device.
    pub up: Vec<Source>,
    /// To it.
    pub down: Vec<Source>,
    /// When it sleeps.
    pub naps: Option<Naps>,
}

/// A whole storm.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the world begins.
    pub setup: Setup,
    /// The links towards the devices, which have faults of their own.
    pub down: Vec<Faults>,
    /// By device.
    pub talks: Vec<Talk>,
    /// What happens, until the faults end.
    pub turns: Vec<Turn>,
}

impl Plan {
    /// The same storm without what the cuts leave out.
    pub fn cut(mut self, cuts: &Cuts) -> Self {
        let devices = cuts.devices.unwrap_or(usize::MAX).max(1);
        self.setup.devices.truncate(devices);
        self.talks.truncate(devices);
        self.turns.truncate(cuts.turns.unwrap_or(usize::MAX));
        let kept = |act: &Act| {
            act.class().is_none_or(|class| !cuts.leaves_out(class)) && act.device().is_none_or(|at| at < devices)
        };
        for turn in &mut self.turns {
            turn.acts.retain(kept);
            for act in &mut turn.acts {
                if let Act::Weather { faults, .. } = act {
                    *faults = clear(*faults, cuts);
                }
            }
        }
        for faults in self.setup.links.iter_mut().chain(&mut self.down) {
            *faults = clear(*faults, cuts);
        }
        if cuts.leaves_out(Class::SlowSink) {
            self.setup.store_delay = Duration::ZERO;
        }
        let channels = cuts.channels.unwrap_or(usize::MAX);
        for device in &mut self.setup.devices {
            device.channels.truncate(channels);
            device.gateway_channels.truncate(channels);
            for channel in device.channels.iter_mut().chain(&mut device.gateway_channels) {
                if cuts.leaves_out(Class::Redundancy) {
                    channel.redundancy = whimbrel_core::Redundancy::None;
                }
            }
            if cuts.leaves_out(Class::Clocks) {
                device.ppm = 0;
            }
            if cuts.leaves_out(Class::Seal) {
                device.protection = whimbrel_core::Protection::Plain;
            }
        }
        for (talk, setup) in self.talks.iter_mut().zip(&self.setup.devices) {
            talk.up.retain(|source| setup.channels.iter().any(|channel| channel.id == source.channel));
            talk.down.retain(|source| setup.gateway_channels.iter().any(|channel| channel.id == source.channel));
            talk.naps = talk.naps.filter(|_| !cuts.leaves_out(Class::Sleep));
            for source in talk.up.iter_mut().chain(&mut talk.down) {
                source.left = (source.left >> cuts.halvings).max(1);
                source.lifetimes = source.lifetimes.filter(|_| !cuts.leaves_out(Class::Deadlines));
            }
        }
        self
    }
}

fn clear(faults: Faults, cuts: &Cuts) -> Faults {
    let chance = |class, chance: f64| if cuts.leaves_out(class) { 0.0 } else { chance };
    Faults {
        loss: chance(Class::Loss, faults.loss),
        reorder: chance(Class::Reordering, faults.reorder),
        duplicate: chance(Class::Duplicates, faults.duplicate),
        corrupt: chance(Class::Damage, faults.corrupt),
        burst: faults.burst.filter(|_| !cuts.leaves_out(Class::Bursts)),
        bottleneck: faults.bottleneck.filter(|_| !cuts.leaves_out(Class::Bottlenecks)),
        ..faults
    }
}
