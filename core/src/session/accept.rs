//! Taking a session: ACCEPT at the gateway, and what the device makes of it.

use super::hello::offer;
use super::state::{Engine, Phase, Recovery, State, TRANSMIT_ACCEPT};
use crate::channel::assembly::AssemblyState;
use crate::channel::outbox::Takes;
use crate::channel::reorder::ReorderState;
use crate::channel::streams::ReceiveStream;
use crate::seal::Keys;
use crate::wire::{Accept, AcceptFields, AcceptedStream};
use crate::{CloseReason, SeqNo, StreamEpoch, StreamId};

#[cfg(feature = "seal")]
use super::sealed_accept::Accepting;

/// An answer to an address that is not proved is at most so many times as long as what it answers (RFC 9000
/// section 8.1).
pub(super) const AMPLIFICATION: usize = 3;

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

/// What a gateway answers a HELLO with, until it hears that it arrived.
#[cfg_attr(feature = "seal", expect(clippy::large_enum_variant, reason = "there is no heap"))]
#[derive(Debug)]
pub(super) enum Answering {
    /// Nothing: a device, or a session that is established.
    None,
    /// An ACCEPT that echoes the HELLO's name.
    #[cfg(feature = "plain")]
    Plain,
    #[cfg(feature = "seal")]
    Sealed(Accepting),
}

impl State {
    pub(super) fn repeat_accept(&mut self, path: crate::PathId) {
        self.accept_due = Some(TRANSMIT_ACCEPT);
        if self.phase == Phase::Opening {
            self.paths.on_hello(path);
        }
    }
}

impl Engine<'_> {
    /// ACCEPT, first or repeated.
    pub(super) fn transmit_accept(&mut self, buf: &mut [u8]) -> Option<usize> {
        if self.st.phase == Phase::Closed {
            return None;
        }
        let nonce = match &self.st.keys {
            #[cfg(feature = "plain")]
            Keys::Plain(keys) => keys.gateway,
            _ => 0,
        };
        let fields = AcceptFields { echo: self.st.id, nonce, cid: self.st.local_cid, limits: self.st.limits() };
        let receive = self.mem.receive.get(..usize::from(self.st.receive_len)).unwrap_or(&[]);
        let accepted = receive.iter().map(|stream| AcceptedStream {
            id: stream.id,
            epoch: stream.epoch,
            next: if stream.durable { stream.committed } else { stream.next },
            credit: stream.credit,
        });
        let send = self.mem.send.get(..usize::from(self.st.send_len)).unwrap_or(&[]);
        let offered = send.iter().map(offer);
        let longest = usize::from(self.st.config.max_datagram.min(self.st.peer.max_datagram));
        let longest = longest.min(AMPLIFICATION * usize::from(self.st.hello_len));
        let is_whole = buf.len() >= longest;
        let buf = if is_whole { buf.get_mut(..longest)? } else { buf };
        let len: Option<usize> = match &mut self.st.answering {
            // The device has its answer.
            Answering::None => return None,
            #[cfg(feature = "plain")]
            Answering::Plain => crate::wire::emit_accept(&fields, accepted, offered, buf).ok(),
            #[cfg(feature = "seal")]
            Answering::Sealed(accepting) => accepting.emit(&fields, accepted, offered, buf),
        };
        if len.is_none() && is_whole {
            // Longer than the device takes, or than an address that is not proved may get.
            self.st.give_up(CloseReason::AcceptTooLong);
        }
        len
    }

    /// An ACCEPT of the gateway to our HELLO. Says whether it was whole.
    pub(super) fn on_accept(&mut self, accept: &Accept<'_>, keys: Keys) -> bool {
        if !self.accept_is_valid(accept) {
            self.st.stats.rx_dropped.malformed = self.st.stats.rx_dropped.malformed.wrapping_add(1);
            return false;
        }
        if self.reaches_back(accept) {
            // The old session lived on and let go of more since the HELLO: what this answer waits
            // for would never come. The next HELLO says what there is now.
            self.st.hello.begin_another(self.st.now);
            self.st.stats.rx_dropped.unexpected = self.st.stats.rx_dropped.unexpected.wrapping_add(1);
            return false;
        }
        if !matches!(self.st.keys, Keys::None) {
            self.st.stats.reconnects = self.st.stats.reconnects.wrapping_add(1);
        }
        let sent = self.st.hello.end();
        self.st.keys = keys;
        self.st.id = accept.echo();
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
}
