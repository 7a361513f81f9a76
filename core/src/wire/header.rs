//! Packet headers: short ones of an established session, long ones of the handshake.
//!
//! ```text
//! short, byte 0:  0 | key phase | cid length code (2) | packet number length - 1 (2) | 0 0
//!        then:    connection id (0, 4 or 8) | packet number (1 to 4, little-endian, truncated)
//! long,  byte 0:  1 | type (3) | 0 0 0 0
//!        byte 1:  version
//! ```

use super::{Reader, Writer};
use crate::{BufferTooSmall, ConnectionId, DecodeError, PacketNumber};

/// The version of the protocol.
pub const VERSION: u8 = 1;

const LONG: u8 = 0x80;
const TYPE_SHIFT: u32 = 4;
const LONG_RESERVED: u8 = 0x0f;
const KEY_PHASE: u8 = 0x40;
const CID_SHIFT: u32 = 4;
const PN_LEN_SHIFT: u32 = 2;
const SHORT_RESERVED: u8 = 0x03;

/// The header of a packet within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortHeader {
    /// Whose session: chosen by the receiver of the packet.
    pub cid: ConnectionId,
    /// Which generation of keys; false in plain protection.
    pub key_phase: bool,
    /// Bytes of the packet number on the wire, 1 to 4.
    pub pn_len: u8,
    /// The lowest `pn_len` bytes of the packet number.
    pub truncated_pn: u32,
}

impl ShortHeader {
    /// The longest short header, in bytes.
    pub const LEN_MAX: usize = 1 + 8 + 4;

    /// For packet `pn` to a peer that acknowledged up to `largest_acked`.
    pub const fn new(cid: ConnectionId, pn: PacketNumber, largest_acked: Option<PacketNumber>) -> Self {
        let pn_len = pn.wire_len(largest_acked) as u8;
        let truncated_pn = pn.value() as u32 & (u32::MAX >> (u32::BITS - 8 * pn_len as u32));
        Self { cid, key_phase: false, pn_len, truncated_pn }
    }

    /// The full packet number, from the largest one received and authenticated so far.
    pub const fn packet_number(&self, largest: Option<PacketNumber>) -> PacketNumber {
        PacketNumber::expand(self.truncated_pn, self.pn_len as usize, largest)
    }

    /// The header at the front of a datagram, and its length in bytes.
    ///
    /// # Errors
    /// `Truncated`; `Invalid` for a long header, a reserved bit or the reserved connection id length.
    pub fn parse(datagram: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut r = Reader::new(datagram);
        let flags = r.u8()?;
        if flags & (LONG | SHORT_RESERVED) != 0 {
            return Err(DecodeError::Invalid);
        }
        let cid_len = match (flags >> CID_SHIFT) & 3 {
            0 => 0,
            1 => 4,
            2 => 8,
            _ => return Err(DecodeError::Invalid),
        };
        let cid = ConnectionId::new(r.take(cid_len)?).ok_or(DecodeError::Invalid)?;
        let pn_len = 1 + ((flags >> PN_LEN_SHIFT) & 3);
        let truncated_pn = r.take(usize::from(pn_len))?.iter().rev().fold(0, |pn, byte| pn << 8 | u32::from(*byte));
        let header = Self { cid, key_phase: flags & KEY_PHASE != 0, pn_len, truncated_pn };
        Ok((header, datagram.len() - r.rest().len()))
    }

    /// Appends the header. A `pn_len` outside 1 to 4 counts as the nearest length.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn emit(&self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        let cid = self.cid.as_bytes();
        let pn_len = self.pn_len.clamp(1, 4);
        let flags = if self.key_phase { KEY_PHASE } else { 0 }
            | (cid.len() as u8 / 4) << CID_SHIFT
            | (pn_len - 1) << PN_LEN_SHIFT;
        w.whole(|w| {
            w.u8(flags)?;
            w.put(cid)?;
            let pn = self.truncated_pn.to_le_bytes();
            w.put(pn.get(..usize::from(pn_len)).unwrap_or(&pn))
        })
    }

    /// Bytes on the wire: 2 to 13.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        1 + self.cid.as_bytes().len() + usize::from(self.pn_len.clamp(1, 4))
    }
}

/// What a long packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongType {
    /// A device opens a session.
    Hello,
    /// A gateway takes it.
    Accept,
    /// An endpoint does not know the session of a packet that it received.
    Reset,
    /// A gateway asks for proof of the address.
    Cookie,
    /// A gateway has seen a higher counter from this device.
    CounterLow,
    /// A gateway does not take a session.
    Refuse,
}

impl LongType {
    const fn to_wire(self) -> u8 {
        match self {
            Self::Hello => 0,
            Self::Accept => 1,
            Self::Reset => 2,
            Self::Cookie => 3,
            Self::CounterLow => 4,
            Self::Refuse => 5,
        }
    }

    const fn from_wire(code: u8) -> Result<Self, DecodeError> {
        match code {
            0 => Ok(Self::Hello),
            1 => Ok(Self::Accept),
            2 => Ok(Self::Reset),
            3 => Ok(Self::Cookie),
            4 => Ok(Self::CounterLow),
            5 => Ok(Self::Refuse),
            _ => Err(DecodeError::Unknown),
        }
    }
}

/// The header of a handshake packet: the same two bytes in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader {
    /// What the packet is.
    pub kind: LongType,
    /// The version that its body follows.
    pub version: u8,
}

