//! A datagram goes out: handshake first, then acknowledgements, control, and messages as they fit.

use super::state::{Engine, Phase};
use crate::channel::outbox::{Carried, EntryState, Next, OutMessage, Sent};
use crate::journal::NONE;
use crate::recovery::redundancy;
use crate::recovery::sent_packets::{Control, SentPacket};
use crate::wire::{
    DATA_FRAMES_MAX, DataHead, Fragment, Writer, drop_last_length, emit_ack, emit_close, emit_commit, emit_credit,
    emit_forward, emit_forwarded, emit_ping,
};
use crate::{PacketNumber, PathId, Priority, StreamId};

/// The PADDING frame.
const PADDING: u8 = 0;

/// A datagram in the buffer given to `poll_transmit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Its length in bytes, from the front of the buffer.
    pub len: usize,
    /// Where to send it.
    pub path: PathId,
}

/// The packet being built.
#[derive(Default)]
pub(super) struct Built {
    acknowledged: Option<PacketNumber>,
    pub(super) control: Control,
    /// References to messages whose fate matters.
    messages: u8,
    /// Best-effort messages.
    best_effort: u8,
    /// DATA frames.
    frames: u8,
    /// Stream and number of the last of them.
    previous: Option<(StreamId, u16)>,
    /// DATA is the last frame: where it begins, and its payload's length.
    last_data: Option<(usize, u16)>,
    pub(super) eliciting: bool,
}

