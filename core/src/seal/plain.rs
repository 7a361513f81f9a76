//! Plain protection: a CRC-32 bound to the session.

use super::{Direction, PLAIN_TRAILER};
use crate::PacketNumber;
use crate::wire::crc::Crc32;

/// What binds packets to one session: the nonces of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainKeys {
    pub(crate) device: u64,
    pub(crate) gateway: u64,
}

impl PlainKeys {
    /// CRC-32 over both nonces, the direction, the full packet number, and the packet.
    fn trailer(&self, way: Direction, pn: PacketNumber, packet: &[u8]) -> [u8; PLAIN_TRAILER] {
        let mut crc = Crc32::new();
        crc.update(&self.device.to_le_bytes());
        crc.update(&self.gateway.to_le_bytes());
        crc.update(&[way as u8]);
        crc.update(&pn.value().to_le_bytes());
        crc.update(packet);
        crc.finish().to_le_bytes()
    }

    pub(super) fn seal(&self, way: Direction, pn: PacketNumber, packet: &mut [u8]) -> bool {
        let Some((packet, trailer)) = packet.split_last_chunk_mut() else { return false };
        *trailer = self.trailer(way, pn, packet);
        true
    }

    pub(super) fn open(&self, way: Direction, pn: PacketNumber, packet: &[u8]) -> bool {
        packet.split_last_chunk().is_some_and(|(packet, trailer)| *trailer == self.trailer(way, pn, packet))
    }
}
