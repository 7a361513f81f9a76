//! Answers to a device other than ACCEPT: RESET, REFUSE, and, sealed, COUNTER_LOW and COOKIE.

use super::state::{Engine, Phase, State};
use crate::seal::Direction;
use crate::wire::RefuseCode;
use crate::{CloseReason, PathId};

#[cfg(feature = "seal")]
use super::hello::Attempt;
#[cfg(feature = "seal")]
use crate::DecodeError;
#[cfg(feature = "seal")]
use crate::gate;
#[cfg(feature = "seal")]
use crate::seal::mac;
#[cfg(feature = "seal")]
use crate::wire::answer::{Answer, AnswerKind, Received};
#[cfg(feature = "seal")]
use crate::wire::{LongHeader, LongType};

impl State {
    /// The session ends here for good, for a reason that the application is told.
    #[inline(never)]
    pub(super) fn give_up(&mut self, reason: CloseReason) {
        self.hello.end();
        self.phase = Phase::Closed;
        self.pending.closed = Some(reason);
    }
}

impl Engine<'_> {
    /// A long packet: only devices are answered. A gateway's HELLOs are routed before they reach a session.
    pub(super) fn handle_long(&mut self, path: PathId, datagram: &mut [u8]) {
        #[cfg(feature = "seal")]
        if self.st.is_sealed_device() {
            return self.handle_sealed_answer(path, datagram);
        }
        #[cfg(feature = "plain")]
        self.handle_plain_answer(path, datagram);
        #[cfg(not(feature = "plain"))]
        self.drop_for(|dropped| &mut dropped.unexpected);
    }

    /// A long packet to a device that seals: its MAC is checked before anything else is done.
    #[cfg(feature = "seal")]
    fn handle_sealed_answer(&mut self, path: PathId, datagram: &mut [u8]) {
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
    #[cfg(feature = "seal")]
    fn on_sealed_reset(&mut self, datagram: &[u8]) {
        let Some(tag) = gate::parse_reset(datagram, self.st.reset_key.expose()) else {
            return self.drop_for(|dropped| &mut dropped.unauthentic);
        };
        self.on_reset(tag);
    }

    /// The gateway saw a counter that we lost: goes on above it, once the boot epoch is stored.
    #[cfg(feature = "seal")]
    fn on_counter_low(&mut self, lowest: u64) {
        self.st.hello.raise_counter(lowest);
        let now = self.st.now;
        self.st.hello.begin_another(now);
    }

    /// The gateway is under load: shows it the cookie, at once when it is another.
    #[cfg(feature = "seal")]
    fn on_cookie(&mut self, cookie: [u8; 16]) {
        let now = self.st.now;
        if let Attempt::Sealed(attempt) = &mut self.st.hello.attempt
            && attempt.cookie.replace(cookie) != Some(cookie)
        {
            self.st.hello.hurry(now);
        }
    }

    /// A RESET that quotes one of our last packets: the gateway does not know the session. In the plain mode it may
    /// be forged, so the session stays until a new one is accepted.
    pub(super) fn on_reset(&mut self, cause_tag: [u8; 4]) {
        // Packet numbers begin at 0: places that this session has not used hold nothing of it.
        let used = usize::try_from(self.st.recovery.next_pn.value()).unwrap_or(usize::MAX);
        let quoted = self.st.trailers.iter().take(used).any(|trailer| *trailer == cause_tag);
        let ours = self.st.phase == Phase::Established && quoted;
        if self.st.outgoing != Direction::ToGateway || !ours {
            return self.drop_for(|dropped| &mut dropped.unexpected);
        }
        if !self.st.hello.is_open() {
            self.st.pending.peer_restarted = true;
            self.st.begin_hello();
        }
    }

    /// REFUSE: the gateway will not have us.
    pub(super) fn on_refuse(&mut self, code: RefuseCode) {
        match code {
            RefuseCode::Refused => self.st.give_up(CloseReason::Refused),
            RefuseCode::Version => self.st.give_up(CloseReason::Version),
            // Busy: the next try is due by backoff anyway.
            RefuseCode::Busy => {}
        }
    }
}