impl Engine<'_> {
    pub(super) fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        #[cfg(feature = "seal")]
        self.st.keys.update(false, self.st.recovery.largest_acked);
        let path = self.st.paths.current();
        let sent = match self.transmit_hello(buf).or_else(|| self.st.accept_due.take()?(self, buf)) {
            Some(len) => Some((len, path)),
            None => self.transmit_path(buf),
        };
        let (len, path) = match sent {
            Some(sent) => sent,
            None => (self.transmit_short(buf)?, path),
        };
        let stats = &mut self.st.stats;
        stats.tx_datagrams = stats.tx_datagrams.wrapping_add(1);
        stats.tx_bytes = stats.tx_bytes.wrapping_add(len as u64);
        Some(Transmit { len, path })
    }

    /// Whether the time has come to ask for messages: beside an acknowledgement, so not before there is one.
    fn asks(&mut self) -> bool {
        let now = self.st.now;
        self.st.recovery.received.largest_accepted().is_some() && self.reorder().asks(now)
    }

    /// Whether control frames wait to be sent.
    fn has_control(&mut self) -> bool {
        let streams = self.receive_streams();
        let answers = streams.iter().any(|stream| stream.commit_due || stream.credit_due || stream.answers_forward());
        #[cfg(feature = "nk")]
        let answers = answers || self.st.has_key_to_say();
        answers || (0..self.st.send_len).any(|at| self.outbox().forward_point(at).is_some())
    }

    fn transmit_short(&mut self, buf: &mut [u8]) -> Option<usize> {
        if !self.st.paths.has_budget() {
            // A goodbye to somebody who may not be there is not waited for.
            self.st.close_due = None;
            return None;
        }
        let closing = self.st.close_due.take();
        if closing.is_none() && self.st.phase != Phase::Established {
            return None;
        }
        let now = self.st.now;
        if self.outbox().expire(now) {
            self.note_room();
        }
        let limit = buf.len().min(usize::from(self.st.config.max_datagram.min(self.st.peer.max_datagram)));
        let limit = limit.min(self.st.paths.budget());
        // A HELLO on its way has said which messages there are: no more of them on the old session, or
        // the gateway's storage would know more than the HELLO does.
        let next = self.outbox().next_to_send();
        let ready = !self.st.hello.is_open() && (self.st.recovery.probe_stream.is_some() || next.is_some());
        let urgent = next.is_some_and(|next| next.priority > Priority::Normal);
        let usual = self.may_send(ready, limit.min(self.st.usual_datagram()));
        // What is urgent waits for neither pace nor window, as far as one datagram goes, and takes nothing along.
        let least = if usual || !ready || !urgent { Priority::Background } else { Priority::High };
        let data = usual || (least > Priority::Normal && self.may_hurry(limit));
        let control = self.has_control();
        let eliciting = data || control || self.st.ping_due || self.st.recovery.probe_due;
        let eliciting = closing.is_none() && eliciting && self.reserve_packet();
        let asks = self.asks();
        let ack = asks || self.st.recovery.ack.deadline().is_some_and(|time| time <= self.st.now);
        if !eliciting && !ack && closing.is_none() {
            self.note_patience();
            return None;
        }

        let pn = self.st.recovery.next_pn;
        let trailer = self.st.keys.trailer_len();
        let mut w = Writer::new(buf.get_mut(..limit.checked_sub(trailer)?)?);
        self.st.short_header(pn).emit(&mut w).ok()?;
        let header_len = w.len();
        let mut built = Built::default();
        self.put_ack(&mut w, &mut built);
        if let Some(reason) = closing {
            // The last commits go with it: nothing is sent after.
            self.put_control(&mut w, &mut built);
            emit_close(reason, &mut w).ok()?;
        } else if eliciting {
            self.put_control(&mut w, &mut built);
            #[cfg(feature = "nk")]
            self.put_gateway_key(&mut w, &mut built);
            self.put_forwards(&mut w, &mut built);
            if data {
                self.put_messages(least, &mut w, &mut built);
            }
            // A message that did not fit beside the acknowledgement goes into the next packet.
            let asked = self.st.ping_due || self.st.recovery.probe_due;
            if !built.eliciting && asked && emit_ping(&mut w).is_ok() {
                built.eliciting = true;
                built.control.ping = self.st.ping_due;
            }
            // A gateway that lost us answers only what is longer than its RESET. Messages saw to it themselves.
            let short = built.eliciting && built.frames == 0 && self.st.identity.is_some();
            while short && w.len() + trailer <= self.st.keys.reset_len() && w.u8(PADDING).is_ok() {}
            self.st.ping_due = false;
            self.st.recovery.probe_due = false;
        }
        if !built.eliciting && built.acknowledged.is_none() && closing.is_none() {
            // A packet holds a frame at least.
            self.note_patience();
            return None;
        }
        if let Some((at, len)) = built.last_data {
            drop_last_length(&mut w, at, len);
        }
        let len = w.len() + trailer;
        self.finish_packet(pn, header_len, buf.get_mut(..len)?)?;
        self.st.paths.on_sent(self.st.paths.current(), len);
        self.note_sent(pn, len, &built);
        Some(len)
    }

    fn put_ack(&mut self, w: &mut Writer<'_>, built: &mut Built) {
        // A probe says again what the peer may not have heard: its last packets can be waiting for this.
        let probing = self.st.ping_due || self.st.recovery.probe_due;
        let now = self.st.now;
        let asks = self.asks();
        let recovery = &mut self.st.recovery;
        let largest = recovery.received.largest_accepted();
        let repeated = asks || (probing && largest > recovery.ack.known_to_peer);
        if !recovery.ack.is_pending() && !repeated {
            return;
        }
        let Some(largest) = largest else { return };
        let reach = largest.value().saturating_sub(recovery.ack.settled(largest)).min(255);
        let received = recovery.received;
        let delay = recovery.ack.delay(self.st.now);
        let is_received = |below: u64| largest.value().checked_sub(below).is_some_and(|pn| received.is_accepted(pn));
        if emit_ack(largest, delay, is_received, reach, w).is_ok() {
            built.acknowledged = Some(largest);
            recovery.ack.on_sent(largest);
            if asks {
                self.st.stats.tx_naks = self.st.stats.tx_naks.wrapping_add(1);
                self.reorder().put_requests(now, w);
            }
        }
    }

    fn put_control(&mut self, w: &mut Writer<'_>, built: &mut Built) {
        let (receive_window, reorder_window) = (self.st.config.receive_window, self.reorder_window());
        for stream in self.receive_streams() {
            if stream.commit_due && emit_commit(stream.id, stream.committed, w).is_ok() {
                stream.commit_due = false;
                built.control.commit = true;
            }
            if stream.credit_due {
                let credit = stream.credit_now(receive_window, reorder_window);
                if emit_credit(stream.id, credit, w).is_ok() {
                    stream.credit = credit;
                    stream.credit_due = false;
                    built.control.credit = true;
                }
            }
        }
        built.eliciting |= built.control.commit || built.control.credit;
    }

    /// FORWARD and its answer.
    fn put_forwards(&mut self, w: &mut Writer<'_>, built: &mut Built) {
        for at in 0..self.st.send_len {
            let mut outbox = self.outbox();
            if let Some(point) = outbox.forward_point(at)
                && let Some(id) = outbox.stream(at).map(|stream| stream.id)
                && emit_forward(id, point, w).is_ok()
            {
                outbox.on_forward_sent(at, point);
                built.control.forward = true;
            }
        }
        for stream in self.receive_streams() {
            if stream.answers_forward() && emit_forwarded(stream.id, stream.next, u64::from(stream.lacked), w).is_ok() {
                stream.forwarded_due = false;
                built.control.forwarded = true;
            }
        }
        built.eliciting |= built.control.forward || built.control.forwarded;
    }

    /// Messages, as they fit, of priority `least` and above.
    fn put_messages(&mut self, least: Priority, w: &mut Writer<'_>, built: &mut Built) {
        if let Some(stream) = self.st.recovery.probe_stream.take() {
            let mut slot = NONE;
            while let Some(missing) = self.outbox().next_missing(stream, slot) {
                if !self.put_message(missing, w, built) {
                    return;
                }
                slot = missing;
            }
            return;
        }
        // Streams whose earlier messages this packet repeats already.
        let mut repeated = 0u16;
        while let Some(Next { priority, slot }) = self.outbox().next_to_send() {
            if priority < least {
                return;
            }
            let Some(message) = self.outbox().message(slot).copied() else { return };
            let fresh = message.state == EntryState::Unsent && repeated & (1 << message.stream) == 0;
            if fresh {
                repeated |= 1 << message.stream;
                self.put_repeats(slot, &message, w, built);
            }
            // Others wait behind a datagram that is on its way.
            let long = w.len() + usize::from(message.len) > self.st.usual_datagram();
            if built.frames > 0 && long {
                return;
            }
            let frames = built.frames;
            let more = self.put_message(slot, w, built);
            if fresh && built.frames > frames {
                // One that found no room has its turn in the next packet.
                self.st.outbox.turn = message.stream;
            }
            if !more {
                return;
            }
        }
        self.put_second_copies(w, built);
    }

    /// Where much is lost, what the packet before this one sent again goes into what is left of this one too.
    fn put_second_copies(&mut self, w: &mut Writer<'_>, built: &mut Built) {
        let recovery = &self.st.recovery;
        // Not at the cost of messages that wait at the application.
        if self.st.was_full || !redundancy::sends_twice(&recovery.loss_rate) {
            return;
        }
        let sent = self.sent();
        let last = sent.len().checked_sub(1).and_then(|at| sent.get(at)).copied();
        let Some(last) = last.filter(|packet| packet.control().again) else { return };
        for j in 0..last.carried_len {
            let carried = self.sent().carried(&last, j);
            let Some(slot) = carried.and_then(|carried| self.outbox().in_flight(carried)) else { continue };
            if !self.put_message(slot, w, built) {
                return;
            }
        }
    }

    /// The messages before a new one that are not acknowledged, as far as the channel asks for it and
    /// they fit beside it. In order of their numbers, so that the receiver need not put them in order.
    fn put_repeats(&mut self, new: u16, message: &OutMessage, w: &mut Writer<'_>, built: &mut Built) {
        let Some(redundancy) = self.outbox().stream(message.stream).map(|stream| stream.redundancy) else { return };
        let count = redundancy::repeats(redundancy, &self.st.recovery.loss_rate, &self.st.recovery.rtt);
        // Inside the congestion budget: what the window holds back goes first.
        let limited = self.st.recovery.congestion.is_limited();
        if count == 0 || limited || !self.outbox().repeats(message.stream) {
            return;
        }
        // One place is for the new message.
        let places = self.sent().carried_room().saturating_sub(1);
        let usual = self.st.usual_datagram().saturating_sub(w.len()).min(w.remaining());
        let outbox = self.outbox();
        let first = outbox.repeat_from(new, count.min(u8::try_from(places).unwrap_or(u8::MAX)));
        // The longest run that ends in the new message and fits.
        let mut room = usual.saturating_sub(DataHead::LEN_MAX + usize::from(message.len));
        let (mut at, mut begin) = (new, new);
        while at != first {
            let Some((before, len)) = outbox.before(at) else { break };
            let Some(left) = room.checked_sub(DataHead::LEN_MAX + usize::from(len)) else { break };
            (room, at, begin) = (left, before, before);
        }
        let mut at = begin;
        while at != new {
            let next = self.outbox().following(at);
            if self.outbox().message(at).is_some_and(|message| message.state == EntryState::InFlight) {
                self.put_message(at, w, built);
            }
            at = next;
        }
    }

    /// One message at the end of the packet. Says whether another may follow.
    fn put_message(&mut self, slot: u16, w: &mut Writer<'_>, built: &mut Built) -> bool {
        let (now, pn) = (self.st.now, self.st.recovery.next_pn);
        let Some(message) = self.outbox().message(slot).copied() else { return false };
        let Some(stream) = self.mem.send.get(usize::from(message.stream)).map(|stream| stream.id) else { return false };
        if built.frames >= DATA_FRAMES_MAX || self.sent().carried_room() == 0 {
            return false;
        }
        let left = self.outbox().expires(&message).map(|time| time.saturating_since(now).as_millis());
        let fragment = Fragment { index: message.fragment, count: message.fragments };
        let head = DataHead {
            lifetime_ms: left.map(|left| left.min(u64::from(u32::MAX)) as u32),
            fragment: (message.fragments > 0).then_some(fragment),
            ..DataHead::new(stream, message.at.truncate())
        };
        let follows = head.follows(built.previous);
        // As with PING: long enough to be answered by a RESET.
        let bytes = head.len(follows, None) + usize::from(message.len) + self.st.keys.trailer_len();
        while w.len() + bytes <= self.st.keys.reset_len() && w.u8(PADDING).is_ok() {}
        let at = w.len();
        // With its length, as if another frame came after it; without, when only that fits.
        let length = Some(message.len).filter(|len| head.len(follows, Some(*len)) + usize::from(*len) <= w.remaining());
        if head.len(follows, length) + usize::from(message.len) > w.remaining()
            || head.emit(follows, length, w).is_err()
        {
            return false;
        }
        let Ok(place) = w.reserve(usize::from(message.len)) else { return false };
        let mut outbox = self.outbox();
        outbox.read(slot, place);
        let sent = outbox.on_sent(slot, pn);
        self.note_message(&sent, message.state);
        if sent.best_effort {
            built.best_effort += 1;
        } else {
            self.sent().push_carried(Carried { slot, generation: sent.generation });
            built.messages += 1;
        }
        built.control.again |= message.state == EntryState::Due;
        built.frames += 1;
        built.eliciting = true;
        built.previous = Some((stream, message.at.truncate()));
        built.last_data = length.map(|len| (at, len));
        length.is_some()
    }

    fn note_message(&mut self, sent: &Sent, before: EntryState) {
        let stats = &mut self.st.stats;
        let count = match (sent.again, before) {
            (false, _) => &mut stats.tx_messages,
            (true, EntryState::InFlight) if self.st.recovery.pto_count == 0 => &mut stats.tx_repeated,
            (true, _) => &mut stats.tx_retransmitted,
        };
        *count = count.wrapping_add(1);
    }

    /// Seals a packet that has room for its trailer. Its number is used up.
    pub(super) fn finish_packet(&mut self, pn: PacketNumber, header_len: usize, packet: &mut [u8]) -> Option<usize> {
        if !self.st.keys.seal(self.st.outgoing, pn, header_len, packet) {
            return None;
        }
        self.st.recovery.next_pn = pn.next();
        let places = self.st.trailers.len() as u64;
        if let Some(place) = self.st.trailers.get_mut((pn.value() % places) as usize) {
            *place = *packet.last_chunk()?;
        }
        Some(packet.len())
    }

    fn note_sent(&mut self, pn: PacketNumber, bytes: usize, built: &Built) {
        let now = self.st.now;
        if !built.eliciting || self.st.phase == Phase::Closed {
            return;
        }
        let recovery = &mut self.st.recovery;
        if built.frames > 0 {
            recovery.pacer.on_sent(now, bytes as u16, recovery.in_flight == 0, self.st.config.max_datagram);
        }
        recovery.congestion.on_sent(now, pn, bytes as u16);
        recovery.in_flight = recovery.in_flight.saturating_add(1);
        recovery.last_eliciting = now;
        recovery.best_effort = recovery.best_effort.saturating_add(u16::from(built.best_effort));
        let mut packet = SentPacket::new(pn, now, bytes as u16, built.messages, built.acknowledged, built.control);
        packet.best_effort = built.best_effort;
        self.sent().push(packet);
    }

    /// Whether the peer owes something although nothing is in flight.
    fn note_patience(&mut self) {
        let waiting = self.st.outbox.arrived > 0 || self.outbox().is_blocked() || self.outbox().has_gaps();
        if waiting && !self.st.patience.waiting {
            self.st.patience.since = self.st.now;
            self.st.patience.tries = 0;
        }
        self.st.patience.waiting = waiting;
    }
}
