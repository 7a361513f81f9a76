//! Opening a session: HELLO and its retries at the device, ACCEPT at the gateway, RESET and REFUSE.

use super::state::{Engine, Phase, Recovery, State};
use crate::channel::assembly::AssemblyState;
use crate::channel::outbox::Takes;
use crate::channel::reorder::ReorderState;
use crate::channel::streams::ReceiveStream;
use crate::recovery::pto;
use crate::seal::{Direction, PlainKeys};
use crate::wire::{
    Accept, AcceptFields, AcceptedStream, HelloFields, OfferedStream, Refuse, RefuseCode, Reset, emit_accept,
    emit_hello,
};
use crate::{CloseReason, Delivery, Duration, Instant, SeqNo, StreamEpoch, StreamId};

/// Where a stream of a device begins in a new session: what the gateway's storage says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamAdmission {
    /// The stream.
    pub id: StreamId,
    /// Its epoch, allocated durably.
    pub epoch: StreamEpoch,
    /// Everything below is stored, or not waited for. At least the stream's base.
    pub next: SeqNo,
}

/// The gateway's answer to a HELLO.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// One for each stream of the HELLO.
    pub streams: &'a [StreamAdmission],
}

/// The device's attempts to open a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct HelloState {
    /// The nonce of the HELLO that waits for an answer.
    pub(super) nonce: Option<u64>,
    /// When to send it, again.
    at: Instant,
    tries: u8,
    /// When it was sent, unless more than once: then nobody knows which of them was answered.
    sent: Option<Instant>,
}

impl HelloState {
    pub(super) const fn idle() -> Self {
        Self { nonce: None, at: Instant::ZERO, tries: 0, sent: None }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.nonce.map(|_| self.at)
    }
}

