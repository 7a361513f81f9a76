//! How a stream delivers.

use whimbrel_core::{ChannelConfig, Delivery};

/// The core's `Delivery`, numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Sent once, at most once.
    BestEffort,
    /// Only the newest value counts.
    Latest,
    /// Each once.
    Reliable,
    /// Each once, in order.
    Ordered,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::BestEffort, Self::Latest, Self::Reliable, Self::Ordered];

    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BestEffort => "best effort",
            Self::Latest => "latest",
            Self::Reliable => "reliable",
            Self::Ordered => "ordered",
        }
    }
}

impl From<Delivery> for Kind {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::BestEffort => Self::BestEffort,
            Delivery::Latest => Self::Latest,
            Delivery::Reliable => Self::Reliable,
            Delivery::Ordered => Self::Ordered,
            other => panic!("the world does not know {other:?}"),
        }
    }
}

/// How a stream delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mode {
    /// In which manner.
    pub kind: Kind,
    /// Kept until it is stored.
    pub durable: bool,
}

impl Mode {
    /// Of a channel.
    pub fn of(channel: &ChannelConfig) -> Self {
        Self { kind: channel.delivery.into(), durable: channel.durable }
    }
}