impl LongHeader {
    /// Bytes on the wire.
    pub const LEN: usize = 2;

    /// The header at the front of a datagram, and what follows it. Any version will do.
    ///
    /// # Errors
    /// `Truncated`; `Invalid` for a short header or a reserved bit; `Unknown` for a type not defined.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
        let mut r = Reader::new(datagram);
        let flags = r.u8()?;
        if flags & LONG == 0 || flags & LONG_RESERVED != 0 {
            return Err(DecodeError::Invalid);
        }
        let kind = LongType::from_wire((flags & !LONG) >> TYPE_SHIFT)?;
        Ok((Self { kind, version: r.u8()? }, r.rest()))
    }

    /// Appends the header of a packet of our [`VERSION`].
    pub(crate) fn emit(kind: LongType, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        w.put(&[LONG | kind.to_wire() << TYPE_SHIFT, VERSION])
    }
}

/// Where a datagram goes, before any session touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A device opens a session, in whatever version.
    Hello,
    /// A packet of the session with this connection id of ours.
    Session(ConnectionId),
    /// An answer to a device.
    Other,
}

/// What a datagram is. Looks at its header only: nothing is checked for integrity yet.
///
/// # Errors
/// Those of [`ShortHeader::parse`] and [`LongHeader::parse`]; `Version` for another version. HELLO and
/// REFUSE are how versions are agreed on, so they pass in any.
pub fn route(datagram: &[u8]) -> Result<Route, DecodeError> {
    if datagram.first().ok_or(DecodeError::Truncated)? & LONG == 0 {
        return Ok(Route::Session(ShortHeader::parse(datagram)?.0.cid));
    }
    let (header, _) = LongHeader::parse(datagram)?;
    match header.kind {
        LongType::Hello => Ok(Route::Hello),
        LongType::Refuse => Ok(Route::Other),
        _ if header.version != VERSION => Err(DecodeError::Version),
        _ => Ok(Route::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reserved_forms_are_refused() {
        assert_eq!(route(&[]), Err(DecodeError::Truncated));
        assert_eq!(route(&[0x01, 0]), Err(DecodeError::Invalid));
        assert_eq!(route(&[0x02, 0]), Err(DecodeError::Invalid));
        assert_eq!(route(&[0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Invalid));
        assert_eq!(route(&[0x81, 1]), Err(DecodeError::Invalid));
        for reserved in [6u8, 7] {
            assert_eq!(route(&[0x80 | reserved << 4, 1]), Err(DecodeError::Unknown));
        }
        assert_eq!(ShortHeader::parse(&[0x80, 1]), Err(DecodeError::Invalid));
        assert_eq!(LongHeader::parse(&[0x00, 1]), Err(DecodeError::Invalid));
        assert_eq!(LongHeader::parse(&[0x80]), Err(DecodeError::Truncated));
    }

    #[test]
    fn versions_other_than_ours_get_as_far_as_they_must() {
        assert_eq!(route(&[0x80, 9]), Ok(Route::Hello));
        assert_eq!(route(&[0xd0, 9]), Ok(Route::Other));
        assert_eq!(route(&[0x90, 9]), Err(DecodeError::Version));
        assert_eq!(route(&[0xa0, 9]), Err(DecodeError::Version));
        assert_eq!(route(&[0x90, VERSION]), Ok(Route::Other));
        assert_eq!(route(&[0xa0, VERSION]), Ok(Route::Other));
    }

    #[test]
    fn a_long_packet_number_keeps_its_lowest_bytes() {
        let pn = PacketNumber::new(0x1_2345_6789);
        let header = ShortHeader::new(ConnectionId::EMPTY, pn, None);
        assert_eq!((header.pn_len, header.truncated_pn), (4, 0x2345_6789));
        assert_eq!(header.packet_number(Some(PacketNumber::new(0x1_2345_6000))), pn);
        let header = ShortHeader::new(ConnectionId::EMPTY, pn, Some(PacketNumber::new(0x1_2345_6780)));
        assert_eq!((header.pn_len, header.truncated_pn), (1, 0x89));
    }

    proptest! {
        #[test]
        fn short_headers_come_back(cid_len in 0usize..3, cid: [u8; 8], key_phase: bool, pn_len in 1u8..5, pn: u32) {
            let header = ShortHeader {
                cid: ConnectionId::new(&cid[..cid_len * 4]).unwrap(),
                key_phase,
                pn_len,
                truncated_pn: pn >> (32 - 8 * u32::from(pn_len)),
            };
            let mut buf = [0; ShortHeader::LEN_MAX + 1];
            let mut w = Writer::new(&mut buf);
            header.emit(&mut w).unwrap();
            prop_assert_eq!(w.len(), header.len());
            prop_assert_eq!(ShortHeader::parse(w.written()), Ok((header, w.len())));
            prop_assert_eq!(route(w.written()), Ok(Route::Session(header.cid)));
            for cut in 0..w.len() {
                prop_assert_eq!(ShortHeader::parse(&w.written()[..cut]), Err(DecodeError::Truncated));
            }
        }

        #[test]
        fn what_parses_is_canonical(bytes: [u8; 14]) {
            if let Ok((header, len)) = ShortHeader::parse(&bytes) {
                let mut buf = [0; ShortHeader::LEN_MAX];
                let mut w = Writer::new(&mut buf);
                header.emit(&mut w).unwrap();
                prop_assert_eq!(w.written(), &bytes[..len]);
            }
        }
    }
}
