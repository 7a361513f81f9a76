//! What may be opened: packet protection. The plain mode checks integrity and which session a
//! packet belongs to; it keeps nobody out.

#[cfg(feature = "seal")]
mod aead;
#[cfg(feature = "seal")]
mod error;
#[cfg(feature = "seal")]
mod hash;
#[cfg(feature = "seal")]
mod key;
#[cfg(feature = "seal")]
#[allow(dead_code, reason = "no session is sealed yet")]
mod noise;
#[cfg(feature = "seal")]
#[allow(dead_code, reason = "no session is sealed yet")]
mod symmetric;

#[cfg(feature = "seal")]
#[allow(unused_imports, reason = "no session is sealed yet")]
pub(crate) use {
    error::SealError,
    noise::{Accepting, Initiator, Responder},
    symmetric::TransportKeys,
};

#[cfg(feature = "seal")]
pub use key::{DeviceKey, GatewayPublic, GatewaySecret, Pattern};

use crate::PacketNumber;
use crate::wire::crc::Crc32;

/// Bytes at the end of a packet that protect it.
pub(crate) const TRAILER: usize = 4;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToGateway = 0,
    ToDevice = 1,
}

impl Direction {
    pub(crate) const fn reverse(self) -> Self {
        match self {
            Self::ToGateway => Self::ToDevice,
            Self::ToDevice => Self::ToGateway,
        }
    }
}

/// What binds packets to one session: the nonces of both ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlainKeys {
    pub(crate) device: u64,
    pub(crate) gateway: u64,
}

impl PlainKeys {
    /// The trailer: CRC-32 over both nonces, the direction, the full packet number, and the packet.
    pub(crate) fn trailer(&self, direction: Direction, pn: PacketNumber, packet: &[u8]) -> [u8; TRAILER] {
        let mut crc = Crc32::new();
        crc.update(&self.device.to_le_bytes());
        crc.update(&self.gateway.to_le_bytes());
        crc.update(&[direction as u8]);
        crc.update(&pn.value().to_le_bytes());
        crc.update(packet);
        crc.finish().to_le_bytes()
    }
}
