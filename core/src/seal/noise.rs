//! The two handshakes, written out: Noise_NKpsk0 and Noise_NNpsk0 with 25519, ChaChaPoly and BLAKE2s.
//! "Section" means one of the Noise Protocol Framework, revision 34.
//!
//! ```text
//! NKpsk0:              NNpsk0:
//!   <- s
//!   ...
//!   -> psk, e, es        -> psk, e        HELLO
//!   <- e, ee             <- e, ee         ACCEPT
//! ```
//!
//! (Section 7.5 has NN and NK, section 9.4 the modifier `psk0`.) The initiator is a device, the responder a
//! gateway. Messages are sent again until they arrive, and come again forged, so each end can repeat its
//! message to the byte, and a message that does not open leaves no trace.

use x25519_dalek::x25519;

use super::SealError;
use super::aead::TAG;
use super::key::{GatewayPublic, GatewaySecret, Pattern, Secret};
use super::symmetric::{Sealing, Symmetric, TransportKeys};

/// Bytes of an X25519 key: Noise's DHLEN (section 12.1).
pub(crate) const DH_LEN: usize = 32;

/// The device's end of a handshake.
#[derive(Debug)]
pub(crate) struct Initiator {
    ephemeral: Secret,
    public: [u8; DH_LEN],
    offer: Sealing,
}

impl Initiator {
    /// Begins: `psk`, `e` and, with a gateway key, `es`. `ephemeral` must be random and new.
    ///
    /// # Errors
    /// [`SealError::NoGatewayKey`], [`SealError::WeakKey`].
    #[inline(never)]
    pub(crate) fn new(
        pattern: Pattern,
        gateway: Option<&GatewayPublic>,
        psk: &Secret,
        ephemeral: [u8; DH_LEN],
        prologue: &[&[u8]],
    ) -> Result<Self, SealError> {
        let gateway = static_key(pattern, gateway)?;
        let ephemeral = Secret::new(ephemeral);
        let public = public(&ephemeral);
        let mut state = begin(gateway, psk, prologue);
        mix_ephemeral(&mut state, &public);
        if let Some(gateway) = gateway {
            mix_dh(&mut state, &ephemeral, gateway.as_bytes())?; // es
        }
        Ok(Self { ephemeral, public, offer: Sealing::new(state) })
    }

    /// The ephemeral public key: message 1 before its payload.
    pub(crate) fn public(&self) -> &[u8; DH_LEN] {
        &self.public
    }

    /// Encrypts message 1's payload in place and gives its tag; as often as needed, always with the same bytes.
    ///
    /// `None` when the payload is not that of the first call: one key and nonce must not serve two messages
    /// (section 14, "Nonce reuse"). The payload is then wiped.
    pub(crate) fn seal_offer(&mut self, payload: &mut [u8]) -> Option<[u8; TAG]> {
        self.offer.seal(payload)
    }

    /// Reads message 2, from its ephemeral key `e` on: decrypts the payload in place and gives the session's keys.
    /// Costs a scalar multiplication. What fails changes nothing.
    ///
    /// # Errors
    /// [`SealError::NotAuthentic`], [`SealError::WeakKey`].
    #[inline(never)]
    pub(crate) fn read_accept(
        &self,
        e: &[u8; DH_LEN],
        payload: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<TransportKeys, SealError> {
        Ok(self.finish(e, payload, tag)?.split())
    }

    fn finish(&self, e: &[u8; DH_LEN], payload: &mut [u8], tag: &[u8; TAG]) -> Result<Symmetric, SealError> {
        // Nobody can have answered what was not sent.
        let mut state = self.offer.after().ok_or(SealError::NotAuthentic)?;
        mix_ephemeral(&mut state, e);
        mix_dh(&mut state, &self.ephemeral, e)?; // ee
        state.decrypt_and_hash(payload, tag)?;
        Ok(state)
    }
}

/// The gateway's end, when it has read message 1.
#[derive(Clone, Debug)]
pub(crate) struct Responder {
    state: Symmetric,
    /// The initiator's ephemeral key.
    remote: [u8; DH_LEN],
}

impl Responder {
    /// Reads message 1, from its ephemeral key `e` on: decrypts the payload in place. What fails changes nothing.
    /// Costs a scalar multiplication with [`Pattern::NkPsk0`].
    ///
    /// # Errors
    /// [`SealError::NotAuthentic`], [`SealError::NoGatewayKey`], [`SealError::WeakKey`].
    #[inline(never)]
    pub(crate) fn read(
        pattern: Pattern,
        secret: Option<&GatewaySecret>,
        psk: &Secret,
        prologue: &[&[u8]],
        e: &[u8; DH_LEN],
        payload: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<Self, SealError> {
        let secret = static_key(pattern, secret)?;
        let public = secret.map(GatewaySecret::public);
        let mut state = begin(public.as_ref(), psk, prologue);
        mix_ephemeral(&mut state, e);
        if let Some(secret) = secret {
            mix_dh(&mut state, secret.secret(), e)?; // es
        }
        state.decrypt_and_hash(payload, tag)?;
        Ok(Self { state, remote: *e })
    }

    /// Goes on to message 2: `e`, `ee`. `ephemeral` must be random and new. Costs two scalar multiplications.
    ///
    /// # Errors
    /// [`SealError::WeakKey`].
    #[inline(never)]
    pub(crate) fn accept(self, ephemeral: [u8; DH_LEN]) -> Result<Accepting, SealError> {
        let Self { mut state, remote } = self;
        let ephemeral = Secret::new(ephemeral);
        let public = public(&ephemeral);
        mix_ephemeral(&mut state, &public);
        mix_dh(&mut state, &ephemeral, &remote)?; // ee
        Ok(Accepting { public, message: Sealing::new(state) })
    }
}

/// The gateway's end, when all is known but message 2's payload.
#[derive(Debug)]
pub(crate) struct Accepting {
    public: [u8; DH_LEN],
    message: Sealing,
}

impl Accepting {
    /// The ephemeral public key: message 2 before its payload.
    pub(crate) fn public(&self) -> &[u8; DH_LEN] {
        &self.public
    }

