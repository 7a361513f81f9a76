//! Packet protection.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};

use super::Direction;
use super::key::Secret;
use super::symmetric::TransportKeys;
use crate::PacketNumber;

pub(crate) const TAG: usize = 16;

#[derive(Debug)]
pub(crate) struct SealedKeys {
    send: Secret,
    receive: Secret,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Unopened;

fn nonce(pn: PacketNumber) -> Nonce {
    let mut nonce = [0; 12];
    if let Some(place) = nonce.last_chunk_mut() {
        *place = pn.value().to_le_bytes();
    }
    nonce.into()
}

impl SealedKeys {
    pub(crate) fn new(keys: TransportKeys, outgoing: Direction) -> Self {
        match outgoing {
            Direction::ToGateway => Self { send: keys.to_gateway, receive: keys.to_device },
            Direction::ToDevice => Self { send: keys.to_device, receive: keys.to_gateway },
        }
    }

    pub(crate) fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        let (halves, _) = bytes.as_chunks_mut::<32>();
        for (half, key) in halves.iter_mut().zip([&self.send, &self.receive]) {
            *half = *key.expose();
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Self {
        let (halves, _) = bytes.as_chunks::<32>();
        let key = |at: usize| Secret::new(halves.get(at).copied().unwrap_or_default());
        Self { send: key(0), receive: key(1) }
    }

    pub(crate) fn phase(&self) -> bool {
        false
    }

    pub(crate) fn seal(&mut self, pn: PacketNumber, header_len: usize, packet: &mut [u8]) -> Option<()> {
        let (packet, place) = packet.split_last_chunk_mut::<TAG>()?;
        let (header, frames) = packet.split_at_mut_checked(header_len)?;
        let cipher = ChaCha20Poly1305::new(self.send.expose().into());
        *place = cipher.encrypt_inout_detached(&nonce(pn), header, frames.into()).ok()?.into();
        Some(())
    }

    pub(crate) fn open(
        &mut self,
        pn: PacketNumber,
        phase: bool,
        header_len: usize,
        packet: &mut [u8],
    ) -> Result<(), Unopened> {
        let (packet, tag) = packet.split_last_chunk_mut::<TAG>().ok_or(Unopened)?;
        let (header, frames) = packet.split_at_mut_checked(header_len).ok_or(Unopened)?;
        if phase {
            return Err(Unopened);
        }
        let cipher = ChaCha20Poly1305::new(self.receive.expose().into());
        let tag: &[u8; TAG] = tag;
        cipher.decrypt_inout_detached(&nonce(pn), header, frames.into(), tag.into()).map_err(|_| Unopened)
    }
}
