//! HELLO: a device opens a session.
//!
//! ```text
//! header (2) | protection (1) | device: length 1 to 16 (1), id | nonce (8)      the same in every version
//! plain:   boot epoch (4) | terms | CRC-32 (4)
//! sealed:  key id (1) | e (32) | terms, sealed | tag (16) | mac1 (16) | mac2 (8)
//! terms:   reply cid: length 0, 4 or 8 (1), id | limits | streams offered
//! ```
//! In a sealed HELLO the place of the nonce holds the counter, and the two MACs end it in every version.

use super::offer::{emit_list, entries, parse_list};
use super::{Limits, LongType, OfferedStream, close, open_any};
use crate::seal::Opened;
#[cfg(feature = "seal")]
use crate::wire::LongHeader;
use crate::wire::{Reader, VERSION, Writer, crc};
use crate::{BufferTooSmall, ConnectionId, DecodeError, DeviceId};

/// How a session is protected; both ends were told before, and it is not negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// A CRC-32: finds damage, keeps nobody out.
    Plain,
    /// Noise NKpsk0.
    NkPsk0,
    /// Noise NNpsk0.
    NnPsk0,
}

impl Protection {
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::NkPsk0 => 1,
            Self::NnPsk0 => 2,
        }
    }

    const fn from_wire(code: u8) -> Result<Self, DecodeError> {
        match code {
            0 => Ok(Self::Plain),
            1 => Ok(Self::NkPsk0),
            2 => Ok(Self::NnPsk0),
            _ => Err(DecodeError::Unknown),
        }
    }
}

#[cfg(feature = "seal")]
impl From<crate::Pattern> for Protection {
    fn from(pattern: crate::Pattern) -> Self {
        match pattern {
            crate::Pattern::NkPsk0 => Self::NkPsk0,
            crate::Pattern::NnPsk0 => Self::NnPsk0,
        }
    }
}

/// Bytes of the tag of an AEAD.
const TAG: usize = 16;

/// Bytes of the MAC that a sealed HELLO is recognised by.
const MAC1: usize = 16;

/// Bytes of the MAC under a cookie. It only says that the device is at its address; a shorter one leaves room in
/// a radio frame.
const MAC2: usize = 8;

/// The front of a HELLO and its integrity check, the same in every version: enough to answer one that
/// we do not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    version: u8,
    protection: Protection,
    device: DeviceId,
    nonce: u64,
    /// After the nonce, before the integrity check.
    body: &'a [u8],
    datagram: &'a [u8],
}

impl<'a> Claim<'a> {
    /// Checks what every version has in common; of a plain HELLO, its CRC-32 too.
    ///
    /// # Errors
    /// `Truncated`; `Invalid` also for a wrong CRC-32; `Unknown` for another packet type or protection.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let (version, mut r) = open_any(datagram, LongType::Hello)?;
        let protection = Protection::from_wire(r.u8()?)?;
        let device = DeviceId::new(r.counted(1..=DeviceId::MAX as u8)?).ok_or(DecodeError::Invalid)?;
        let nonce = r.u64()?;
        let check = if protection == Protection::Plain { crc::LEN } else { MAC1 + MAC2 };
        let body = r.rest().len().checked_sub(check).ok_or(DecodeError::Truncated)?;
        if protection == Protection::Plain {
            crc::checked(datagram).ok_or(DecodeError::Invalid)?;
        }
        Ok(Self { version, protection, device, nonce, body: r.take(body)?, datagram })
    }

    /// Who asks; proved by nothing but the MAC.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// How the session would be protected.
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// The version that it is written in.
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// Names this attempt to open a session among all of all devices, and is repeated in every answer: the
    /// nonce, or the first 8 bytes of the MAC.
    pub fn id(&self) -> u64 {
        match self.protection {
            Protection::Plain => self.nonce,
            _ => self.mac1().and_then(|mac| mac.first_chunk()).map_or(0, |front| u64::from_le_bytes(*front)),
        }
    }

    /// Bytes of the whole datagram.
    pub const fn datagram(&self) -> &'a [u8] {
        self.datagram
    }

    #[cfg(feature = "seal")]
    pub(crate) const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// The MAC of a sealed HELLO.
    pub(crate) fn mac1(&self) -> Option<&'a [u8; MAC1]> {
        self.before(MAC2)?.last_chunk()
    }

    /// All before that MAC.
    #[cfg(feature = "seal")]
    pub(crate) fn before_mac1(&self) -> Option<&'a [u8]> {
        self.before(MAC1 + MAC2)
    }

    /// The MAC under a cookie, and all before it.
    #[cfg(feature = "seal")]
    pub(crate) fn mac2(&self) -> Option<(&'a [u8], &'a [u8; MAC2])> {
        self.datagram.split_last_chunk()
    }

    fn before(&self, macs: usize) -> Option<&'a [u8]> {
        self.datagram.len().checked_sub(macs).and_then(|end| self.datagram.get(..end))
    }
}

