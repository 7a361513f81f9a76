//! Messages: accepted, kept, put in order, put together, given up. Knows nothing of packets.

pub(crate) mod assembly;
pub(crate) mod outbox;
pub(crate) mod reorder;
mod request;
pub(crate) mod streams;
