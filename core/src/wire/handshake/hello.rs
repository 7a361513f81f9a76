//! HELLO: a device opens a session.
//!
//! ```text
//! header (2) | protection (1) | device: length 1 to 16 (1), id | nonce (8)      the same in every version
//! boot epoch (4) | reply cid: length 0, 4 or 8 (1), id | limits | streams offered | CRC-32 (4)
//! ```

use super::offer::{emit_list, entries, parse_list};
use super::{Limits, LongType, OfferedStream, close, open, open_ours};
use crate::wire::{Reader, Writer};
use crate::{BufferTooSmall, ConnectionId, DecodeError, DeviceId};

/// Plain protection: CRC-32. 1 is NKpsk0 and 2 is NNpsk0, both reserved.
const PLAIN: u8 = 0;

/// A received HELLO, checked in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    fields: HelloFields,
    streams: &'a [u8],
}

/// What a HELLO says besides its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloFields {
    /// Who opens the session.
    pub device: DeviceId,
    /// A random number that the answer repeats.
    pub nonce: u64,
    /// How many times the device has booted.
    pub boot_epoch: u32,
    /// The connection id that packets to the device carry.
    pub reply_cid: ConnectionId,
    /// What the device can take.
    pub limits: Limits,
}

impl<'a> Hello<'a> {
    /// Checks a datagram: type, version, CRC-32, every field and every stream, canonical form.
    ///
    /// # Errors
    /// `Version` for another version (see [`super::refuse_version`]); `Invalid` also for a wrong
    /// CRC-32; `Unknown` for a protection or a delivery mode that is reserved, and for another packet type.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = open_ours(datagram, LongType::Hello)?;
        let Invariant { protection, device, nonce } = Invariant::parse(&mut r)?;
        if protection != PLAIN {
            return Err(DecodeError::Unknown);
        }
        let boot_epoch = r.u32()?;
        let reply_cid = r.connection_id()?;
        let limits = Limits::parse(&mut r)?;
        let streams = parse_list::<OfferedStream>(&mut r, |_| true)?;
        r.finish()?;
        Ok(Self { fields: HelloFields { device, nonce, boot_epoch, reply_cid, limits }, streams })
    }

    /// Who opens the session. A claim: plain protection proves nothing.
    pub const fn device(&self) -> DeviceId {
        self.fields.device
    }

    /// How many times the device has booted.
    pub const fn boot_epoch(&self) -> u32 {
        self.fields.boot_epoch
    }

    /// The number that tells this attempt from others of the device; repeated in the answer.
    pub const fn nonce(&self) -> u64 {
        self.fields.nonce
    }

    /// The connection id that packets to the device carry.
    pub const fn reply_cid(&self) -> ConnectionId {
        self.fields.reply_cid
    }

    /// What the device can take.
    pub const fn limits(&self) -> Limits {
        self.fields.limits
    }

    /// The streams that the device offers to send, in ascending order of their numbers.
    pub fn streams(&self) -> impl Iterator<Item = OfferedStream> + Clone + use<'a> {
        entries(self.streams)
    }
}

/// The front of a HELLO, the same in every version: enough to answer one of another version.
pub(super) struct Invariant {
    protection: u8,
    device: DeviceId,
    pub(super) nonce: u64,
}

impl Invariant {
    fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let protection = r.u8()?;
        let device = DeviceId::new(r.counted(1..=DeviceId::MAX as u8)?).ok_or(DecodeError::Invalid)?;
        Ok(Self { protection, device, nonce: r.u64()? })
    }

    /// Of a HELLO of whatever version.
    pub(super) fn of(datagram: &[u8]) -> Result<Self, DecodeError> {
        Self::parse(&mut open(datagram, LongType::Hello, None)?)
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        w.u8(self.protection)?;
        w.counted(self.device.as_bytes())?;
        w.u64(self.nonce)
    }
}

/// Writes a HELLO into `buf`, with the streams in ascending order whatever order they come in.
/// Returns its length.
///
/// # Errors
/// When it does not fit `buf`, or when there are more than [`super::STREAMS_MAX`] streams.
pub fn emit_hello(
    fields: &HelloFields,
    streams: impl Iterator<Item = OfferedStream> + Clone,
    buf: &mut [u8],
) -> Result<usize, BufferTooSmall> {
    close(LongType::Hello, buf, |w| {
        Invariant { protection: PLAIN, device: fields.device, nonce: fields.nonce }.emit(w)?;
        w.u32(fields.boot_epoch)?;
        w.connection_id(&fields.reply_cid)?;
        fields.limits.emit(w)?;
        emit_list(streams, w)
    })
}

