//! Noise's SymmetricState (revision 34, section 5.2), for handshakes in which a new key precedes every payload.

use super::SealError;
use super::aead::{self, TAG};
use super::hash::{HASH_LEN, hash, hkdf};
use super::key::Secret;

/// The keys of a session, one for each direction: what Split() gives (section 5.2).
#[derive(Clone, Debug)]
pub(crate) struct TransportKeys {
    pub(crate) to_gateway: Secret,
    pub(crate) to_device: Secret,
}

#[derive(Clone, Debug)]
pub(super) struct Symmetric {
    /// Chaining key `ck`.
    chaining_key: Secret,
    /// Cipher key `k`. Its nonce `n` is 0 at every use: MixKey() comes before each payload and resets it.
    key: Secret,
    /// Handshake hash `h`.
    pub(super) hash: [u8; HASH_LEN],
}

impl Symmetric {
    /// InitializeSymmetric(protocol_name), for a name longer than a hash.
    pub(super) fn new(protocol_name: &[u8]) -> Self {
        let hash = hash(protocol_name, &[]);
        Self { chaining_key: Secret::new(hash), key: Secret::default(), hash }
    }

    /// MixKey(input_key_material).
    #[inline(never)]
    pub(super) fn mix_key(&mut self, input: &[u8]) {
        hkdf(&mut self.chaining_key, input, &mut self.key, None);
    }

    /// MixHash(data), the data in parts.
    #[inline(never)]
    pub(super) fn mix_hash(&mut self, data: &[&[u8]]) {
        self.hash = hash(&self.hash, data);
    }

    /// MixKeyAndHash(input_key_material).
    pub(super) fn mix_key_and_hash(&mut self, input: &[u8]) {
        let mut temp_hash = Secret::default();
        hkdf(&mut self.chaining_key, input, &mut temp_hash, Some(&mut self.key));
        self.mix_hash(&[temp_hash.expose()]);
    }

    /// DecryptAndHash(ciphertext), in place. On failure neither the state nor the payload has changed.
    pub(super) fn decrypt_and_hash(&mut self, payload: &mut [u8], tag: &[u8; TAG]) -> Result<(), SealError> {
        let hash = hash(&self.hash, &[payload, tag]);
        if !aead::open(&self.key, 0, &self.hash, payload, tag) {
            return Err(SealError::NotAuthentic);
        }
        self.hash = hash;
        Ok(())
    }

    /// Split().
    pub(super) fn split(&self) -> TransportKeys {
        let mut keys = TransportKeys { to_gateway: self.chaining_key.clone(), to_device: Secret::default() };
        hkdf(&mut keys.to_gateway, &[], &mut keys.to_device, None);
        keys
    }
}

/// A state whose next step is EncryptAndHash() of this end's payload, which may have to be repeated.
#[derive(Debug)]
pub(super) struct Sealing {
    before: Symmetric,
    /// `h` after the payload, once there was one; GetHandshakeHash() if it was the last.
    hash_after: Option<[u8; HASH_LEN]>,
}

impl Sealing {
    pub(super) const fn new(before: Symmetric) -> Self {
        Self { before, hash_after: None }
    }

    /// EncryptAndHash(plaintext), in place: gives the tag.
    ///
    /// Always of the same plaintext: a key and nonce must not serve two (section 14, "Nonce reuse"). Another one
    /// is wiped, and the answer is `None`.
    #[inline(never)]
    pub(super) fn seal(&mut self, payload: &mut [u8]) -> Option<[u8; TAG]> {
        let tag = aead::seal(&self.before.key, 0, &self.before.hash, payload)?;
        let hash = hash(&self.before.hash, &[payload, &tag]);
        if *self.hash_after.get_or_insert(hash) != hash {
            payload.fill(0);
            return None;
        }
        Some(tag)
    }

    /// The state after the payload; `None` before [`seal`](Self::seal).
    pub(super) fn after(&self) -> Option<Symmetric> {
        Some(Symmetric { hash: self.hash_after?, ..self.before.clone() })
    }

    /// Split(), which the payload has no part in.
    pub(super) fn split(&self) -> TransportKeys {
        self.before.split()
    }
}
