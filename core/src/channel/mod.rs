//! Messages: accepted, kept, put in order. Knows nothing of packets.

pub(crate) mod outbox;
pub(crate) mod reorder;
pub(crate) mod streams;
