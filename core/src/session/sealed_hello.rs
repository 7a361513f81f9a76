//! The sealed form of an attempt: the device's half of the Noise handshake.

use super::hello::{Attempt, offer};
use super::state::{Engine, State};
use crate::gate::PROLOGUE;
use crate::seal::noise::Initiator;
use crate::seal::{Credentials, mac};
use crate::wire::{Writer, emit_prologue, emit_terms};

/// The longest prologue, in bytes: header, protection, device, counter, key id.
const PROLOGUE_LEN_MAX: usize = 2 + 1 + 17 + 8 + 1;

/// One attempt, from its ephemeral key on.
#[derive(Debug)]
pub(super) struct SealedAttempt {
    counter: u64,
    key_id: u8,
    pub(super) initiator: Initiator,
    /// The MAC of its HELLO, once that was sent.
    pub(super) mac1: Option<[u8; 16]>,
    pub(super) cookie: Option<[u8; 16]>,
}

impl SealedAttempt {
    /// Names its HELLO.
    pub(super) fn id(&self) -> Option<u64> {
        self.mac1.as_ref()?.first_chunk().map(|front| u64::from_le_bytes(*front))
    }
}

/// Why no attempt can be made.
pub(super) enum Refusal {
    /// The boot epoch is still to be stored.
    NotStored,
    /// None of the gateway's keys is one.
    NoKey,
}

impl State {
    /// What the device was provisioned with.
    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.identity.as_ref()?.credentials.as_ref()
    }

    /// Begins the device's half of a handshake, with a counter that no other attempt has. Not in the plain mode: says
    /// whether it did.
    #[inline(never)]
    pub(super) fn start_sealed(&mut self) -> Result<bool, Refusal> {
        let Some(identity) = self.identity.as_ref() else { return Ok(false) };
        let Some(credentials) = identity.credentials.as_ref() else { return Ok(false) };
        if self.hello.raised.is_some() {
            return Err(Refusal::NotStored);
        }
        let counter = self.hello.counter;
        if counter == u64::MAX {
            // None is left; the device needs a new key.
            return Err(Refusal::NoKey);
        }
        let pattern = credentials.pattern();
        #[cfg(feature = "nk")]
        let gateway = credentials.gateway(self.hello.second);
        #[cfg(not(feature = "nk"))]
        let gateway: Option<&crate::GatewayPublic> = None;
        let key_id = gateway.map_or(0, |gateway| gateway.id());
        let mut prologue = [0; PROLOGUE_LEN_MAX];
        let mut w = Writer::new(&mut prologue);
        emit_prologue(pattern.into(), identity.device, counter, key_id, &mut w).map_err(|_| Refusal::NoKey)?;
        let psk = mac::handshake_psk(&credentials.key, counter);
        let ephemeral = self.secrets.draw();
        let initiator = Initiator::new(pattern, gateway, &psk, ephemeral, &[PROLOGUE, w.written()]);
        let initiator = match initiator {
            Ok(initiator) => initiator,
            #[cfg(feature = "nk")]
            Err(_) if !self.hello.second && credentials.has_second() => {
                self.hello.second = true;
                return self.start_sealed();
            }
            Err(_) => return Err(Refusal::NoKey),
        };
        self.hello.use_counter();
        self.hello.attempt = Attempt::Sealed(SealedAttempt { counter, key_id, initiator, mac1: None, cookie: None });
        Ok(true)
    }
}

impl super::hello::HelloState {
    /// The next attempt has a larger counter. When the attempts of this boot are used up, it belongs to the next.
    fn use_counter(&mut self) {
        let next = self.counter.saturating_add(1);
        self.raise_counter(next);
    }

    /// At least this; a boot epoch that was not stored yet is stored first.
    pub(super) fn raise_counter(&mut self, lowest: u64) {
        if lowest > self.counter {
            if lowest >> 32 > self.counter >> 32 {
                self.raised = Some(false);
            }
            self.counter = lowest;
        }
    }
}

impl Engine<'_> {
    /// The HELLO of this attempt, always the same bytes but for the proof of the address.
    #[inline(never)]
    pub(super) fn emit_sealed_hello(&mut self, buf: &mut [u8]) -> Option<usize> {
        let (limits, local_cid) = (self.st.limits(), self.st.local_cid);
        let own = self.mem.send.get(..usize::from(self.st.send_len)).unwrap_or(&[]);
        let Attempt::Sealed(attempt) = &mut self.st.hello.attempt else { return None };
        let identity = self.st.identity.as_ref()?;
        let credentials = identity.credentials.as_ref()?;
        let room = buf.len().min(usize::from(self.st.config.max_datagram));
        let mut w = Writer::new(buf.get_mut(..room)?);
        emit_prologue(credentials.pattern().into(), identity.device, attempt.counter, attempt.key_id, &mut w).ok()?;
        w.put(attempt.initiator.public()).ok()?;
        let start = w.len();
        emit_terms(&local_cid, &limits, own.iter().map(offer), &mut w).ok()?;
        let Some(tag) = attempt.initiator.seal_offer(w.written_mut().get_mut(start..)?) else {
            // It would say two things under one key.
            self.st.hello.restart(self.st.now);
            return None;
        };
        w.put(&tag).ok()?;
        let mac1 = mac::hello_mac(&credentials.key, &[w.written()]);
        attempt.mac1 = Some(mac1);
        w.put(&mac1).ok()?;
        let proof = attempt.cookie.map(|cookie| mac::cookie_mac(&cookie, w.written()));
        w.put(proof.as_ref().and_then(|proof| proof.first_chunk::<8>()).unwrap_or(&[0; 8])).ok()?;
        Some(w.len())
    }
}
