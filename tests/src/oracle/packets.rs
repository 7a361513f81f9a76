//! No nonce comes twice under one key, whatever reboots, crashes and sleeps lie between.
//!
//! Keys are not visible from outside, but what they follow from is: a session's follow from its HELLO and ACCEPT, which
//! must each be one datagram for ever; those of a HELLO from its counter and ephemeral key. Then a packet's key is named by
//! its session, direction, and how often the key phase changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use whimbrel_core::wire::{LongHeader, LongType, ShortHeader};
use whimbrel_core::{ConnectionId, PacketNumber};

/// Who sends a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Names the HELLO of its session.
    pub hello: u64,
    /// The gateway's session, by its connection id; `None`: the device.
    pub gateway: Option<ConnectionId>,
}

/// What names the keys of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Keys {
    /// A gateway that lost a session may take its HELLO once more, with other keys.
    Plain(ConnectionId),
    Sealed(u64),
}

/// One direction of a session.
#[derive(Clone, Copy, Debug)]
struct Way {
    last: PacketNumber,
    phase: bool,
    /// How often the key phase changed.
    generation: u32,
}

/// Follows every datagram of a device, and every one to it.
#[derive(Clone, Debug, Default)]
pub struct Packets {
    /// The device seals.
    sealed: bool,
    ways: BTreeMap<(Keys, bool), Way>,
    used: HashSet<(Keys, bool, u32, PacketNumber)>,
    /// How often the device's counter was lost.
    era: u32,
    /// What each HELLO said, by counter.
    hellos: HashMap<(u32, u64), Box<[u8]>>,
    /// The counter and the ephemeral key of every HELLO.
    ephemeral: HashSet<(u64, [u8; 32])>,
    /// What each ACCEPT was, by the HELLO that it answers.
    accepts: HashMap<u64, Box<[u8]>>,
}

/// Where the counter of a sealed HELLO stands, in bytes: behind header, protection and the device's counted name
/// (`docs/PROTOCOL.md`, section 3). Then a key id, and the ephemeral key.
fn counter_at(hello: &[u8]) -> Option<usize> {
    Some(LongHeader::LEN + 2 + usize::from(*hello.get(LongHeader::LEN + 1)?))
}

/// The counter and the ephemeral key of a sealed HELLO, and all of it but for the proof of its address.
fn parts_of(hello: &[u8]) -> Option<(u64, [u8; 32], &[u8])> {
    let (counter, rest) = hello.get(counter_at(hello)?..)?.split_first_chunk()?;
    let (e, _) = rest.get(1..)?.split_first_chunk()?;
    let (whole, _) = hello.split_last_chunk::<8>()?;
    Some((u64::from_le_bytes(*counter), *e, whole))
}

impl Packets {
    /// Of a device. `sealed`: whether its sessions are.
    pub fn new(sealed: bool) -> Self {
        Self { sealed, ..Self::default() }
    }

    /// The device's counter was set back: it may use values of it again, though not with the same key.
    pub fn counter_lost(&mut self) {
        self.era += 1;
    }

    /// How many packets were looked at.
    pub fn count(&self) -> usize {
        self.used.len()
    }

    /// A datagram leaves.
    ///
    /// # Errors
    /// When it says a second thing under one key and nonce.
    pub fn on_sent(&mut self, sender: Sender, datagram: &[u8]) -> Result<(), String> {
        if let Ok((header, _)) = ShortHeader::parse(datagram) {
            return self.on_packet(sender, &header);
        }
        match LongHeader::parse(datagram) {
            Ok((LongHeader { kind: LongType::Hello, .. }, _)) if self.sealed => self.on_hello(datagram),
            Ok((LongHeader { kind: LongType::Accept, .. }, _)) if self.sealed => {
                let first = self.accepts.entry(sender.hello).or_insert(datagram.into());
                if **first == *datagram { Ok(()) } else { Err(format!("two ACCEPTs for HELLO {:x}", sender.hello)) }
            }
            _ => Ok(()),
        }
    }

    fn on_hello(&mut self, datagram: &[u8]) -> Result<(), String> {
        let (counter, e, whole) = parts_of(datagram).ok_or("a HELLO cut short")?;
        if let Some(first) = self.hellos.get(&(self.era, counter)) {
            return if **first == *whole { Ok(()) } else { Err(format!("two HELLOs with the counter {counter:x}")) };
        }
        self.hellos.insert((self.era, counter), whole.into());
        let is_new = self.ephemeral.insert((counter, e));
        if is_new { Ok(()) } else { Err(format!("two HELLOs with the counter {counter:x} and one key")) }
    }