/// A HELLO of our version. Of a plain one everything was checked, of a sealed one its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    claim: Claim<'a>,
    body: Body<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body<'a> {
    Plain { boot_epoch: u32, terms: Terms<'a> },
    Sealed(SealedBody<'a>),
}

/// What a sealed HELLO says between the counter and the MACs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedBody<'a> {
    /// Which of the gateway's keys the device used.
    pub(crate) key_id: u8,
    /// Everything before `e`: what the Noise prologue binds.
    pub(crate) prologue: &'a [u8],
    /// The ephemeral public key.
    pub(crate) e: &'a [u8; 32],
    /// The terms, sealed.
    pub(crate) terms: &'a [u8],
    pub(crate) tag: &'a [u8; TAG],
}

impl<'a> Hello<'a> {
    /// Checks a datagram: type, version, form. Of a plain HELLO also the CRC-32, every field and every
    /// stream, canonical form; of a sealed one that needs keys: see [`crate::gate`].
    ///
    /// # Errors
    /// `Version` for another version (see [`Claim`]); `Invalid` also for a wrong CRC-32; `Unknown` for a
    /// protection or a delivery mode that is not defined, and for another packet type.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        if open_any(datagram, LongType::Hello)?.0 != VERSION {
            return Err(DecodeError::Version);
        }
        let claim = Claim::parse(datagram)?;
        let mut r = Reader::new(claim.body);
        let body = if claim.protection == Protection::Plain {
            Body::Plain { boot_epoch: r.u32()?, terms: Terms::parse(r.take_rest())? }
        } else {
            let key_id = r.u8()?;
            let prologue = datagram.len().saturating_sub(r.rest().len() + MAC1 + MAC2);
            let e = r.take(32)?.first_chunk().ok_or(DecodeError::Truncated)?;
            let (terms, tag) = r.take_rest().split_last_chunk().ok_or(DecodeError::Truncated)?;
            let prologue = datagram.get(..prologue).ok_or(DecodeError::Truncated)?;
            Body::Sealed(SealedBody { key_id, prologue, e, terms, tag })
        };
        Ok(Self { claim, body })
    }

    /// Who asks. A claim: only a sealed HELLO's MAC proves it.
    pub const fn device(&self) -> DeviceId {
        self.claim.device
    }

    /// How the session would be protected.
    pub const fn protection(&self) -> Protection {
        self.claim.protection
    }

    /// See [`Claim::id`].
    pub fn id(&self) -> u64 {
        self.claim.id()
    }

    /// What every version has in common.
    pub const fn claim(&self) -> &Claim<'a> {
        &self.claim
    }

    /// What a plain HELLO offers; `None` when it is sealed.
    pub fn plain(&self) -> Option<Offer<'a>> {
        let Body::Plain { boot_epoch, terms } = self.body else { return None };
        let opened = Opened::plain(self.claim.device, self.claim.nonce, boot_epoch, self.claim.datagram.len());
        Some(Offer { opened, terms })
    }

    #[cfg(feature = "seal")]
    pub(crate) fn sealed(&self) -> Option<SealedBody<'a>> {
        match self.body {
            Body::Sealed(body) => Some(body),
            Body::Plain { .. } => None,
        }
    }
}

/// What a HELLO says once it is open: the same in either protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms<'a> {
    reply_cid: ConnectionId,
    limits: Limits,
    streams: &'a [u8],
}

impl<'a> Terms<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let (reply_cid, limits) = (r.connection_id()?, Limits::parse(&mut r)?);
        let streams = parse_list::<OfferedStream>(&mut r, |_| true)?;
        r.finish()?;
        Ok(Self { reply_cid, limits, streams })
    }
}

/// What a device offers in a HELLO that may be taken: plain, or opened at the gate.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    opened: Opened,
    terms: Terms<'a>,
}

