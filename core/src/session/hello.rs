//! A device opens a session: attempts, HELLO and its retries.
//!
//! An attempt has one HELLO. It is sent again byte for byte until it is answered, so that the gateway can send
//! the one ACCEPT that it has for it again: what it says of the streams is held from the first time on.

use super::state::{Engine, Phase, State};
use crate::channel::outbox::Outbox;
use crate::channel::streams::SendStream;
use crate::recovery::pto;
use crate::seq::Position;
use crate::wire::OfferedStream;
use crate::{Delivery, Duration, Instant};

#[cfg(feature = "seal")]
use super::sealed_hello::{Refusal, SealedAttempt};
#[cfg(feature = "seal")]
use crate::{CloseReason, Event};

/// Probes without an answer after which the gateway may have forgotten the session: many minutes, with the default
/// backoff. A RESET tells sooner, but its rate is limited, and a flood can use that up.
const SILENT_PROBES: u8 = 16;

/// How often a HELLO goes out ahead of its time before it must wait for it: after COUNTER_LOW, COOKIE, and one more.
const HURRIED_MAX: u8 = 3;

/// One attempt to open a session.
#[cfg_attr(feature = "seal", expect(clippy::large_enum_variant, reason = "there is no heap"))]
#[derive(Debug)]
pub(super) enum Attempt {
    /// None is being made.
    None,
    /// One is to be made.
    Due,
    #[cfg(feature = "plain")]
    Plain { nonce: u64 },
    #[cfg(feature = "seal")]
    Sealed(SealedAttempt),
}

/// The device's attempts to open a session.
#[derive(Debug)]
pub(super) struct HelloState {
    pub(super) attempt: Attempt,
    /// When to send the HELLO, again.
    at: Instant,
    tries: u8,
    /// It is sent ahead of its time.
    early: bool,
    /// How often that was since its time last came.
    hurried: u8,
    /// When it was sent, unless more than once: then nobody knows which of them was answered.
    sent: Option<Instant>,
    /// The attempt is made because the peer has been silent for long; its next word ends it.
    for_silence: bool,
    /// The counter of the next attempt: boot epoch, then attempts.
    #[cfg(feature = "seal")]
    pub(super) counter: u64,
    /// A boot epoch that the application has not stored yet, and whether it was told. Nothing is sent before.
    #[cfg(feature = "seal")]
    pub(super) raised: Option<bool>,
    /// The second of the gateway's keys is to be tried.
    #[cfg(feature = "nk")]
    pub(super) second: bool,
}

impl HelloState {
    pub(super) const fn new(boot_epoch: u32) -> Self {
        let _ = boot_epoch;
        Self {
            attempt: Attempt::None,
            at: Instant::ZERO,
            tries: 0,
            early: false,
            hurried: 0,
            sent: None,
            for_silence: false,
            #[cfg(feature = "seal")]
            counter: (boot_epoch as u64) << 32,
            #[cfg(feature = "seal")]
            raised: None,
            #[cfg(feature = "nk")]
            second: false,
        }
    }

    /// Whether a session is being opened.
    pub(super) const fn is_open(&self) -> bool {
        !matches!(self.attempt, Attempt::None)
    }

    /// Names the HELLO that waits for an answer.
    #[cfg(feature = "plain")]
    pub(super) fn id(&self) -> Option<u64> {
        match &self.attempt {
            Attempt::None | Attempt::Due => None,
            #[cfg(feature = "plain")]
            Attempt::Plain { nonce } => Some(*nonce),
            #[cfg(feature = "seal")]
            Attempt::Sealed(attempt) => attempt.id(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        #[cfg(feature = "seal")]
        if self.raised.is_some() {
            return None;
        }
        self.is_open().then_some(self.at)
    }

    /// No attempt any more. When the HELLO that was answered was sent, if that is known.
    #[inline(never)]
    pub(super) fn end(&mut self) -> Option<Instant> {
        self.attempt = Attempt::None;
        (self.tries, self.for_silence) = (0, false);
        self.sent.take()
    }

    /// Another attempt, now, in the place of the one that is being made.
    #[inline(never)]
    pub(super) fn restart(&mut self, now: Instant) {
        (self.attempt, self.at, self.sent) = (Attempt::Due, now, None);
    }

    /// Another attempt, because of what the gateway answered.
    pub(super) fn begin_another(&mut self, now: Instant) {
        (self.attempt, self.sent) = (Attempt::Due, None);
        self.hurry(now);
    }

    /// Sends now, unless that was so too often: no gateway's answers, nor whoever repeats them, may keep this end
    /// sending.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.hurried < HURRIED_MAX {
            (self.at, self.early) = (now, true);
            self.hurried += 1;
        }
    }
}

impl State {
    /// Opens a session, beside the one that is there, if any.
    #[inline(never)]
    pub(super) fn begin_hello(&mut self) {
        if !self.hello.is_open() {
            self.hello.tries = 0;
            self.hello.restart(self.now);
        }
    }

    /// The gateway has not answered for long. Perhaps it was started anew, and has too many others to tell: asks for a
    /// session beside this one. Nothing is lost by it: what the old session says first ends the attempt.
    pub(super) fn doubt_gateway(&mut self) {
        if self.identity.is_some() && !self.hello.is_open() && self.recovery.pto_count >= SILENT_PROBES {
            self.begin_hello();
            self.hello.for_silence = true;
        }
    }

    /// The old session lives.
    pub(super) fn trust_gateway(&mut self) {
        if self.hello.for_silence {
            self.hello.end();
        }
    }

