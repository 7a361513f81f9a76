//! Classes of faults, and what a variant of a storm leaves out.

use core::fmt;
use core::str::FromStr;

/// A kind of fault, which a variant of a storm may leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Datagrams lost one by one.
    Loss,
    /// Datagrams lost in bursts.
    Bursts,
    /// Datagrams that come twice.
    Duplicates,
    /// Datagrams that come late.
    Reordering,
    /// Datagrams with flipped bits.
    Damage,
    /// Narrow links with a queue.
    Bottlenecks,
    /// Datagrams too long for a link.
    Mtu,
    /// Links cut for a while.
    Partitions,
    /// Devices whose address changes.
    Rebindings,
    /// Devices that sleep.
    Sleep,
    /// Clocks that step and drift.
    Clocks,
    /// Devices that lose their memory.
    DeviceCrashes,
    /// Gateways that lose theirs.
    GatewayCrashes,
    /// Sessions that the gateway gives up.
    Endings,
    /// A gateway's application that takes nothing.
    Stalls,
    /// A sink that takes its time.
    SlowSink,
    /// Applications that say that the network is back, when it is and when it is not.
    Wakes,
    /// The application's messages have deadlines.
    Deadlines,
    /// Channels that repeat messages before they are lost.
    Redundancy,
    /// A gateway under load, which gives out cookies.
    Cookies,
    /// Devices that lose their memory and their counter with it.
    Counters,
    /// Ends that change their keys.
    KeyUpdates,
    /// Sealed sessions: without them all are plain.
    Seal,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Loss,
        Self::Bursts,
        Self::Duplicates,
        Self::Reordering,
        Self::Damage,
        Self::Bottlenecks,
        Self::Mtu,
        Self::Partitions,
        Self::Rebindings,
        Self::Sleep,
        Self::Clocks,
        Self::DeviceCrashes,
        Self::GatewayCrashes,
        Self::Endings,
        Self::Stalls,
        Self::SlowSink,
        Self::Wakes,
        Self::Deadlines,
        Self::Redundancy,
        Self::Cookies,
        Self::Counters,
        Self::KeyUpdates,
        Self::Seal,
    ];

    /// As the command line has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Bursts => "bursts",
            Self::Duplicates => "duplicates",
            Self::Reordering => "reordering",
            Self::Damage => "damage",
            Self::Bottlenecks => "bottlenecks",
            Self::Mtu => "mtu",
            Self::Partitions => "partitions",
            Self::Rebindings => "rebindings",
            Self::Sleep => "sleep",
            Self::Clocks => "clocks",
            Self::DeviceCrashes => "device-crashes",
            Self::GatewayCrashes => "gateway-crashes",
            Self::Endings => "endings",
            Self::Stalls => "stalls",
            Self::SlowSink => "slow-sink",
            Self::Wakes => "wakes",
            Self::Deadlines => "deadlines",
            Self::Redundancy => "redundancy",
            Self::Cookies => "cookies",
            Self::Counters => "counters",
            Self::KeyUpdates => "key-updates",
            Self::Seal => "seal",
        }
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|class| class.name() == name).ok_or_else(|| format!("not one of {}", names()))
    }
}

/// What a variant of a storm leaves out; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// These faults.
    pub without: Vec<Class>,
    /// The devices after so many.
    pub devices: Option<usize>,
    /// The channels of each direction after so many.
    pub channels: Option<usize>,
    /// The turns after so many.
    pub turns: Option<usize>,
    /// Of the messages, all but this many halves of halves.
    pub halvings: u32,
}

impl Cuts {
    /// Whether these faults are left out.
    pub fn leaves_out(&self, class: Class) -> bool {
        self.without.contains(&class)
    }
}

/// As arguments of the storm's command line.
impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.without.is_empty() {
            let names: Vec<_> = self.without.iter().map(|class| class.name()).collect();
            write!(f, " --without {}", names.join(","))?;
        }
        let limits = [("devices", self.devices), ("channels", self.channels), ("turns", self.turns)];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                write!(f, " --{name} {limit}")?;
            }
        }
        if self.halvings > 0 {
            write!(f, " --halvings {}", self.halvings)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for class in Class::ALL {
            assert_eq!(class.name().parse(), Ok(class));
        }
        assert!("rain".parse::<Class>().unwrap_err().contains("loss, bursts"));
        let cuts = Cuts { without: vec![Class::Loss, Class::Mtu], turns: Some(3), halvings: 2, ..Cuts::default() };
        assert_eq!(cuts.to_string(), " --without loss,mtu --turns 3 --halvings 2");
    }
}
