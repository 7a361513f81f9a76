//! What may be opened: handshake keys, packet protection. Knows nothing of what frames mean.
//!
//! Sealed sessions are the rule. The plain mode checks integrity and which session a packet belongs to; it
//! keeps nobody out, and both ends must have asked for it.

#[cfg(feature = "seal")]
mod aead;
mod boot;
#[cfg(all(feature = "seal", any(test, target_os = "none")))]
mod chacha;
#[cfg(feature = "seal")]
mod cookie;
#[cfg(feature = "seal")]
mod credentials;
#[cfg(feature = "seal")]
mod error;
#[cfg(feature = "seal")]
mod hash;
#[cfg(feature = "seal")]
mod key;
#[cfg(feature = "seal")]
pub(crate) mod mac;
#[cfg(feature = "seal")]
pub(crate) mod noise;
pub(crate) mod opened;
#[cfg(feature = "seal")]
pub(crate) mod packet;
#[cfg(feature = "plain")]
mod plain;
#[cfg(feature = "seal")]
pub(crate) mod random;
#[cfg(feature = "seal")]
mod symmetric;

pub use boot::{BootEpoch, BootEpochError, BootEpochStorage, next_boot_epoch};
#[cfg(feature = "seal")]
pub use cookie::Cookies;
#[cfg(feature = "seal")]
pub use credentials::{Credentials, GatewayKeys};
#[cfg(feature = "seal")]
pub(crate) use error::SealError;
#[cfg(feature = "seal")]
pub(crate) use key::ResetKey;
#[cfg(feature = "seal")]
pub use key::{DeviceKey, GatewayPublic, GatewaySecret, Pattern};
pub(crate) use opened::Handshake;
pub use opened::Opened;
#[cfg(feature = "plain")]
pub(crate) use plain::PlainKeys;

use crate::PacketNumber;
#[cfg(feature = "seal")]
use packet::SealedKeys;

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

/// Bytes at the end of a plain packet.
pub(crate) const PLAIN_TRAILER: usize = 4;

/// The keys of one session.
#[derive(Debug)]
pub(crate) enum Keys {
    /// No session yet.
    None,
    #[cfg(feature = "plain")]
    Plain(PlainKeys),
    #[cfg(feature = "seal")]
    Sealed(SealedKeys),
}

impl Keys {
    /// Bytes at the end of a short packet that protect it.
    pub(crate) const fn trailer_len(&self) -> usize {
        match self {
            Self::None => PLAIN_TRAILER,
            #[cfg(feature = "plain")]
            Self::Plain(_) => PLAIN_TRAILER,
            #[cfg(feature = "seal")]
            Self::Sealed(_) => packet::TAG,
        }
    }

    /// Bytes of the RESET that a packet may be answered with: what is not longer gets none.
    pub(crate) const fn reset_len(&self) -> usize {
        match self {
            Self::None => crate::wire::RESET_LEN,
            #[cfg(feature = "plain")]
            Self::Plain(_) => crate::wire::RESET_LEN,
            #[cfg(feature = "seal")]
            Self::Sealed(_) => crate::gate::RESET_LEN,
        }
    }

    /// The key phase bit of the next packet to send.
    pub(crate) fn phase(&self) -> bool {
        match self {
            #[cfg(feature = "seal")]
            Self::Sealed(keys) => keys.phase(),
            _ => false,
        }
    }

    /// Changes the keys when that is due, or `wanted`, and the peer has the present ones. Says whether it did.
    #[cfg(feature = "seal")]
    pub(crate) fn update(&mut self, wanted: bool, largest_acked: Option<PacketNumber>) -> bool {
        let Self::Sealed(keys) = self else { return false };
        let now = (wanted || keys.is_update_due()) && keys.may_update(largest_acked);
        if now {
            keys.update();
        }
        now
    }

    /// Whether nothing is opened with them any more.
    #[cfg(feature = "seal")]
    pub(crate) const fn is_exhausted(&self) -> bool {
        matches!(self, Self::Sealed(keys) if keys.is_exhausted())
    }

    /// Protects a packet in place: header, frames, and room for the trailer. Says whether that was possible.
    #[cfg_attr(
        not(all(feature = "plain", feature = "seal")),
        allow(unused_variables, reason = "each mode has its own")
    )]
    pub(crate) fn seal(&mut self, way: Direction, pn: PacketNumber, header_len: usize, packet: &mut [u8]) -> bool {
        match self {
            Self::None => false,
            #[cfg(feature = "plain")]
            Self::Plain(keys) => keys.seal(way, pn, packet),
            #[cfg(feature = "seal")]
            Self::Sealed(keys) => keys.seal(pn, header_len, packet).is_some(),
        }
    }

    /// Opens a packet in place. One that is not authentic stays as it was.
    #[cfg_attr(
        not(all(feature = "plain", feature = "seal")),
        allow(unused_variables, reason = "each mode has its own")
    )]
    pub(crate) fn open(
        &mut self,
        way: Direction,
        pn: PacketNumber,
        phase: bool,
        header_len: usize,
        packet: &mut [u8],
    ) -> bool {
        match self {
            Self::None => false,
            #[cfg(feature = "plain")]
            Self::Plain(keys) => !phase && keys.open(way, pn, packet),
            #[cfg(feature = "seal")]
            Self::Sealed(keys) => keys.open(pn, phase, header_len, packet).is_ok(),
        }
    }
}
