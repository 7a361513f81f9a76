//! Keys that are provisioned: a device's own, and the gateway's pair.

use core::fmt;

use subtle::ConstantTimeEq;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::hash::hash;

/// 32 secret bytes: compared in constant time, wiped when dropped, never printed.
#[derive(Clone, Default)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) const fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// One copy of the loop, however many places drop a secret.
#[inline(never)]
fn wipe(bytes: &mut [u8; 32]) {
    bytes.zeroize();
}

impl ZeroizeOnDrop for Secret {}

/// What RESETs of a session are authentic by: not printed, wiped when dropped.
#[derive(Clone, Default)]
pub(crate) struct ResetKey([u8; 16]);

impl ResetKey {
    pub(crate) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl Drop for ResetKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A device's own key, 32 random bytes that it shares with its gateway. Proves each to the other, together
/// with the gateway's key pair in [`Pattern::NkPsk0`].
///
/// Compared in constant time, wiped when dropped, not shown by `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey(Secret);

impl DeviceKey {
    /// From its bytes, which must be unpredictable and belong to one device alone.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes, to store them.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl From<[u8; 32]> for DeviceKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self::new(bytes)
    }
}

impl ZeroizeOnDrop for DeviceKey {}

/// A gateway's secret key: an X25519 scalar (RFC 7748 section 5), and the public key that belongs to it.
///
/// Compared in constant time, wiped when dropped, not shown by `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySecret {
    secret: Secret,
    public: GatewayPublic,
}

impl GatewaySecret {
    /// From its bytes, which must be unpredictable. Any 32 bytes are a key. Costs a scalar multiplication.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { public: GatewayPublic(x25519(bytes, X25519_BASEPOINT_BYTES)), secret: Secret::new(bytes) }
    }

    /// The bytes, to store them.
    pub const fn expose(&self) -> &[u8; 32] {
        self.secret.expose()
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The public half, which devices are given.
    pub const fn public(&self) -> GatewayPublic {
        self.public
    }
}

impl From<[u8; 32]> for GatewaySecret {
    fn from(bytes: [u8; 32]) -> Self {
        Self::new(bytes)
    }
}

impl ZeroizeOnDrop for GatewaySecret {}

/// A gateway's public key: what a device needs to know its gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GatewayPublic([u8; 32]);

impl GatewayPublic {
    /// From its bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A short name, to tell a gateway which of its keys is meant: the first byte of the key's BLAKE2s-256.
    pub fn id(&self) -> u8 {
        let [id, ..] = hash(&self.0, &[]);
        id
    }
}

impl From<[u8; 32]> for GatewayPublic {
    fn from(bytes: [u8; 32]) -> Self {
        Self::new(bytes)
    }
}

impl From<GatewayPublic> for [u8; 32] {
    fn from(key: GatewayPublic) -> Self {
        key.0
    }
}

impl fmt::Debug for GatewayPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayPublic(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// How device and gateway prove themselves to each other: a pattern of the Noise Protocol Framework,
/// revision 34, with X25519, ChaCha20-Poly1305 and BLAKE2s. Provisioned at both ends, never negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// By the device's key and the gateway's key pair: whoever learns a device's key still cannot play the gateway.
    /// Three scalar multiplications at each end.
    #[default]
    NkPsk0,
    /// By the device's key alone: whoever learns it can play the gateway to this device. Two scalar multiplications.
    NnPsk0,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;

    use super::*;

    // RFC 7748 section 6.1: Bob's key pair.
    #[test]
    fn public_key_of_rfc_7748() {
        let secret = GatewaySecret::new([
            0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b,
            0xb1, 0x29, 0x26, 0x18, 0xb6, 0xfd, 0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb,
        ]);
        let public = [
            0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61, 0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83,
            0x43, 0xc8, 0x5b, 0x78, 0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f,
        ];
        assert_eq!(secret.public().as_bytes(), &public);
        assert_eq!(<[u8; 32]>::from(secret.public()), public);
    }

    #[test]
    fn secrets_are_not_printed() {
        for text in [format!("{:?}", DeviceKey::new([0xa5; 32])), format!("{:?}", GatewaySecret::new([0xa5; 32]))] {
            assert!(!text.contains("a5") && !text.contains("165"), "{text}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of scalar multiplications")]
    fn keys_differ_by_any_bit() {
        for bit in 0..256 {
            let mut other = [7; 32];
            other[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(DeviceKey::new([7; 32]), DeviceKey::new(other));
            assert_ne!(GatewaySecret::new([7; 32]), GatewaySecret::new(other));
        }
        assert_eq!(DeviceKey::new([7; 32]), DeviceKey::from([7; 32]));
    }

    #[test]
    fn a_key_id_is_the_first_byte_of_its_hash() {
        // BLAKE2s-256 of 32 zero bytes, by another implementation (Python's hashlib).
        assert_eq!(GatewayPublic::new([0; 32]).id(), 0x32);
    }
}
