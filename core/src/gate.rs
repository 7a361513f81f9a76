//! A gateway's gate: what a sealed HELLO must show before it costs a scalar multiplication, and what it is told.
//!
//! ```text
//! Hello::parse -> find the device's key -> Claim::authenticate
//!   -> a HELLO that was taken already: Session::repeat_accept
//!   -> Authentic::weigh (counter, cookie) -> Authentic::open -> Offer -> Session::accept
//! ```
//! Strangers get no answer.

use core::fmt;

use crate::seal::noise::Responder;
use crate::seal::{Cookies, DeviceKey, GatewayKeys, Handshake, Opened, Pattern, mac, opened::SealedHello};
use crate::wire::answer::{AnswerKind, emit_answer};
use crate::wire::{Claim, Hello, LongHeader, LongType, Protection, RefuseCode, ShortHeader, VERSION, Writer};
use crate::{CloseReason, ConnectionId, DecodeError, Instant, Offer};

/// Bytes of a sealed RESET.
pub(crate) const RESET_LEN: usize = LongHeader::LEN + 4 + 16;

/// The first part of every prologue (Noise section 6): the protocol, and its version.
pub(crate) const PROLOGUE: &[u8] = b"whimbrel 1";

/// A HELLO from somebody who has the device's key.
#[derive(Clone, Copy)]
pub struct Authentic<'a> {
    claim: Claim<'a>,
    key: &'a DeviceKey,
}

/// Under load: who sent a HELLO, and what it must show.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Makes the cookies.
    pub cookies: &'a Cookies,
    /// The address that the HELLO came from, as bytes of the caller's choice.
    pub source: &'a [u8],
}

/// What to do with an authentic HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weighed {
    /// Open it.
    Open,
    /// Send so many bytes of the buffer back to where it came from.
    Answer {
        /// Length of the answer.
        len: usize,
        /// COUNTER_LOW; else COOKIE.
        counter_low: bool,
    },
}

/// Why a HELLO was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The device was provisioned for another pattern.
    Pattern,
    /// The device used a key that this gateway does not have, or no longer.
    GatewayKey,
    /// The handshake failed: it was not meant for this gateway's key, or its shared secret is zero.
    Handshake,
    /// What it says is not well formed.
    Terms(DecodeError),
    /// The buffer for the terms is shorter than the HELLO.
    Buffer,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern => f.write_str("the device was provisioned for another handshake pattern"),
            Self::GatewayKey => f.write_str("the device knows the gateway by a key that is not in use"),
            Self::Handshake => f.write_str("the handshake failed"),
            Self::Terms(error) => write!(f, "the terms: {error}"),
            Self::Buffer => f.write_str("the buffer is too small"),
        }
    }
}

impl core::error::Error for OpenError {}

impl<'a> Claim<'a> {
    /// Whether it comes from somebody who has this key; `None` also when it is plain. In constant time.
    pub fn authenticate(&self, key: &'a DeviceKey) -> Option<Authentic<'a>> {
        if self.protection() == Protection::Plain {
            return None;
        }
        let expected = mac::hello_mac(key, &[self.before_mac1()?]);
        mac::same(self.mac1()?, &expected).then_some(Authentic { claim: *self, key })
    }
}

impl<'a> Authentic<'a> {
    /// Grows with each attempt of the device to open a session: boot epoch, then attempts within it.
    pub const fn counter(&self) -> u64 {
        self.claim.nonce()
    }

    /// What is checked before the handshake: the counter must be `lowest` or more, or the HELLO is a replay, or of
    /// a device that lost count. Under load, the source must have proved itself.
    pub fn weigh(&self, now: Instant, lowest: u64, load: Option<Load<'_>>, buf: &mut [u8]) -> Option<Weighed> {
        if self.counter() < lowest {
            let len = self.answer(&AnswerKind::CounterLow { lowest }, buf)?;
            return Some(Weighed::Answer { len, counter_low: true });
        }
        match load {
            Some(load) if !load.cookies.accepts(now, load.source, &self.claim) => {
                let cookie = load.cookies.cookie(now, load.source);
                let len = self.answer(&AnswerKind::Cookie(cookie), buf)?;
                Some(Weighed::Answer { len, counter_low: false })
            }
            _ => Some(Weighed::Open),
        }
    }