#[cfg(test)]
pub(in crate::wire) mod tests {
    use super::super::limits::tests::any_limits;
    use super::super::offer::tests::any_offers;
    use super::super::tests::resealed;
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    /// Any connection id.
    pub(in crate::wire) fn any_cid() -> impl Strategy<Value = ConnectionId> {
        (0usize..3, any::<[u8; 8]>()).prop_map(|(len, bytes)| ConnectionId::new(&bytes[..len * 4]).unwrap())
    }

    fn any_fields() -> impl Strategy<Value = HelloFields> {
        (prop::collection::vec(any::<u8>(), 1..17), any::<u64>(), any::<u32>(), any_cid(), any_limits()).prop_map(
            |(device, nonce, boot_epoch, reply_cid, limits)| HelloFields {
                device: DeviceId::new(&device).unwrap(),
                nonce,
                boot_epoch,
                reply_cid,
                limits,
            },
        )
    }

    /// A HELLO without streams.
    pub(in crate::wire) fn small() -> Vec<u8> {
        let fields = HelloFields {
            device: DeviceId::new(b"d").unwrap(),
            nonce: 0x0102_0304_0506_0708,
            boot_epoch: 1,
            reply_cid: ConnectionId::EMPTY,
            limits: Limits {
                max_datagram: 127,
                max_message: 64,
                max_slot: 64,
                ack_reach: 32,
                max_ack_delay: crate::Duration::from_millis(25),
            },
        };
        let mut buf = [0; 64];
        let len = emit_hello(&fields, core::iter::empty(), &mut buf).unwrap();
        buf[..len].to_vec()
    }

    #[test]
    fn fields_out_of_range_are_refused() {
        let good = small();
        let changed = |at: usize, value: u8| {
            let mut body = good[..good.len() - 4].to_vec();
            body[at] = value;
            Hello::parse(&resealed(&body)).err()
        };
        assert!(Hello::parse(&good).is_ok());
        assert_eq!(changed(1, 2), Some(DecodeError::Version));
        assert_eq!(changed(2, 1), Some(DecodeError::Unknown));
        assert_eq!(changed(2, 2), Some(DecodeError::Unknown));
        assert_eq!(changed(3, 0), Some(DecodeError::Invalid));
        assert_eq!(changed(3, 17), Some(DecodeError::Invalid));
        // The length of the reply connection id, after device (2), nonce (8) and boot epoch (4).
        assert_eq!(changed(17, 3), Some(DecodeError::Invalid));
        assert_eq!(changed(18, 126), Some(DecodeError::Invalid));
        let mut longer = good[..good.len() - 4].to_vec();
        longer.push(0);
        assert_eq!(Hello::parse(&resealed(&longer)), Err(DecodeError::Invalid));
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "writes and reads it anew for every length")]
        fn every_hello_comes_back(fields in any_fields(), (list, sorted) in any_offers(), flip: u16) {
            let mut buf = [0; 700];
            let len = emit_hello(&fields, list.iter().copied(), &mut buf).unwrap();
            let hello = Hello::parse(&buf[..len]).unwrap();
            prop_assert_eq!(hello.fields, fields);
            prop_assert_eq!(hello.streams().collect::<Vec<_>>(), sorted);
            for cut in 0..len {
                prop_assert!(Hello::parse(&buf[..cut]).is_err());
                // The same without the protection of the CRC: the lengths are checked too.
                prop_assert!(Hello::parse(&resealed(&buf[..cut.min(len - 5)])).is_err());
                prop_assert_eq!(emit_hello(&fields, list.iter().copied(), &mut [0; 700][..cut]), Err(BufferTooSmall));
            }
            buf[usize::from(flip) % len] ^= 1 << (flip % 8);
            prop_assert!(Hello::parse(&buf[..len]).is_err());
        }

        // Random bodies under a right CRC: no panic, and what parses is what would be written.
        #[test]
        fn what_parses_is_canonical(front in 0usize..19, tail in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut body = small()[..front].to_vec();
            body.extend(tail);
            let packet = resealed(&body);
            if let Ok(hello) = Hello::parse(&packet) {
                let mut buf = [0; 200];
                let len = emit_hello(&hello.fields, hello.streams(), &mut buf).unwrap();
                prop_assert_eq!(&buf[..len], &packet[..]);
            }
        }
    }
}
