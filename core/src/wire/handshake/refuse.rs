//! REFUSE: a gateway does not take a session. The same in every version.
//!
//! ```text
//! header (2) | nonce of the HELLO (8) | code (1) | lowest version (1) | highest version (1) | CRC-32 (4)
//! ```

use super::{Claim, LongType, Offer, Protection, close, open};
use crate::wire::{LongHeader, Reader, VERSION, Writer};
use crate::{BufferTooSmall, CloseReason, DecodeError};

/// Bytes of a REFUSE on the wire.
pub const REFUSE_LEN: usize = LongHeader::LEN + 8 + 3 + 4;

/// Why a session was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefuseCode {
    /// The gateway does not take this device.
    Refused,
    /// The gateway does not speak the version of the HELLO.
    Version,
    /// The gateway takes nobody now; later it may.
    Busy,
}

impl RefuseCode {
    /// What a gateway that closes for this reason says.
    pub(crate) const fn from_reason(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Refused => Self::Refused,
            CloseReason::Version => Self::Version,
            _ => Self::Busy,
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Version => 2,
            Self::Busy => 3,
        }
    }
}

/// A received REFUSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refuse {
    /// The nonce of the HELLO that it answers.
    pub echo: u64,
    /// Why.
    pub code: RefuseCode,
    /// The lowest version that the gateway speaks.
    pub lowest: u8,
    /// The highest version that the gateway speaks.
    pub highest: u8,
}

impl Refuse {
    /// Checks a datagram of whatever version: type, CRC-32, every field.
    ///
    /// # Errors
    /// `Invalid` for a wrong CRC-32 or a field out of its range; `Unknown` for another packet type.
    pub fn parse(datagram: &[u8]) -> Result<Self, DecodeError> {
        let mut r = open(datagram, LongType::Refuse, None)?;
        let refuse = parse_refusal(r.u64()?, &mut r)?;
        r.finish()?;
        Ok(refuse)
    }
}

/// What follows the echo.
pub(super) fn parse_refusal(echo: u64, r: &mut Reader<'_>) -> Result<Refuse, DecodeError> {
    let code = match r.u8()? {
        1 => RefuseCode::Refused,
        2 => RefuseCode::Version,
        3 => RefuseCode::Busy,
        _ => return Err(DecodeError::Invalid),
    };
    let (lowest, highest) = (r.u8()?, r.u8()?);
    if lowest > highest {
        return Err(DecodeError::Invalid);
    }
    Ok(Refuse { echo, code, lowest, highest })
}

/// What follows the header.
pub(super) fn put_refusal(refuse: &Refuse, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.u64(refuse.echo)?;
    w.put(&[refuse.code.to_wire(), refuse.lowest, refuse.highest])
}

/// Writes the answer to a plain HELLO that is not taken, and returns its length; `None` when it is sealed,
/// or `buf` shorter than [`REFUSE_LEN`]. It is shorter than any HELLO.
///
/// [`CloseReason::Refused`] and [`CloseReason::Version`] are told as such, any other reason as busy.
pub fn refuse(offer: &Offer<'_>, reason: CloseReason, buf: &mut [u8]) -> Option<usize> {
    if offer.is_sealed() {
        return None;
    }
    emit(offer.id(), RefuseCode::from_reason(reason), buf)
}

/// Writes the answer to a plain HELLO of a version that we do not speak, and returns its length. `None`
/// when the datagram is none, is damaged or sealed, or is of our version; when it is not longer than the
/// answer; or when `buf` is shorter than [`REFUSE_LEN`].
pub fn refuse_version(datagram: &[u8], buf: &mut [u8]) -> Option<usize> {
    let claim = Claim::parse(datagram).ok().filter(|claim| claim.protection() == Protection::Plain)?;
    if claim.version() == VERSION || datagram.len() <= REFUSE_LEN {
        return None;
    }
    emit(claim.id(), RefuseCode::Version, buf)
}

fn emit(echo: u64, code: RefuseCode, buf: &mut [u8]) -> Option<usize> {
    let refuse = Refuse { echo, code, lowest: VERSION, highest: VERSION };
    close(LongType::Refuse, buf, |w| put_refusal(&refuse, w)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Hello;
    use super::super::hello::tests::small;
    use super::super::tests::resealed;
    use super::*;
    extern crate std;
    use std::vec::Vec;

    fn refused(reason: CloseReason) -> Vec<u8> {
        let (hello, mut buf) = (small(), [0; REFUSE_LEN]);
        let len = refuse(&Hello::parse(&hello).unwrap().plain().unwrap(), reason, &mut buf).unwrap();
        assert!(len < hello.len());
        buf[..len].to_vec()
    }

    #[test]
    fn the_answer_names_the_hello_and_the_reason() {
        for (reason, code) in [
            (CloseReason::Refused, RefuseCode::Refused),
            (CloseReason::Version, RefuseCode::Version),
            (CloseReason::GoingAway, RefuseCode::Busy),
        ] {
            let echo = Hello::parse(&small()).unwrap().id();
            assert_eq!(Refuse::parse(&refused(reason)), Ok(Refuse { echo, code, lowest: 1, highest: 1 }));
        }
        let hello = small();
        assert_eq!(
            refuse(&Hello::parse(&hello).unwrap().plain().unwrap(), CloseReason::Refused, &mut [0; REFUSE_LEN - 1]),
            None
        );
    }

    #[test]
    fn a_refusal_is_understood_in_any_version() {
        let mut body = refused(CloseReason::Version)[..REFUSE_LEN - 4].to_vec();
        body[1] = 7;
        (body[11], body[12]) = (5, 7);
        let refuse = Refuse::parse(&resealed(&body)).unwrap();
        assert_eq!((refuse.lowest, refuse.highest), (5, 7));
        (body[11], body[12]) = (7, 5);
        assert_eq!(Refuse::parse(&resealed(&body)), Err(DecodeError::Invalid));
        (body[11], body[10]) = (5, 4);
        assert_eq!(Refuse::parse(&resealed(&body)), Err(DecodeError::Invalid));
    }

    #[test]
    fn damage_is_seen() {
        let whole = refused(CloseReason::Refused);
        for cut in 0..whole.len() {
            assert!(Refuse::parse(&whole[..cut]).is_err());
        }
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Refuse::parse(&bad).is_err());
        }
    }

    #[test]
    fn a_hello_of_another_version_gets_an_answer() {
        let ours = small();
        let mut buf = [0; REFUSE_LEN];
        assert_eq!(refuse_version(&ours, &mut buf), None);
        let mut body = ours[..ours.len() - 4].to_vec();
        body[1] = 2;
        // Nothing after the nonce need be as we know it.
        body.truncate(2 + 1 + 2 + 8);
        body.push(0xff);
        let theirs = resealed(&body);
        assert_eq!(Hello::parse(&theirs), Err(DecodeError::Version));
        assert_eq!(refuse_version(&theirs, &mut buf), Some(REFUSE_LEN));
        let refuse = Refuse::parse(&buf).unwrap();
        assert_eq!((refuse.echo, refuse.code), (0x0102_0304_0506_0708, RefuseCode::Version));
        body.pop();
        assert_eq!(refuse_version(&resealed(&body), &mut buf), None, "as long as the answer");
        assert_eq!(refuse_version(&body, &mut buf), None, "damaged");
    }
}
