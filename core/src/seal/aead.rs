//! ChaCha20-Poly1305 (RFC 8439) as Noise uses it, in place and with the tag apart.

#[cfg(not(target_os = "none"))]
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::KeyInit;
use chacha20poly1305::aead::AeadInOut;

#[cfg(target_os = "none")]
use super::chacha::SmallChaCha20Poly1305 as ChaCha20Poly1305;
use super::hash::HASH_LEN;
use super::key::Secret;

/// Bytes of a tag.
pub(crate) const TAG: usize = 16;

/// The nonce for number `n`: 32 zero bits, then `n` in little-endian order (Noise section 12.3).
fn nonce(n: u64) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = n.to_le_bytes();
    [0, 0, 0, 0, a, b, c, d, e, f, g, h]
}

/// Encrypts `bytes` in place and gives the tag over them and `header`. `None` for more than 256 GiB.
#[inline(never)]
pub(crate) fn seal(key: &Secret, n: u64, header: &[u8], bytes: &mut [u8]) -> Option<[u8; TAG]> {
    let cipher = ChaCha20Poly1305::new(key.expose().into());
    let tag = cipher.encrypt_inout_detached(&nonce(n).into(), header, bytes.into());
    Some(tag.ok()?.into())
}

/// Decrypts `bytes` in place if `tag` is right for them and `header`; else leaves them as they are.
#[inline(never)]
#[must_use]
pub(crate) fn open(key: &Secret, n: u64, header: &[u8], bytes: &mut [u8], tag: &[u8; TAG]) -> bool {
    let cipher = ChaCha20Poly1305::new(key.expose().into());
    cipher.decrypt_inout_detached(&nonce(n).into(), header, bytes.into(), tag.into()).is_ok()
}

/// REKEY of Noise section 4.2: the key after this one, from which this one cannot be told.
///
/// The first 32 bytes of ENCRYPT(k, 2^64 - 1, nothing, 32 zero bytes); no packet has that number.
#[inline(never)]
pub(crate) fn rekey(key: &Secret) -> Option<Secret> {
    let mut next = Secret::new([0; HASH_LEN]);
    seal(key, u64::MAX, &[], next.expose_mut())?;
    Some(next)
}
