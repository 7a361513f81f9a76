//! Handshake packets: HELLO, ACCEPT, and the other answers, plain and sealed.
//!
//! Every one is a long header, a body, and what protects it: in plain protection the CRC-32 of all bytes
//! before it; sealed, a tag or a MAC, which only those can check that have the keys.

mod accept;
#[cfg(feature = "seal")]
pub(crate) mod answer;
mod hello;
mod limits;
mod offer;
mod refuse;
mod reset;

#[cfg(feature = "seal")]
pub(crate) use accept::SealedAccept;
pub use accept::{Accept, AcceptFields, AcceptedStream, emit_accept};
pub use hello::{Claim, Hello, HelloFields, Offer, Protection, emit_hello};
#[cfg(feature = "seal")]
pub(crate) use hello::{emit_prologue, emit_terms};
pub use limits::Limits;
pub use offer::{OfferedStream, STREAMS_MAX};
pub use refuse::{REFUSE_LEN, Refuse, RefuseCode, refuse, refuse_version};
pub use reset::{RESET_LEN, Reset, reset};

use super::{LongHeader, LongType, Reader, VERSION, Writer, crc};
use crate::{BufferTooSmall, DecodeError};

/// Whether a long packet arrived as it was sent: its CRC-32 is right.
///
/// The parsers check it too and answer `Invalid`; this tells damage from a peer's fault.
pub fn is_intact(datagram: &[u8]) -> bool {
    crc::checked(datagram).is_some()
}

/// What follows the header of a packet of this kind, and its version.
fn open_any(datagram: &[u8], kind: LongType) -> Result<(u8, Reader<'_>), DecodeError> {
    let (header, rest) = LongHeader::parse(datagram)?;
    if header.kind != kind {
        return Err(DecodeError::Unknown);
    }
    Ok((header.version, Reader::new(rest)))
}

/// The body of a plain packet of this kind: type, then version (`None` takes any), then integrity.
fn open(datagram: &[u8], kind: LongType, version: Option<u8>) -> Result<Reader<'_>, DecodeError> {
    let (found, _) = open_any(datagram, kind)?;
    if version.is_some_and(|version| version != found) {
        return Err(DecodeError::Version);
    }
    let whole = crc::checked(datagram).ok_or(DecodeError::Invalid)?;
    whole.get(LongHeader::LEN..).map(Reader::new).ok_or(DecodeError::Truncated)
}

/// Writes a plain packet of this kind into `buf` and says how long it is.
fn close(
    kind: LongType,
    buf: &mut [u8],
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), BufferTooSmall>,
) -> Result<usize, BufferTooSmall> {
    let mut w = Writer::new(buf);
    LongHeader::emit(kind, &mut w)?;
    body(&mut w)?;
    let check = crc::crc32(w.written());
    w.u32(check)?;
    Ok(w.len())
}

/// The body of a plain packet of our version.
fn open_ours(datagram: &[u8], kind: LongType) -> Result<Reader<'_>, DecodeError> {
    open(datagram, kind, Some(VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    /// A packet with its last four bytes made right.
    pub(super) fn resealed(body: &[u8]) -> Vec<u8> {
        let mut packet = body.to_vec();
        packet.extend(crc::crc32(body).to_le_bytes());
        packet
    }

    #[test]
    fn checks_come_in_order() {
        let good = resealed(&[0x80, VERSION, 7]);
        assert_eq!(open_ours(&good, LongType::Hello).unwrap().rest(), [7]);
        assert_eq!(open_ours(&good, LongType::Accept).err(), Some(DecodeError::Unknown));
        assert_eq!(open_ours(&[0x80, 9], LongType::Hello).err(), Some(DecodeError::Version));
        assert_eq!(open_ours(&[0x80, VERSION, 7], LongType::Hello).err(), Some(DecodeError::Invalid));
        assert_eq!(open_ours(&[0x80], LongType::Hello).err(), Some(DecodeError::Truncated));
        assert!(is_intact(&good) && !is_intact(&good[..6]));
    }
}
