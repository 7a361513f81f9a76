//! RESET: the session of a packet is not known here.
//!
//! ```text
//! plain:   header (2) | the last 4 bytes of the packet that caused it | CRC-32 of all of that packet (4) | CRC-32 (4)
//! sealed:  header (2) | the last 4 bytes of the packet that caused it | MAC of these (16), under the session's reset key
//! ```

use super::{LongType, close, open_ours};
use crate::DecodeError;
use crate::wire::{LongHeader, ShortHeader, crc};

/// Bytes of a RESET on the wire.
pub const RESET_LEN: usize = LongHeader::LEN + 4 + 4 + 4;

/// A received RESET.
///
/// In plain protection it proves no more than that its sender saw the packet that caused it. So it
/// may start a handshake, and must not end a session that still hears from its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The last 4 bytes of the packet that caused it: its trailer.
    pub cause_tag: [u8; 4],
    /// CRC-32 of that whole packet.
    pub cause_crc: u32,
}

impl Reset {
    /// Checks a datagram: type, version, CRC-32, length. Whether it was caused by a packet that we
    /// sent is the caller's to check.
    ///
    /// # Errors
    /// `Version` for another version; `Invalid` also for a wrong CRC-32; `Unknown` for another packet type.
    pub fn parse(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut r = open_ours(datagram, LongType::Reset)?;
        let reset = Self { cause_tag: r.array()?, cause_crc: r.u32()? };
        r.finish()?;
        Ok(reset)
    }

    /// What a RESET caused by this packet says; `None` for fewer than 4 bytes.
    pub fn caused_by(packet: &[u8]) -> Option<Self> {
        Some(Self { cause_tag: *packet.last_chunk()?, cause_crc: crc::crc32(packet) })
    }
}

/// Writes the answer to a packet of a session that is not known here, and returns its length.
///
/// `None` when `cause` is no packet with a short header, or is not longer than [`RESET_LEN`], so
/// that no exchange of answers can start or grow; and when `buf` is shorter than that. The caller limits the rate.
pub fn reset(cause: &[u8], buf: &mut [u8]) -> Option<usize> {
    ShortHeader::parse(cause).ok()?;
    if cause.len() <= RESET_LEN {
        return None;
    }
    let Reset { cause_tag, cause_crc } = Reset::caused_by(cause)?;
    close(LongType::Reset, buf, |w| {
        w.put(&cause_tag)?;
        w.u32(cause_crc)
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::super::hello::tests::small;
    use super::*;

    #[test]
    fn it_names_its_cause_and_is_shorter() {
        let cause = [0x10, 1, 2, 3, 4, 9, 0x06, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd];
        let mut buf = [0; 20];
        let len = reset(&cause, &mut buf).unwrap();
        assert_eq!(len, RESET_LEN);
        assert!(len < cause.len());
        let got = Reset::parse(&buf[..len]).unwrap();
        assert_eq!(got.cause_tag, [0xaa, 0xbb, 0xcc, 0xdd]);
        assert_eq!(Some(got), Reset::caused_by(&cause));
        assert_ne!(Some(got), Reset::caused_by(&cause[..14]));
        assert_eq!(reset(&cause[..14], &mut buf), None, "as long as the answer");
        assert_eq!(reset(&cause, &mut buf[..13]), None, "no room");
    }

    #[test]
    fn only_short_packets_cause_one() {
        let mut buf = [0; 20];
        assert_eq!(reset(&small(), &mut buf), None);
        let len = reset(&[0; 40], &mut buf).unwrap();
        let mut padded = [0; 40];
        padded[..len].copy_from_slice(&buf[..len]);
        assert_eq!(reset(&padded, &mut buf), None, "a RESET causes none");
        assert_eq!(reset(&[0x03; 40], &mut buf), None);
    }

    #[test]
    fn damage_is_seen() {
        let mut buf = [0; RESET_LEN];
        reset(&[0; 40], &mut buf).unwrap();
        for cut in 0..buf.len() {
            assert!(Reset::parse(&buf[..cut]).is_err());
        }
        for bit in 0..buf.len() * 8 {
            let mut bad = buf;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Reset::parse(&bad).is_err());
        }
    }
}
