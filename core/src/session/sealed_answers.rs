//! What answers a device that seals: ACCEPT, REFUSE, COUNTER_LOW and COOKIE to its HELLO, RESET to a packet.

use super::hello::Attempt;
use super::state::{Engine, Phase};
use crate::seal::mac;
use crate::wire::answer::{Answer, AnswerKind, Received};
use crate::wire::{LongHeader, LongType};
use crate::{DecodeError, PathId, gate};

impl Engine<'_> {
    /// A long packet to a device that seals: its MAC is checked before anything else is done.
    #[inline(never)]
    pub(super) fn handle_sealed_answer(&mut self, path: PathId, datagram: &mut [u8]) {
        if self.st.phase == Phase::Closed {
            return self.drop_for(|dropped| &mut dropped.unexpected);
        }
        match LongHeader::parse(datagram) {
            Ok((LongHeader { kind: LongType::Reset, .. }, _)) => return self.on_sealed_reset(datagram),
            Ok((LongHeader { kind: LongType::Hello, .. }, _)) => {
                return self.drop_for(|dropped| &mut dropped.unexpected);
            }
            Ok(_) => {}
            Err(DecodeError::Truncated) => return self.drop_for(|dropped| &mut dropped.truncated),
            Err(_) => return self.drop_for(|dropped| &mut dropped.unauthentic),
        }
        let answer = match Answer::parse(datagram) {
            Ok(answer) => answer,
            Err(DecodeError::Truncated) => return self.drop_for(|dropped| &mut dropped.truncated),
            Err(DecodeError::Version) => return self.drop_for(|dropped| &mut dropped.version),
            Err(_) => return self.drop_for(|dropped| &mut dropped.unauthentic),
        };
        let Attempt::Sealed(attempt) = &self.st.hello.attempt else {
            return self.drop_for(|dropped| &mut dropped.unexpected);
        };
        let (Some(mac1), Some(credentials)) = (attempt.mac1, self.st.credentials()) else {
            return self.drop_for(|dropped| &mut dropped.unexpected);
        };
        if attempt.id() != Some(answer.echo) {
            return self.drop_for(|dropped| &mut dropped.unexpected);
        }
        if !mac::same(answer.mac, &mac::answer_mac(&credentials.key, &mac1, answer.maced)) {
            return self.drop_for(|dropped| &mut dropped.unauthentic);
        }
        match answer.kind {
            Received::Accept => {
                if !self.on_sealed_accept(path, datagram) {
                    self.drop_for(|dropped| &mut dropped.unauthentic);
                }
            }
            Received::Other(AnswerKind::Refuse { code, .. }) => self.on_refuse(code),
            Received::Other(AnswerKind::CounterLow { lowest }) => self.on_counter_low(lowest),
            Received::Other(AnswerKind::Cookie(cookie)) => self.on_cookie(cookie),
        }
    }

    /// RESET under the key that the gateway gave this session.
    fn on_sealed_reset(&mut self, datagram: &[u8]) {
        let Some(tag) = gate::parse_reset(datagram, self.st.reset_key.expose()) else {
            return self.drop_for(|dropped| &mut dropped.unauthentic);
        };
        self.on_reset(tag);
    }

    /// The gateway saw a counter that we lost: goes on above it, once the boot epoch is stored.
    fn on_counter_low(&mut self, lowest: u64) {
        self.st.hello.raise_counter(lowest);
        let now = self.st.now;
        self.st.hello.begin_another(now);
    }

    /// The gateway is under load: shows it the cookie, at once when it is another.
    fn on_cookie(&mut self, cookie: [u8; 16]) {
        let now = self.st.now;
        if let Attempt::Sealed(attempt) = &mut self.st.hello.attempt
            && attempt.cookie.replace(cookie) != Some(cookie)
        {
            self.st.hello.hurry(now);
        }
    }
}
