//! BLAKE2s, HMAC over it, and Noise's HKDF. Each is one function out of line: flash holds one copy, and the
//! frames of its callers stay small.

use blake2::Blake2s256;
use blake2::digest::common::BlockSizeUser;
use blake2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};
use hmac::{KeyInit, SimpleHmac};

use super::key::Secret;

/// Bytes of a BLAKE2s-256 hash: Noise's HASHLEN (section 12.7).
pub(crate) const HASH_LEN: usize = 32;

/// BLAKE2s-256 (RFC 7693), whose steps are not copied to where they are called.
#[derive(Clone)]
struct Hasher(Blake2s256);

impl HashMarker for Hasher {}

impl OutputSizeUser for Hasher {
    type OutputSize = <Blake2s256 as OutputSizeUser>::OutputSize;
}

impl BlockSizeUser for Hasher {
    type BlockSize = <Blake2s256 as BlockSizeUser>::BlockSize;
}

impl Default for Hasher {
    #[inline(never)]
    fn default() -> Self {
        Self(Blake2s256::default())
    }
}

impl Update for Hasher {
    #[inline(never)]
    fn update(&mut self, data: &[u8]) {
        Update::update(&mut self.0, data);
    }
}

impl FixedOutput for Hasher {
    #[inline(never)]
    fn finalize_into(self, out: &mut Output<Self>) {
        self.0.finalize_into(out);
    }
}

/// BLAKE2s-256 of `first`, then of each of `rest`.
#[inline(never)]
pub(crate) fn hash(first: &[u8], rest: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut hasher = Hasher::default();
    Update::update(&mut hasher, first);
    for part in rest {
        Update::update(&mut hasher, part);
    }
    let mut out = [0; HASH_LEN];
    hasher.finalize_into((&mut out).into());
    out
}

/// HMAC (RFC 2104) with BLAKE2s-256, of `parts` one after the other, into `out`.
#[inline(never)]
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]], out: &mut [u8; HASH_LEN]) {
    // A key of any length is taken (RFC 2104 section 2): the error does not occur.
    let Ok(mut mac) = SimpleHmac::<Hasher>::new_from_slice(key) else { return };
    for part in parts {
        Update::update(&mut mac, part);
    }
    mac.finalize_into(out.into());
}

/// HKDF of Noise section 4.3: the first output takes the chaining key's place, the others are `second` and
/// `third`.
#[inline(never)]
pub(crate) fn hkdf(chaining_key: &mut Secret, input: &[u8], second: &mut Secret, third: Option<&mut Secret>) {
    let mut temp = Secret::default();
    hmac(chaining_key.expose(), &[input], temp.expose_mut());
    hmac(temp.expose(), &[&[1]], chaining_key.expose_mut());
    hmac(temp.expose(), &[chaining_key.expose(), &[2]], second.expose_mut());
    if let Some(third) = third {
        hmac(temp.expose(), &[second.expose(), &[3]], third.expose_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7693 appendix B.
    #[test]
    fn blake2s_of_rfc_7693() {
        let abc = [
            0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2, 0xe1, 0xa7, 0x2b, 0xa3, 0x4e, 0xeb, 0x45, 0x2f, 0x37, 0x45,
            0x8b, 0x20, 0x9e, 0xd6, 0x3a, 0x29, 0x4d, 0x99, 0x9b, 0x4c, 0x86, 0x67, 0x59, 0x82,
        ];
        assert_eq!(hash(b"abc", &[]), abc);
        assert_eq!(hash(b"", &[b"a", b"", b"bc"]), abc);
    }

    // By another implementation: Python's hmac with hashlib.blake2s.
    #[test]
    fn hmac_of_another_implementation() {
        let mut out = [0; 32];
        hmac(&[0x0b; 32], &[b"Hi ", b"There"], &mut out);
        assert_eq!(
            out,
            [
                0x0a, 0x22, 0x72, 0x5a, 0x2d, 0x3d, 0x42, 0xc8, 0xf0, 0x51, 0x56, 0x17, 0xbf, 0x24, 0x9f, 0xcd, 0x1a,
                0xae, 0xc2, 0x74, 0xc7, 0xe9, 0x4a, 0x50, 0x58, 0x54, 0x9a, 0x56, 0x91, 0x94, 0x14, 0x26
            ]
        );
        hmac(&[0xaa; 131], &[b"what do ya want", b" for nothing?"], &mut out);
        assert_eq!(
            out,
            [
                0xc2, 0x81, 0x97, 0xbe, 0xf7, 0xe3, 0x95, 0x59, 0x48, 0x8f, 0x66, 0x2c, 0x66, 0x14, 0x44, 0x19, 0xc3,
                0xac, 0xf4, 0x67, 0xff, 0x0a, 0x87, 0xf3, 0x0e, 0xa4, 0xae, 0xe8, 0x9b, 0xab, 0x42, 0xb9
            ]
        );
    }
}