impl<'a> Offer<'a> {
    /// From what was found at the gate, and the terms that were decrypted there.
    ///
    /// # Errors
    /// When the terms are not what they were, or are not well formed.
    pub fn new(opened: Opened, terms: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Self { opened, terms: Terms::parse(terms)? })
    }

    /// Who opens the session. In plain protection a claim.
    pub const fn device(&self) -> DeviceId {
        self.opened.device
    }

    /// How many times the device has booted.
    pub const fn boot_epoch(&self) -> u32 {
        self.opened.boot_epoch
    }

    /// See [`Claim::id`].
    pub const fn id(&self) -> u64 {
        self.opened.id
    }

    /// The connection id that packets to the device carry.
    pub const fn reply_cid(&self) -> ConnectionId {
        self.terms.reply_cid
    }

    /// What the device can take.
    pub const fn limits(&self) -> Limits {
        self.terms.limits
    }

    /// The streams that the device offers to send, in ascending order of their numbers.
    pub fn streams(&self) -> impl Iterator<Item = OfferedStream> + Clone + use<'a> {
        entries(self.terms.streams)
    }

    /// Whether the device proved who it is.
    pub const fn is_sealed(&self) -> bool {
        self.opened.is_sealed()
    }

    /// What was found of it beside its terms.
    pub const fn opened(&self) -> &Opened {
        &self.opened
    }
}

/// What a plain HELLO says besides its streams.
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

/// Writes a plain HELLO into `buf`, with the streams in ascending order whatever order they come in.
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
        emit_claim(Protection::Plain, fields.device, fields.nonce, w)?;
        w.u32(fields.boot_epoch)?;
        emit_terms(&fields.reply_cid, &fields.limits, streams, w)
    })
}

fn emit_claim(protection: Protection, device: DeviceId, nonce: u64, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.u8(protection.to_wire())?;
    w.counted(device.as_bytes())?;
    w.u64(nonce)
}

/// What a sealed HELLO says before `e`.
#[cfg(feature = "seal")]
pub(crate) fn emit_prologue(
    protection: Protection,
    device: DeviceId,
    counter: u64,
    key_id: u8,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    LongHeader::emit(LongType::Hello, w)?;
    emit_claim(protection, device, counter, w)?;
    w.u8(key_id)
}

/// What a HELLO says about the device, before it is sealed.
pub(crate) fn emit_terms(
    reply_cid: &ConnectionId,
    limits: &Limits,
    streams: impl Iterator<Item = OfferedStream> + Clone,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    w.connection_id(reply_cid)?;
    limits.emit(w)?;
    emit_list(streams, w)
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

    fn fields_of(offer: &Offer<'_>) -> HelloFields {
        HelloFields {
            device: offer.device(),
            nonce: offer.id(),
            boot_epoch: offer.boot_epoch(),
            reply_cid: offer.reply_cid(),
            limits: offer.limits(),
        }
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
        assert_eq!(changed(2, 3), Some(DecodeError::Unknown));
        // Sealed, it would be longer.
        assert_eq!(changed(2, 1), Some(DecodeError::Truncated));
        assert_eq!(changed(2, 2), Some(DecodeError::Truncated));
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
            let hello = Hello::parse(&buf[..len]).unwrap().plain().unwrap();
            prop_assert_eq!(fields_of(&hello), fields);
            prop_assert_eq!(hello.streams().collect::<Vec<_>>(), sorted);
            for cut in 0..len {
                prop_assert!(Hello::parse(&buf[..cut]).is_err());
                // The same without the protection of the CRC: the lengths are checked too.
                prop_assert!(Hello::parse(&resealed(&buf[..cut.min(len - 5)])).is_err());
                prop_assert_eq!(emit_hello(&fields, list.iter().copied(), &mut [0; 700][..cut]), Err(BufferTooSmall));
            }
            buf[usize::from(flip) % len] ^= 1 << (flip % 8);
            // Damaged, it may look like one that is sealed: that is for the gate to refuse.
            prop_assert!(!Hello::parse(&buf[..len]).is_ok_and(|hello| hello.plain().is_some()));
        }

        // Random bodies under a right CRC: no panic, and what parses is what would be written.
        #[test]
        fn what_parses_is_canonical(front in 0usize..19, tail in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut body = small()[..front].to_vec();
            body.extend(tail);
            let packet = resealed(&body);
            if let Ok(Some(hello)) = Hello::parse(&packet).map(|hello| hello.plain()) {
                let mut buf = [0; 200];
                let len = emit_hello(&fields_of(&hello), hello.streams(), &mut buf).unwrap();
                prop_assert_eq!(&buf[..len], &packet[..]);
            }
        }
    }
}
