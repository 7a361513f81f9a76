//! What every datagram must keep to, whatever it carries.

use std::collections::BTreeMap;
use whimbrel_core::wire::ShortHeader;
use whimbrel_core::{ConnectionId, PacketNumber};

/// An unvalidated address is sent at most so many times the bytes received from it (RFC 9000 section 8.1).
const AMPLIFICATION_MAX: usize = 3;

/// Follows the packets of every session.
#[derive(Clone, Debug, Default)]
pub struct Packets {
    /// The last number used: by key, which the gateway's connection id and the direction name.
    last: BTreeMap<(ConnectionId, bool), PacketNumber>,
    /// Of gateways' sessions that have not heard their device: bytes of its HELLOs, and bytes answered.
    opening: BTreeMap<ConnectionId, (usize, usize)>,
}

impl Packets {
    /// A datagram leaves. `gateway`: the connection id of the gateway's session that sends it.
    ///
    /// # Errors
    /// When its packet number was used before.
    pub fn on_sent(&mut self, gateway: Option<ConnectionId>, datagram: &[u8]) -> Result<(), String> {
        // Long packets have no number.
        let Ok((header, _)) = ShortHeader::parse(datagram) else { return Ok(()) };
        let key = (gateway.unwrap_or(header.cid), gateway.is_some());
        let last = self.last.get(&key).copied();
        let number = header.packet_number(last);
        if last.is_some_and(|last| number <= last) {
            return Err(format!("{number:?} follows {last:?} under the key of {key:?}"));
        }
        self.last.insert(key, number);
        Ok(())
    }

    /// The gateway's session was offered a HELLO of so many bytes.
    pub fn on_hello(&mut self, session: ConnectionId, bytes: usize) {
        self.opening.entry(session).or_default().0 += bytes;
    }

    /// A gateway's session that has not heard its device sends so many bytes.
    ///
    /// # Errors
    /// When that is more than it may before the device's address is proven.
    pub fn on_unproven(&mut self, session: ConnectionId, bytes: usize) -> Result<(), String> {
        let (received, sent) = self.opening.entry(session).or_default();
        *sent += bytes;
        if *sent > *received * AMPLIFICATION_MAX {
            return Err(format!("{sent} bytes sent to a stranger who sent {received}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::wire::Writer;

    fn packet(cid: ConnectionId, number: u64) -> Vec<u8> {
        let mut buf = [0; 32];
        let mut w = Writer::new(&mut buf);
        ShortHeader::new(cid, PacketNumber::new(number), None).emit(&mut w).unwrap();
        w.written().to_vec()
    }

    #[test]
    fn it_notices() {
        let cid = ConnectionId::new(&[1; 4]).unwrap();
        let mut packets = Packets::default();
        for number in [0, 1, 7] {
            packets.on_sent(None, &packet(cid, number)).unwrap();
            packets.on_sent(Some(cid), &packet(ConnectionId::EMPTY, number)).unwrap();
        }
        assert!(packets.on_sent(None, &packet(cid, 7)).is_err(), "used twice");
        assert!(packets.on_sent(Some(cid), &packet(ConnectionId::EMPTY, 3)).is_err(), "goes back");
        packets.on_hello(cid, 50);
        packets.on_unproven(cid, 150).unwrap();
        assert!(packets.on_unproven(cid, 1).is_err(), "an amplifier");
    }
}