    fn on_packet(&mut self, sender: Sender, header: &ShortHeader) -> Result<(), String> {
        let by_gateway = sender.gateway.is_some();
        let keys = match self.sealed {
            true => Keys::Sealed(sender.hello),
            false => Keys::Plain(sender.gateway.unwrap_or(header.cid)),
        };
        let before = self.ways.get(&(keys, by_gateway)).copied();
        let number = header.packet_number(before.map(|way| way.last));
        let generation = before.map_or(0, |way| way.generation + u32::from(way.phase != header.key_phase));
        if !self.used.insert((keys, by_gateway, generation, number)) || before.is_some_and(|way| number <= way.last) {
            return Err(format!("{number:?} after {before:?} under the key of {keys:?}, by the gateway: {by_gateway}"));
        }
        self.ways.insert((keys, by_gateway), Way { last: number, phase: header.key_phase, generation });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::wire::Writer;

    fn packet(number: u64, key_phase: bool) -> Vec<u8> {
        let mut buf = [0; 32];
        let mut w = Writer::new(&mut buf);
        let header = ShortHeader::new(ConnectionId::new(&[1; 4]).unwrap(), PacketNumber::new(number), None);
        ShortHeader { key_phase, ..header }.emit(&mut w).unwrap();
        w.written().to_vec()
    }

    fn hello(counter: u64, e: u8, says: u8, proof: u8) -> Vec<u8> {
        let front = [0x80, 1, 1, 1, b'd'];
        [&front[..], &counter.to_le_bytes(), &[0], &[e; 32], &[says; 40], &[proof; 8]].concat()
    }

    fn accept(says: u8) -> Vec<u8> {
        [[0x90, 1], [says; 2]].concat()
    }

    const DEVICE: Sender = Sender { hello: 7, gateway: None };

    #[test]
    fn it_notices_numbers() {
        for sealed in [true, false] {
            let mut packets = Packets::new(sealed);
            let gateway = Sender { gateway: ConnectionId::new(&[1; 4]), ..DEVICE };
            for number in [0, 1, 7] {
                packets.on_sent(DEVICE, &packet(number, false)).unwrap();
                packets.on_sent(gateway, &packet(number, false)).unwrap();
            }
            assert!(packets.clone().on_sent(DEVICE, &packet(7, false)).is_err(), "used twice");
            assert!(packets.clone().on_sent(gateway, &packet(3, false)).is_err(), "goes back");
            packets.on_sent(DEVICE, &packet(8, true)).unwrap();
            assert!(packets.clone().on_sent(DEVICE, &packet(8, true)).is_err(), "used twice under a new key");
            let other = packets.on_sent(Sender { hello: 8, ..DEVICE }, &packet(0, false));
            assert_eq!(other.is_ok(), sealed, "another session");
            assert!(packets.count() >= 7);
        }
    }

    #[test]
    fn it_notices_handshakes() {
        let mut packets = Packets::new(true);
        packets.on_sent(DEVICE, &hello(5, 1, 1, 0)).unwrap();
        packets.on_sent(DEVICE, &hello(5, 1, 1, 9)).unwrap();
        assert!(packets.on_sent(DEVICE, &hello(5, 1, 2, 0)).is_err(), "another offer");
        assert!(packets.on_sent(DEVICE, &hello(5, 2, 1, 0)).is_err(), "another key");
        packets.on_sent(DEVICE, &hello(6, 1, 2, 0)).unwrap();
        packets.counter_lost();
        packets.on_sent(DEVICE, &hello(5, 3, 2, 0)).unwrap();
        packets.counter_lost();
        assert!(packets.on_sent(DEVICE, &hello(5, 1, 3, 0)).is_err(), "the same key again");
        let gateway = Sender { gateway: ConnectionId::new(&[1; 4]), ..DEVICE };
        packets.on_sent(gateway, &accept(1)).unwrap();
        packets.on_sent(gateway, &accept(1)).unwrap();
        packets.on_sent(Sender { hello: 8, ..gateway }, &accept(2)).unwrap();
        assert!(packets.on_sent(gateway, &accept(2)).is_err(), "two ACCEPTs");
    }
}