impl State {
    /// Opens a session, beside the one that is there, if any.
    pub(super) fn begin_hello(&mut self) {
        if self.hello.nonce.is_none() {
            self.hello = HelloState { nonce: Some(self.draw()), at: self.now, ..HelloState::idle() };
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

    pub(super) fn repeat_accept(&mut self, path: crate::PathId) {
        self.accept_due = true;
        if self.phase == Phase::Opening {
            self.path = path;
        }
    }
}

impl Engine<'_> {
    /// HELLO, if its time has come.
    pub(super) fn transmit_hello(&mut self, buf: &mut [u8]) -> Option<usize> {
        let (nonce, identity) = (self.st.hello.nonce?, self.st.identity?);
        if self.st.hello.at > self.st.now {
            return None;
        }
        let fields = HelloFields {
            device: identity.device,
            nonce,
            boot_epoch: identity.boot_epoch,
            reply_cid: self.st.local_cid,
            limits: self.st.limits(),
        };
        let outbox = self.outbox();
        let offered = outbox.streams.iter().map(|stream| OfferedStream {
            id: stream.id,
            delivery: stream.delivery,
            durable: stream.durable,
            schema: stream.schema,
            epoch: stream.epoch,
            // Without a journal, what was sent is in doubt and not sent again; but a latest value is said
            // until it is known to have arrived.
            base: if stream.durable || stream.delivery == Delivery::Latest {
                outbox.floor(stream)
            } else {
                outbox.seq(stream.unsent).unwrap_or(stream.next)
            },
            next: stream.next,
        });
        let len = emit_hello(&fields, offered, buf).ok()?;
        let random = self.st.draw() as u8;
        let period = pto::period(&crate::recovery::rtt::Rtt::new(self.st.config.initial_rtt), Duration::ZERO);
        let wait = pto::backoff(period, self.st.hello.tries, self.st.config.max_backoff, random);
        let first = self.st.hello.tries == 0 && self.st.hello.sent.is_none();
        self.st.hello.sent = first.then_some(self.st.now);
        self.st.hello.at = self.st.now + wait;
        self.st.hello.tries = self.st.hello.tries.saturating_add(1);
        Some(len)
    }

    /// ACCEPT, first or repeated.
    pub(super) fn transmit_accept(&mut self, buf: &mut [u8]) -> Option<usize> {
        if !core::mem::take(&mut self.st.accept_due) || self.st.phase == Phase::Closed {
            return None;
        }
        let fields = AcceptFields {
            echo: self.st.keys.device,
            nonce: self.st.keys.gateway,
            cid: self.st.local_cid,
            limits: self.st.limits(),
        };
        let receive = self.mem.receive.get(..usize::from(self.st.receive_len)).unwrap_or(&[]);
        let accepted = receive.iter().map(|stream| AcceptedStream {
            id: stream.id,
            epoch: stream.epoch,
            next: if stream.durable { stream.committed } else { stream.next },
            credit: stream.credit,
        });
        let send = self.mem.send.get(..usize::from(self.st.send_len)).unwrap_or(&[]);
        let offered = send.iter().map(|stream| OfferedStream {
            id: stream.id,
            delivery: stream.delivery,
            durable: stream.durable,
            schema: stream.schema,
            epoch: stream.epoch,
            base: SeqNo::ZERO,
            next: stream.next,
        });
        emit_accept(&fields, accepted, offered, buf).ok()
    }

    /// ACCEPT arrived. Says whether it was for us and whole.
    pub(super) fn on_accept(&mut self, accept: &Accept<'_>) -> bool {
        if self.st.hello.nonce != Some(accept.echo()) {
            self.st.stats.rx_dropped.unexpected = self.st.stats.rx_dropped.unexpected.wrapping_add(1);
            return false;
        }
        if !self.accept_is_valid(accept) {
            self.st.stats.rx_dropped.malformed = self.st.stats.rx_dropped.malformed.wrapping_add(1);
            return false;
        }
        if self.reaches_back(accept) {
            // The old session lived on and let go of more since the HELLO: what this answer waits
            // for would never come. The next HELLO says what there is now.
            self.st.hello.nonce = Some(self.st.draw());
            self.st.stats.rx_dropped.unexpected = self.st.stats.rx_dropped.unexpected.wrapping_add(1);
            return false;
        }
        if self.st.keys != PlainKeys::default() {
            self.st.stats.reconnects = self.st.stats.reconnects.wrapping_add(1);
        }
        let sent = core::mem::replace(&mut self.st.hello, HelloState::idle()).sent;
        self.st.keys = PlainKeys { device: accept.echo(), gateway: accept.nonce() };
        self.st.remote_cid = accept.cid();
        self.st.peer = accept.limits();
        let in_doubt = u32::from(self.st.recovery.best_effort);
        self.st.outbox.ledger.in_doubt = self.st.outbox.ledger.in_doubt.wrapping_add(in_doubt);
        self.st.recovery = Recovery::new(&self.st.config, self.st.urgent);
        self.st.outbox.peer_slot = accept.limits().max_slot;
        if let Some(sent) = sent {
            self.st.note_handshake_time(sent);
        }
        self.st.patience.tries = 0;
        for accepted in accept.streams() {
            self.resume(accepted);
        }
        self.st.reorder = ReorderState::new(self.mem.slots, self.mem.index);
        self.st.assembly = AssemblyState::EMPTY;
        self.st.receive_len = 0;
        for (place, offered) in self.mem.receive.iter_mut().zip(accept.offered()) {
            let Some(epoch) = offered.epoch else { continue };
            *place = ReceiveStream {
                credit_due: offered.delivery.is_reliable(),
                ..ReceiveStream::begin(&offered, epoch, offered.base)
            };
            self.st.receive_len += 1;
        }
        self.st.phase = Phase::Established;
        self.st.pending.established = true;
        // The gateway sends nothing before it has heard us under this session.
        self.st.ping_due = true;
        true
    }

    fn accept_is_valid(&self, accept: &Accept<'_>) -> bool {
        let own = self.mem.send.get(..usize::from(self.st.send_len)).unwrap_or(&[]);
        let known = |accepted: AcceptedStream| {
            own.iter().any(|stream| stream.id == accepted.id && accepted.next <= stream.next)
        };
        accept.streams().count() == own.len()
            && accept.streams().all(known)
            && accept.offered().count() <= self.mem.receive.len()
    }

    /// Whether the gateway would go on at a message that was let go here.
    fn reaches_back(&mut self, accept: &Accept<'_>) -> bool {
        let outbox = self.outbox();
        accept.streams().any(|accepted| {
            let stream = outbox.streams.iter().find(|stream| stream.id == accepted.id);
            stream.is_some_and(|stream| stream.delivery.is_reliable() && accepted.next < outbox.floor(stream))
        })
    }

    /// A stream goes on where the gateway's storage ends.
    fn resume(&mut self, accepted: AcceptedStream) {
        let Some(at) = self.mem.send.iter().position(|stream| stream.id == accepted.id) else { return };
        let takes = Takes {
            message: usize::from(self.st.peer.max_message),
            whole: self.st.whole_len(false),
            whole_expiring: self.st.whole_len(true),
            fragment: if self.st.has_fragments() { self.st.fragment_len() } else { 0 },
        };
        self.outbox().restart(at as u8, accepted.next, &takes);
        let Some(stream) = self.mem.send.get_mut(at) else { return };
        if stream.epoch != Some(accepted.epoch) {
            stream.epoch = Some(accepted.epoch);
            stream.opened = true;
        }
        // Best effort and latest know no credit, whatever the peer wrote.
        let unlimited = !stream.delivery.is_reliable();
        stream.credit = if unlimited { SeqNo::new(u64::MAX) } else { accepted.credit };
        self.note_room();
    }

    /// A RESET that quotes one of our last packets: the gateway does not know the session. It may
    /// be forged, so the session stays until a new one is accepted.
    pub(super) fn on_reset(&mut self, reset: &Reset) {
        // Packet numbers begin at 0: places that this session has not used hold nothing of it.
        let used = usize::try_from(self.st.recovery.next_pn.value()).unwrap_or(usize::MAX);
        let quoted = self.st.trailers.iter().take(used).any(|trailer| *trailer == reset.cause_tag);
        let ours = self.st.phase == Phase::Established && quoted;
        if self.st.outgoing != Direction::ToGateway || !ours {
            self.st.stats.rx_dropped.unexpected = self.st.stats.rx_dropped.unexpected.wrapping_add(1);
            return;
        }
        if self.st.hello.nonce.is_none() {
            self.st.pending.peer_restarted = true;
            self.st.begin_hello();
        }
    }

    /// REFUSE: the gateway will not have us.
    pub(super) fn on_refuse(&mut self, refuse: &Refuse) {
        if self.st.hello.nonce != Some(refuse.echo) {
            self.st.stats.rx_dropped.unexpected = self.st.stats.rx_dropped.unexpected.wrapping_add(1);
            return;
        }
        let reason = match refuse.code {
            RefuseCode::Refused => CloseReason::Refused,
            RefuseCode::Version => CloseReason::Version,
            // Busy: the next try is due by backoff anyway.
            RefuseCode::Busy => return,
        };
        self.st.hello = HelloState::idle();
        self.st.phase = Phase::Closed;
        self.st.pending.closed = Some(reason);
    }
}
