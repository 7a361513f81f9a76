//! The sealed form of ACCEPT: the gateway's half of the Noise handshake, and its end at the device.

use super::hello::Attempt;
use super::state::{Engine, State};
use crate::seal::noise;
use crate::seal::opened::SealedHello;
use crate::seal::packet::SealedKeys;
use crate::seal::{DeviceKey, Direction, Keys, ResetKey, mac};
use crate::wire::{Accept, AcceptFields, AcceptedStream, OfferedStream, SealedAccept, Writer};
use crate::{ConfigError, ConnectionId, PathId};

/// What the ACCEPT of a session is made from. It is always the same bytes: the keys that it is sealed with never
/// say two things.
#[derive(Debug)]
pub(super) struct Accepting {
    noise: noise::Accepting,
    key: DeviceKey,
    mac1: [u8; 16],
    reset_key: ResetKey,
}

impl Accepting {
    /// Answers a HELLO: two scalar multiplications. Gives the session's keys too.
    #[inline(never)]
    pub(super) fn new(
        hello: &SealedHello,
        cid: ConnectionId,
        ephemeral: [u8; 32],
    ) -> Result<(Self, Keys), ConfigError> {
        let noise = hello.responder.clone().accept(ephemeral).map_err(|_| ConfigError::Handshake)?;
        let keys = SealedKeys::new(noise.keys(), Direction::ToDevice);
        let reset_key = ResetKey::new(mac::reset_key(hello.reset.expose(), cid.as_bytes()));
        let accepting = Self { noise, key: hello.key.clone(), mac1: hello.mac1, reset_key };
        Ok((accepting, Keys::Sealed(keys)))
    }

    /// Writes the ACCEPT, and gives its length.
    #[inline(never)]
    pub(super) fn emit(
        &mut self,
        fields: &AcceptFields,
        accepted: impl Iterator<Item = AcceptedStream> + Clone,
        offered: impl Iterator<Item = OfferedStream> + Clone,
        buf: &mut [u8],
    ) -> Option<usize> {
        let mut w = Writer::new(buf);
        let payload =
            SealedAccept::emit(fields, self.noise.public(), self.reset_key.expose(), accepted, offered, &mut w).ok()?;
        let tag = self.noise.seal_accept(w.written_mut().get_mut(payload.clone())?)?;
        w.written_mut().get_mut(payload.end..)?.first_chunk_mut::<16>().map(|place| *place = tag)?;
        let mac = mac::answer_mac(&self.key, &self.mac1, w.written());
        w.put(&mac).ok()?;
        Some(w.len())
    }
}

impl Engine<'_> {
    /// An ACCEPT whose MAC was right: opens it. Says whether it was whole.
    #[inline(never)]
    pub(super) fn on_sealed_accept(&mut self, path: PathId, datagram: &mut [u8]) -> bool {
        let Attempt::Sealed(attempt) = &self.st.hello.attempt else { return false };
        let Some(SealedAccept { e, payload, tag }) = SealedAccept::parts(datagram) else { return false };
        let Some(echo) = attempt.id() else { return false };
        let Ok(keys) = attempt.initiator.read_accept(&e, payload, &tag) else { return false };
        let Ok((reset_key, accept)) = Accept::opened(echo, payload) else { return false };
        let keys = Keys::Sealed(SealedKeys::new(keys, Direction::ToGateway));
        let taken = self.on_accept(&accept, keys);
        if taken {
            self.st.reset_key = ResetKey::new(reset_key);
            self.st.paths.set(path);
        }
        true
    }
}

impl State {
    /// Whether this end was told to seal.
    pub(super) fn is_sealed_device(&self) -> bool {
        self.credentials().is_some()
    }
}
