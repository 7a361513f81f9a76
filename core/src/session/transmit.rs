//! A datagram goes out: handshake first, then acknowledgements, control, and messages as they fit.

use super::state::{Engine, Phase};
use crate::recovery::sent_packets::{Control, SentPacket};
use crate::seal::TRAILER;
use crate::wire::{
    DATA_FRAMES_MAX, DataHead, RESET_LEN, ShortHeader, Writer, drop_last_length, emit_ack, emit_close, emit_commit,
    emit_credit, emit_ping,
};
use crate::{PacketNumber, PathId};

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
struct Built {
    acknowledged: Option<PacketNumber>,
    control: Control,
    /// References to messages whose fate matters.
    messages: u8,
    /// DATA frames.
    frames: u8,
    /// DATA is the last frame: where it begins, and its payload's length.
    last_data: Option<(usize, u16)>,
    eliciting: bool,
}

impl Engine<'_> {
    pub(super) fn poll_transmit(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let len = match self.transmit_hello(buf) {
            Some(len) => Some(len),
            None => self.transmit_accept(buf),
        };
        let len = match len {
            Some(len) => len,
            None => self.transmit_short(buf)?,
        };
        let stats = &mut self.st.stats;
        stats.tx_datagrams = stats.tx_datagrams.wrapping_add(1);
        stats.tx_bytes = stats.tx_bytes.wrapping_add(len as u64);
        Some(Transmit { len, path: self.st.path })
    }

    fn transmit_short(&mut self, buf: &mut [u8]) -> Option<usize> {
        let closing = self.st.close_due.take();
        if closing.is_none() && self.st.phase != Phase::Established {
            return None;
        }
        let limit = buf.len().min(usize::from(self.st.config.max_datagram.min(self.st.peer.max_datagram)));
        let room = self.st.recovery.congestion.room() as usize >= limit || self.st.recovery.probe_due;
        // A HELLO on its way has said which messages there are: no more of them on the old session, or
        // the gateway's storage would know more than the HELLO does.
        let data = room && self.st.hello.nonce.is_none() && self.outbox().next_to_send().is_some();
        let streams = self.receive_streams();
        let control = streams.iter().any(|stream| stream.commit_due || stream.credit_due);
        let eliciting = data || control || self.st.ping_due || self.st.recovery.probe_due;
        let eliciting = closing.is_none() && eliciting && self.reserve_packet();
        let ack = self.st.recovery.ack.deadline().is_some_and(|time| time <= self.st.now);
        if !eliciting && !ack && closing.is_none() {
            self.note_patience();
            return None;
        }

        let pn = self.st.recovery.next_pn;
        let mut w = Writer::new(buf.get_mut(..limit.checked_sub(TRAILER)?)?);
        ShortHeader::new(self.st.remote_cid, pn, self.st.recovery.largest_acked).emit(&mut w).ok()?;
        let mut built = Built::default();
        self.put_ack(&mut w, &mut built);
        if let Some(reason) = closing {
            // The last commits go with it: nothing is sent after.
            self.put_control(&mut w, &mut built);
            emit_close(reason, &mut w).ok()?;
        } else if eliciting {
            self.put_control(&mut w, &mut built);
            if data {
                self.put_messages(&mut w, &mut built);
            }
            // A message that did not fit beside the acknowledgement goes into the next packet.
            let asked = self.st.ping_due || self.st.recovery.probe_due;
            if !built.eliciting && asked && emit_ping(&mut w).is_ok() {
                built.eliciting = true;
                built.control.ping = self.st.ping_due;
            }
            // A gateway that lost us answers only what is longer than its RESET. Messages saw to it themselves.
            let short = built.eliciting && built.frames == 0 && self.st.identity.is_some();
            while short && w.len() + TRAILER <= RESET_LEN && w.u8(PADDING).is_ok() {}
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
        let trailer = self.st.keys.trailer(self.st.outgoing, pn, w.written());
        let len = w.len();
        buf.get_mut(len..len + TRAILER)?.copy_from_slice(&trailer);
        self.note_sent(pn, len + TRAILER, &built, trailer);
        Some(len + TRAILER)
    }

    fn put_ack(&mut self, w: &mut Writer<'_>, built: &mut Built) {
        // A probe says again what the peer may not have heard: its last packets can be waiting for this.
        let probing = self.st.ping_due || self.st.recovery.probe_due;
        let recovery = &mut self.st.recovery;
        let largest = recovery.received.largest_accepted();
        let repeated = probing && largest > recovery.ack.known_to_peer;
        if !recovery.ack.is_pending() && !repeated {
            return;
        }
        let Some(largest) = largest else { return };
        let known = recovery.ack.known_to_peer.map_or(0, PacketNumber::value);
        let reach = largest.value().saturating_sub(known).min(255);
        let received = recovery.received;
        let delay = recovery.ack.delay(self.st.now);
        let is_received = |below: u64| largest.value().checked_sub(below).is_some_and(|pn| received.is_accepted(pn));
        if emit_ack(largest, delay, is_received, reach, w).is_ok() {
            built.acknowledged = Some(largest);
            recovery.ack.on_sent();
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

    fn put_messages(&mut self, w: &mut Writer<'_>, built: &mut Built) {
        let mut previous = None;
        let frames_max = match core::mem::take(&mut self.st.recovery.probe_len) {
            0 => DATA_FRAMES_MAX,
            probe => probe.min(DATA_FRAMES_MAX),
        };
        while built.frames < frames_max && self.sent().carried_room() > 0 {
            let Some(slot) = self.outbox().next_to_send() else { return };
            let Some(message) = self.outbox().message(slot).copied() else { return };
            let Some(stream) = self.mem.send.get(usize::from(message.stream)).map(|stream| stream.id) else {
                return;
            };
            let head = DataHead::new(stream, message.seq.truncate());
            let follows = head.follows(previous);
            // As with PING: long enough to be answered by a RESET.
            let bytes = head.len(follows, None) + usize::from(message.len) + TRAILER;
            while w.len() + bytes <= RESET_LEN && w.u8(PADDING).is_ok() {}
            let at = w.len();
            // With its length, as if another frame came after it; without, when only that fits.
            let length =
                Some(message.len).filter(|len| head.len(follows, Some(*len)) + usize::from(*len) <= w.remaining());
            if head.len(follows, length) + usize::from(message.len) > w.remaining() {
                return;
            }
            if head.emit(follows, length, w).is_err() {
                return;
            }
            let Ok(place) = w.reserve(usize::from(message.len)) else { return };
            self.outbox().read(slot, place);
            let (again, carried) = self.outbox().on_sent(slot);
            let stats = &mut self.st.stats;
            let count = if again { &mut stats.tx_retransmitted } else { &mut stats.tx_messages };
            *count = count.wrapping_add(1);
            if let Some(carried) = carried {
                self.sent().push_carried(carried);
                built.messages += 1;
            }
            built.frames += 1;
            built.eliciting = true;
            previous = Some((stream, message.seq.truncate()));
            built.last_data = length.map(|len| (at, len));
            if length.is_none() {
                return;
            }
        }
    }

    fn note_sent(&mut self, pn: PacketNumber, bytes: usize, built: &Built, trailer: [u8; TRAILER]) {
        let now = self.st.now;
        self.st.recovery.next_pn = pn.next();
        let places = self.st.trailers.len() as u64;
        if let Some(place) = self.st.trailers.get_mut((pn.value() % places) as usize) {
            *place = trailer;
        }
        if !built.eliciting || self.st.phase == Phase::Closed {
            return;
        }
        let recovery = &mut self.st.recovery;
        recovery.congestion.on_sent(bytes as u16);
        recovery.in_flight = recovery.in_flight.saturating_add(1);
        recovery.last_eliciting = now;
        let packet = SentPacket::new(pn, now, bytes as u16, built.messages, built.acknowledged, built.control);
        self.sent().push(packet);
    }

    /// Whether the peer owes something although nothing is in flight.
    fn note_patience(&mut self) {
        let waiting = self.st.outbox.arrived > 0 || self.outbox().is_blocked();
        if waiting && !self.st.patience.waiting {
            self.st.patience.since = self.st.now;
            self.st.patience.tries = 0;
        }
        self.st.patience.waiting = waiting;
    }
}
