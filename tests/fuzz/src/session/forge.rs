//! Packets made by somebody who saw the handshake: plain protection does not keep him out.

use super::super::source::Source;
use super::gateway::Member;
use super::world::Datagram;
use whimbrel_core::wire::{ShortHeader, Writer, crc};
use whimbrel_core::{ConnectionId, PacketNumber};

/// A packet of the session with frames drawn from the bytes, under a right trailer.
pub(super) fn packet(member: &Member, to_device: bool, source: &mut Source<'_>) -> Datagram {
    let cid = if to_device { ConnectionId::EMPTY } else { member.session.local_cid() };
    let (pn, len) = (u64::from(source.u16()), usize::from(source.u8()));
    let header = ShortHeader { cid, key_phase: false, pn_len: 4, truncated_pn: pn as u32 };
    let mut buf = [0; 400];
    let mut w = Writer::new(&mut buf);
    header.emit(&mut w).and_then(|()| w.put(source.bytes(len))).expect("13 bytes and 255 fit");
    let mut bytes = w.written().to_vec();
    bytes.extend(trailer((member.session.hello_id(), member.nonce), to_device, PacketNumber::new(pn), &bytes));
    Datagram { bytes, tainted: true }
}

/// The trailer of a packet in plain protection (`docs/PROTOCOL.md`, section 4).
fn trailer(nonces: (u64, u64), to_device: bool, pn: PacketNumber, packet: &[u8]) -> [u8; 4] {
    let mut check = crc::Crc32::new();
    check.update(&nonces.0.to_le_bytes());
    check.update(&nonces.1.to_le_bytes());
    check.update(&[u8::from(to_device)]);
    check.update(&pn.value().to_le_bytes());
    check.update(packet);
    check.finish().to_le_bytes()
}
