//! The protocols, one a file.

pub(crate) mod enet;
pub(crate) mod kcp;
pub(crate) mod quic;
pub(crate) mod tcp;
pub(crate) mod whimbrel;
pub(crate) mod yardstick;
