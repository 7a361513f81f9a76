//! Noise NKpsk0 and NNpsk0, written out.

use blake2::{Blake2s256, Digest};
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::key::Secret;
use super::{GatewayPublic, GatewaySecret, Pattern, mac};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealError;

#[derive(Clone, Debug)]
struct Symmetric {
    ck: Secret,
    k: Secret,
    h: [u8; 32],
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2s256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn nonce() -> chacha20poly1305::Nonce {
    chacha20poly1305::Nonce::default()
}

impl Symmetric {
    fn new(pattern: Pattern, prologue: &[&[u8]]) -> Self {
        let name: &[u8] = match pattern {
            Pattern::NkPsk0 => b"Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s",
            Pattern::NnPsk0 => b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s",
        };
        let h = hash(&[name]);
        let mut hasher = Blake2s256::new();
        hasher.update(h);
        for part in prologue {
            hasher.update(part);
        }
        Self { ck: Secret::new(h), k: Secret::new([0; 32]), h: hasher.finalize().into() }
    }

    fn mix_hash(&mut self, data: &[&[u8]]) {
        let mut hasher = Blake2s256::new();
        hasher.update(self.h);
        for part in data {
            hasher.update(part);
        }
        self.h = hasher.finalize().into();
    }

    fn mix_key(&mut self, input: &[u8]) {
        let temp = mac::hmac(self.ck.expose(), &[input]);
        let ck = mac::hmac(&temp, &[&[1]]);
        let k = mac::hmac(&temp, &[&ck, &[2]]);
        (self.ck, self.k) = (Secret::new(ck), Secret::new(k));
    }

    fn mix_key_and_hash(&mut self, input: &[u8]) {
        let temp = mac::hmac(self.ck.expose(), &[input]);
        let ck = mac::hmac(&temp, &[&[1]]);
        let h = mac::hmac(&temp, &[&ck, &[2]]);
        let k = mac::hmac(&temp, &[&h, &[3]]);
        self.mix_hash(&[&h]);
        (self.ck, self.k) = (Secret::new(ck), Secret::new(k));
    }

    fn encrypt(&self, payload: &mut [u8]) -> [u8; 16] {
        let cipher = ChaCha20Poly1305::new(self.k.expose().into());
        match cipher.encrypt_inout_detached(&nonce(), &self.h, payload.into()) {
            Ok(tag) => tag.into(),
            Err(_) => [0; 16],
        }
    }

    fn decrypt(&self, payload: &mut [u8], tag: &[u8; 16]) -> Result<(), SealError> {
        let cipher = ChaCha20Poly1305::new(self.k.expose().into());
        cipher.decrypt_inout_detached(&nonce(), &self.h, payload.into(), tag.into()).map_err(|_| SealError)
    }

    fn split(&self) -> TransportKeys {
        let temp = mac::hmac(self.ck.expose(), &[]);
        let first = mac::hmac(&temp, &[&[1]]);
        let second = mac::hmac(&temp, &[&first, &[2]]);
        TransportKeys { to_gateway: Secret::new(first), to_device: Secret::new(second) }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TransportKeys {
    pub(crate) to_gateway: Secret,
    pub(crate) to_device: Secret,
}

#[inline(never)]
fn dh(secret: &[u8; 32], public: &[u8; 32]) -> Result<[u8; 32], SealError> {
    let shared = x25519(*secret, *public);
    if mac::same(&shared, &[0; 32]) { Err(SealError) } else { Ok(shared) }
}

#[derive(Debug)]
pub(crate) struct Initiator {
    secret: Secret,
    public: [u8; 32],
    before: Symmetric,
    after: [u8; 32],
}

impl Initiator {
    pub(crate) fn new(
        pattern: Pattern,
        gateway: Option<&GatewayPublic>,
        psk: &[u8; 32],
        ephemeral: [u8; 32],
        prologue: &[&[u8]],
    ) -> Result<Self, SealError> {
        let mut s = Symmetric::new(pattern, prologue);
        if let Some(gateway) = gateway {
            s.mix_hash(&[gateway.as_bytes()]);
        }
        s.mix_key_and_hash(psk);
        let public = x25519(ephemeral, X25519_BASEPOINT_BYTES);
        s.mix_hash(&[&public]);
        s.mix_key(&public);
        if let Some(gateway) = gateway {
            s.mix_key(&dh(&ephemeral, gateway.as_bytes())?);
        }
        Ok(Self { secret: Secret::new(ephemeral), public, after: s.h, before: s })
    }

    pub(crate) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(crate) fn seal_offer(&mut self, payload: &mut [u8]) -> [u8; 16] {
        let tag = self.before.encrypt(payload);
        let mut s = self.before.clone();
        s.mix_hash(&[payload, &tag]);
        self.after = s.h;
        tag
    }

    pub(crate) fn read_accept(
        &self,
        e: &[u8; 32],
        payload: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<TransportKeys, SealError> {
        let mut s = self.before.clone();
        s.h = self.after;
        s.mix_hash(&[e]);
        s.mix_key(e);
        s.mix_key(&dh(self.secret.expose(), e)?);
        s.decrypt(payload, tag)?;
        Ok(s.split())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Responder {
    s: Symmetric,
    e: [u8; 32],
}

impl Responder {
    pub(crate) fn read(
        pattern: Pattern,
        secret: Option<&GatewaySecret>,
        psk: &[u8; 32],
        prologue: &[&[u8]],
        e: &[u8; 32],
        payload: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<Self, SealError> {
        let mut s = Symmetric::new(pattern, prologue);
        if let Some(secret) = secret {
            s.mix_hash(&[secret.public().as_bytes()]);
        }
        s.mix_key_and_hash(psk);
        s.mix_hash(&[e]);
        s.mix_key(e);
        if let Some(secret) = secret {
            s.mix_key(&dh(secret.expose(), e)?);
        }
        let before = s.clone();
        s.mix_hash(&[payload, tag]);
        before.decrypt(payload, tag)?;
        Ok(Self { s, e: *e })
    }

    pub(crate) fn accept(self, ephemeral: [u8; 32]) -> Result<Accepting, SealError> {
        let mut s = self.s;
        let public = x25519(ephemeral, X25519_BASEPOINT_BYTES);
        s.mix_hash(&[&public]);
        s.mix_key(&public);
        s.mix_key(&dh(&ephemeral, &self.e)?);
        Ok(Accepting { public, s })
    }
}

#[derive(Debug)]
pub(crate) struct Accepting {
    public: [u8; 32],
    s: Symmetric,
}

impl Accepting {
    pub(crate) fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub(crate) fn seal_accept(&self, payload: &mut [u8]) -> [u8; 16] {
        self.s.encrypt(payload)
    }

    pub(crate) fn keys(&self) -> TransportKeys {
        self.s.split()
    }
}