    /// The gateway went away and said so: opens anew after a moment, so that a fleet does not
    /// return in one instant.
    pub(super) fn reopen_later(&mut self) {
        self.phase = Phase::Opening;
        self.pending.peer_restarted = true;
        self.begin_hello();
        let moment = self.config.initial_rtt.as_micros();
        let jitter = (moment >> 8).saturating_mul(self.draw() & 0xff);
        self.hello.at = self.now + Duration::from_micros(jitter);
    }

    /// Tries again now, as if for the first time.
    pub(super) fn hello_again(&mut self) {
        self.hello.at = self.now;
        self.hello.tries = self.hello.tries.min(1);
    }

    #[cfg(feature = "seal")]
    pub(super) fn boot_epoch_stored(&mut self) {
        // If it was raised again meanwhile, it is the former one that was stored: the application will be told.
        if self.hello.raised == Some(true) {
            self.hello.raised = None;
        }
    }

    #[cfg(feature = "seal")]
    pub(super) fn poll_boot_epoch(&mut self) -> Option<Event> {
        let told = self.hello.raised.as_mut()?;
        (!core::mem::replace(told, true)).then_some(Event::BootEpochRaised { epoch: (self.hello.counter >> 32) as u32 })
    }
}

/// What a stream says of itself in a HELLO, as it was when the attempt began.
pub(super) fn offer(stream: &SendStream) -> OfferedStream {
    OfferedStream {
        id: stream.id,
        delivery: stream.delivery,
        durable: stream.durable,
        schema: stream.schema,
        epoch: stream.epoch,
        base: stream.offered_base.expand(stream.next),
        next: stream.offered_next.expand(stream.next),
    }
}

impl Engine<'_> {
    /// HELLO, if its time has come.
    pub(super) fn transmit_hello(&mut self, buf: &mut [u8]) -> Option<usize> {
        if self.st.hello.deadline()? > self.st.now {
            return None;
        }
        #[cfg(feature = "nk")]
        self.change_gateway_key();
        if matches!(self.st.hello.attempt, Attempt::Due) {
            self.start_attempt()?;
        }
        let len = self.emit_attempt(buf);
        let random = self.st.draw() as u8;
        let period = pto::period(&crate::recovery::rtt::Rtt::new(self.st.config.initial_rtt), Duration::ZERO);
        let wait = pto::backoff(period, self.st.hello.tries, self.st.config.max_backoff, random);
        let first = self.st.hello.tries == 0 && self.st.hello.sent.is_none();
        self.st.hello.sent = first.then_some(self.st.now);
        if !core::mem::take(&mut self.st.hello.early) {
            self.st.hello.hurried = 0;
        }
        // Also when it finds no room: then it may later.
        self.st.hello.at = self.st.now + wait;
        self.st.hello.tries = self.st.hello.tries.saturating_add(1);
        len
    }

    /// After every fourth HELLO without an answer, a device that has two of the gateway's keys tries the other.
    #[cfg(feature = "nk")]
    fn change_gateway_key(&mut self) {
        let hello = &self.st.hello;
        let unanswered =
            hello.tries > 0 && hello.tries.is_multiple_of(4) && matches!(hello.attempt, Attempt::Sealed(_));
        let other = self.st.credentials().is_some_and(crate::Credentials::has_second);
        if unanswered && other {
            self.st.hello.second = !self.st.hello.second;
            self.st.hello.restart(self.st.now);
        }
    }

    /// `None` when there can be none now.
    fn new_attempt(&mut self) -> Option<()> {
        #[cfg(feature = "seal")]
        match self.st.start_sealed() {
            Ok(true) => return Some(()),
            Ok(false) => {}
            Err(Refusal::NotStored) => return None,
            Err(Refusal::NoKey) => {
                self.st.give_up(CloseReason::Keys);
                return None;
            }
        }
        #[cfg(feature = "plain")]
        {
            self.st.hello.attempt = Attempt::Plain { nonce: self.st.draw() };
            Some(())
        }
        #[cfg(not(feature = "plain"))]
        None
    }

    /// Makes what the attempt needs, and holds what its HELLO says.
    fn start_attempt(&mut self) -> Option<()> {
        self.new_attempt()?;
        let mut outbox = self.outbox();
        for at in 0..outbox.streams.len() {
            let Some(stream) = outbox.streams.get(at).copied() else { break };
            let base = base(&mut outbox, &stream);
            if let Some(stream) = outbox.streams.get_mut(at) {
                (stream.offered_base, stream.offered_next) = (Position::of(base), Position::of(stream.next));
            }
        }
        Some(())
    }

    fn emit_attempt(&mut self, buf: &mut [u8]) -> Option<usize> {
        match self.st.hello.attempt {
            Attempt::None | Attempt::Due => None,
            #[cfg(feature = "plain")]
            Attempt::Plain { nonce } => self.emit_plain_hello(nonce, buf),
            #[cfg(feature = "seal")]
            Attempt::Sealed(_) => self.emit_sealed_hello(buf),
        }
    }
}

/// The oldest message of a stream that will be sent. Without a journal, what was sent is in doubt and not sent
/// again; but a latest value is said until it is known to have arrived.
fn base(outbox: &mut Outbox<'_>, stream: &SendStream) -> crate::SeqNo {
    if stream.durable || stream.delivery == Delivery::Latest {
        outbox.floor(stream)
    } else {
        outbox.seq(stream.unsent).unwrap_or(stream.next)
    }
}
