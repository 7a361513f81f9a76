//! A HELLO that a gateway may take: what is known of it beside its terms.

use crate::DeviceId;

/// A HELLO that may be taken, without its terms: plain, or opened at the gate. An adapter keeps it, with the
/// terms, while it asks its storage; then both make an [`crate::Offer`].
#[derive(Clone, Debug)]
pub struct Opened {
    pub(crate) device: DeviceId,
    /// Names the HELLO; see [`crate::wire::Claim::id`].
    pub(crate) id: u64,
    pub(crate) boot_epoch: u32,
    /// Bytes of the HELLO: what its answer is measured by.
    pub(crate) len: u16,
    pub(crate) handshake: Handshake,
}

/// How the session will be protected.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "seal", allow(clippy::large_enum_variant, reason = "there is no heap"))]
pub(crate) enum Handshake {
    Plain,
    #[cfg(feature = "seal")]
    Sealed(SealedHello),
}

/// What answers a sealed HELLO.
#[cfg(feature = "seal")]
#[derive(Clone, Debug)]
pub(crate) struct SealedHello {
    pub(crate) responder: super::noise::Responder,
    pub(crate) key: super::DeviceKey,
    pub(crate) mac1: [u8; 16],
    /// Which of the gateway's keys the device used, if any.
    pub(crate) key_id: Option<u8>,
    pub(crate) reset: super::key::Secret,
}

impl Opened {
    pub(crate) fn plain(device: DeviceId, id: u64, boot_epoch: u32, len: usize) -> Self {
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        Self { device, id, boot_epoch, len, handshake: Handshake::Plain }
    }

    /// Which of the gateway's keys the device used ([`crate::GatewayPublic::id`]). When it is not the one in use, the
    /// session tells the device of that ([`crate::Session::announce_key`]). `None` for a device that knows its gateway
    /// by no key.
    #[cfg(feature = "seal")]
    pub const fn gateway_key_id(&self) -> Option<u8> {
        match &self.handshake {
            Handshake::Sealed(sealed) => sealed.key_id,
            Handshake::Plain => None,
        }
    }

    pub(crate) const fn is_sealed(&self) -> bool {
        !matches!(self.handshake, Handshake::Plain)
    }
}
