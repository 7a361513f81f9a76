//! Packets: which are in flight, which arrived, which are lost, when to ask again. Knows nothing of messages.

pub(crate) mod ack_policy;
#[cfg_attr(feature = "reno", allow(dead_code))]
pub(crate) mod congestion;
pub(crate) mod loss;
pub(crate) mod loss_rate;
pub(crate) mod pacing;
pub(crate) mod pto;
pub(crate) mod received;
pub(crate) mod redundancy;
#[cfg(any(test, feature = "reno"))]
#[cfg_attr(not(feature = "reno"), allow(dead_code))]
pub(crate) mod reno;
pub(crate) mod reordering;
pub(crate) mod rtt;
pub(crate) mod sent_packets;

#[cfg(not(feature = "reno"))]
pub(crate) use congestion::Congestion;
#[cfg(feature = "reno")]
pub(crate) use reno::Congestion;