    /// Encrypts message 2's payload in place and gives its tag; as [`Initiator::seal_offer`].
    pub(crate) fn seal_accept(&mut self, payload: &mut [u8]) -> Option<[u8; TAG]> {
        self.message.seal(payload)
    }

    /// The session's keys.
    #[inline(never)]
    pub(crate) fn keys(&self) -> TransportKeys {
        self.message.split()
    }
}

/// The gateway's key as far as the pattern has one.
fn static_key<K>(pattern: Pattern, key: Option<&K>) -> Result<Option<&K>, SealError> {
    match pattern {
        Pattern::NkPsk0 => key.map(Some).ok_or(SealError::NoGatewayKey),
        Pattern::NnPsk0 => Ok(None),
    }
}

/// Initialize() (section 5.3): the name, the prologue, the pre-message `<- s` if the pattern has one; then `psk`.
#[inline(never)]
fn begin(gateway: Option<&GatewayPublic>, psk: &Secret, prologue: &[&[u8]]) -> Symmetric {
    // Section 8: the names of the protocols.
    let mut state = Symmetric::new(match gateway {
        Some(_) => b"Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s",
        None => b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s",
    });
    state.mix_hash(prologue);
    if let Some(gateway) = gateway {
        state.mix_hash(&[gateway.as_bytes()]);
    }
    state.mix_key_and_hash(psk.expose()); // section 9.2
    state
}

/// `e`: MixHash(), and MixKey() too because the handshake has a pre-shared key (section 9.2).
fn mix_ephemeral(state: &mut Symmetric, public: &[u8; DH_LEN]) {
    state.mix_hash(&[public]);
    state.mix_key(public);
}

/// `es`, `ee`: MixKey(DH()). A shared secret of zeros is refused (RFC 7748 section 6.1): the other end has no
/// part in it.
fn mix_dh(state: &mut Symmetric, secret: &Secret, public: &[u8; DH_LEN]) -> Result<(), SealError> {
    let mut shared = Secret::default();
    multiply(secret, public, &mut shared);
    if shared == Secret::default() {
        return Err(SealError::WeakKey);
    }
    state.mix_key(shared.expose());
    Ok(())
}

/// GENERATE_KEYPAIR() (section 4.1), from the secret half.
#[cfg(not(target_os = "none"))]
fn public(secret: &Secret) -> [u8; DH_LEN] {
    // The same product, from a table.
    let secret = x25519_dalek::StaticSecret::from(*secret.expose());
    x25519_dalek::PublicKey::from(&secret).to_bytes()
}

/// GENERATE_KEYPAIR() (section 4.1), from the secret half.
#[cfg(target_os = "none")]
fn public(secret: &Secret) -> [u8; DH_LEN] {
    let mut public = Secret::default();
    multiply(secret, &x25519_dalek::X25519_BASEPOINT_BYTES, &mut public);
    *public.expose()
}

/// X25519 (RFC 7748 section 5), out of line: its frame is the largest of all.
#[inline(never)]
fn multiply(secret: &Secret, public: &[u8; DH_LEN], product: &mut Secret) {
    *product.expose_mut() = x25519(*secret.expose(), *public);
}

// Too long for Miri.
#[cfg(all(test, not(miri)))]
#[path = "noise_tests.rs"]
mod tests;
