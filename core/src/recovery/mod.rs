//! Packets: which are in flight, which arrived, which are lost, when to ask again. Knows nothing of messages.

pub(crate) mod ack_policy;
pub(crate) mod congestion;
pub(crate) mod loss;
pub(crate) mod pto;
pub(crate) mod received;
pub(crate) mod rtt;
pub(crate) mod sent_packets;