    /// Opens it: one scalar multiplication in `NKpsk0`. Its terms are written to the front of `terms`, which
    /// is as long as the HELLO or longer; with their length the answer says what may become an [`Offer`].
    ///
    /// # Errors
    /// See [`OpenError`]; such a HELLO is not answered.
    pub fn open(&self, pattern: Pattern, keys: &GatewayKeys, terms: &mut [u8]) -> Result<(Opened, usize), OpenError> {
        let by_key = pattern == Pattern::NkPsk0;
        if self.claim.protection() != pattern.into() {
            return Err(OpenError::Pattern);
        }
        let hello = Hello::parse(self.claim.datagram()).map_err(OpenError::Terms)?;
        let body = hello.sealed().ok_or(OpenError::Pattern)?;
        if !by_key && body.key_id != 0 {
            return Err(OpenError::Terms(DecodeError::NotCanonical));
        }
        let len = body.terms.len();
        let place = terms.get_mut(..len).ok_or(OpenError::Buffer)?;
        place.copy_from_slice(body.terms);
        let psk = mac::handshake_psk(self.key, self.counter());
        let prologue = [PROLOGUE, body.prologue];
        // What does not open stays as it was.
        let mut read = |secret| Responder::read(pattern, secret, &psk, &prologue, body.e, place, body.tag).ok();
        let responder = if by_key {
            let mut secrets = keys.of_id(body.key_id).peekable();
            secrets.peek().ok_or(OpenError::GatewayKey)?;
            secrets.find_map(|secret| read(Some(secret)))
        } else {
            read(None)
        };
        let responder = responder.ok_or(OpenError::Handshake)?;
        let sealed = SealedHello {
            responder,
            key: self.key.clone(),
            mac1: *self.claim.mac1().ok_or(OpenError::Pattern)?,
            key_id: by_key.then_some(body.key_id),
            reset: keys.reset.clone(),
        };
        let opened = Opened {
            device: self.claim.device(),
            id: self.claim.id(),
            boot_epoch: (self.counter() >> 32) as u32,
            len: u16::try_from(self.claim.datagram().len()).unwrap_or(u16::MAX),
            handshake: Handshake::Sealed(sealed),
        };
        Offer::new(opened.clone(), place).map_err(OpenError::Terms)?;
        Ok((opened, len))
    }

    /// Writes a refusal, and returns its length; `None` when `buf` is too short.
    pub fn refuse(&self, reason: CloseReason, buf: &mut [u8]) -> Option<usize> {
        let code = RefuseCode::from_reason(reason);
        self.answer(&AnswerKind::Refuse { code, lowest: VERSION, highest: VERSION }, buf)
    }

    fn answer(&self, kind: &AnswerKind, buf: &mut [u8]) -> Option<usize> {
        answer(self.key, self.claim.id(), self.claim.mac1()?, kind, buf)
    }
}

impl fmt::Debug for Authentic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentic").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// Writes an answer to the HELLO with this id and MAC.
fn answer(key: &DeviceKey, id: u64, mac1: &[u8; 16], kind: &AnswerKind, buf: &mut [u8]) -> Option<usize> {
    let mut w = Writer::new(buf);
    emit_answer(id, kind, &mut w).ok()?;
    let mac = mac::answer_mac(key, mac1, w.written());
    w.put(&mac).ok()?;
    Some(w.len())
}

/// Writes a refusal of a HELLO that was opened, and returns its length; `None` when it is plain (see
/// [`crate::refuse`]) or `buf` too short.
pub fn refuse(offer: &Offer<'_>, reason: CloseReason, buf: &mut [u8]) -> Option<usize> {
    let Handshake::Sealed(sealed) = &offer.opened().handshake else { return None };
    let kind = AnswerKind::Refuse { code: RefuseCode::from_reason(reason), lowest: VERSION, highest: VERSION };
    answer(&sealed.key, offer.id(), &sealed.mac1, &kind, buf)
}

/// Writes the answer to a packet of a session that is not known here, but whose connection id this gateway gave,
/// now or before it was started anew; returns its length.
///
/// `None` when `cause` is no short packet, or is not longer than the answer, so that no exchange of answers can
/// start or grow. The caller limits the rate. Only the device of that connection can tell that it is authentic.
pub fn reset(cause: &[u8], keys: &GatewayKeys, buf: &mut [u8]) -> Option<usize> {
    let (header, _) = ShortHeader::parse(cause).ok()?;
    if cause.len() <= RESET_LEN || header.cid == ConnectionId::EMPTY {
        return None;
    }
    let tag = cause.last_chunk()?;
    let key = mac::reset_key(keys.reset.expose(), header.cid.as_bytes());
    let mut w = Writer::new(buf);
    LongHeader::emit(LongType::Reset, &mut w).ok()?;
    w.put(tag).ok()?;
    w.put(&mac::reset_mac(&key, tag)).ok()?;
    Some(w.len())
}

/// The packet that a RESET quotes, when it is under this key.
pub(crate) fn parse_reset(datagram: &[u8], key: &[u8; 16]) -> Option<[u8; 4]> {
    let (header, rest) = LongHeader::parse(datagram).ok()?;
    let (tag, mac) = rest.split_first_chunk::<4>()?;
    let mac = mac.first_chunk::<16>().filter(|_| datagram.len() == RESET_LEN && header.version == VERSION)?;
    mac::same(mac, &mac::reset_mac(key, tag)).then_some(*tag)
}
