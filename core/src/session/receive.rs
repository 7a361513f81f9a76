//! A datagram comes in: checked, opened, its control frames obeyed; its messages are left to [`Received`].

use super::accept::Answering;
use super::received::{Arrival, Received};
use super::state::{Engine, Phase};
use crate::channel::outbox::FRAGMENTS_MAX;
use crate::channel::streams::ReceiveStream;
use crate::recovery::received::Seen;
use crate::wire::{Data, Frame, Frames, Nak, ShortHeader};
use crate::{CloseReason, DecodeError, Dropped, PacketNumber, PathId, SeqNo, StreamId};

/// What a packet holds, found by reading it once.
#[derive(Clone, Copy, Default)]
struct Contents {
    eliciting: bool,
    control: bool,
    data: bool,
}

impl<'a> Engine<'a> {
    pub(super) fn handle_datagram(mut self, path: PathId, datagram: &'a mut [u8]) -> Received<'a> {
        let stats = &mut self.st.stats;
        stats.rx_datagrams = stats.rx_datagrams.wrapping_add(1);
        stats.rx_bytes = stats.rx_bytes.wrapping_add(datagram.len() as u64);
        if datagram.len() > usize::from(self.st.config.max_datagram) {
            return self.refuse(|dropped| &mut dropped.oversized);
        }
        match datagram.first() {
            None => self.refuse(|dropped| &mut dropped.truncated),
            Some(first) if first & 0x80 != 0 => {
                self.handle_long(path, datagram);
                Received::waiting(self)
            }
            Some(_) => self.handle_short(path, datagram),
        }
    }

    pub(super) fn drop_for(&mut self, reason: fn(&mut Dropped) -> &mut u32) {
        let count = reason(&mut self.st.stats.rx_dropped);
        *count = count.wrapping_add(1);
    }

    fn refuse(mut self, reason: fn(&mut Dropped) -> &mut u32) -> Received<'a> {
        self.drop_for(reason);
        Received::waiting(self)
    }

    fn handle_short(mut self, path: PathId, datagram: &'a mut [u8]) -> Received<'a> {
        let (header, header_len) = match ShortHeader::parse(datagram) {
            Ok(parsed) => parsed,
            Err(DecodeError::Truncated) => return self.refuse(|dropped| &mut dropped.truncated),
            Err(_) => return self.refuse(|dropped| &mut dropped.malformed),
        };
        // A packet without a frame says nothing; every frame has a byte at least.
        let end = datagram.len().saturating_sub(self.st.keys.trailer_len());
        if end <= header_len {
            return self.refuse(|dropped| &mut dropped.truncated);
        }
        let opening_device = self.st.identity.is_some() && self.st.phase == Phase::Opening;
        if opening_device || self.st.phase == Phase::Closed {
            return self.refuse(|dropped| &mut dropped.unexpected);
        }
        let pn = header.packet_number(self.st.recovery.received.largest());
        let way = self.st.outgoing.reverse();
        if header.cid != self.st.local_cid || !self.st.keys.open(way, pn, header.key_phase, header_len, datagram) {
            #[cfg(feature = "seal")]
            self.check_keys();
            return self.refuse(|dropped| &mut dropped.unauthentic);
        }
        let datagram: &'a [u8] = datagram;
        let payload = datagram.get(header_len..end).unwrap_or(&[]);
        match self.st.recovery.received.check(pn) {
            Seen::New => {}
            Seen::Replayed => {
                // Only what was acknowledged once is acknowledged again; two ends that answered each
                // other's doubled acknowledgements would never stop.
                let ours = self.st.recovery.received.is_accepted(pn.value());
                if ours && self.survey(payload).is_some_and(|contents| contents.eliciting) {
                    self.st.recovery.ack.on_duplicate(self.st.now);
                }
                return self.refuse(|dropped| &mut dropped.replayed);
            }
            Seen::TooOld => return self.refuse(|dropped| &mut dropped.too_old),
        }
        let Some(contents) = self.survey(payload) else { return self.refuse(|dropped| &mut dropped.malformed) };
        let arrival = self.note_arrival(pn, path, datagram.len(), contents);
        if contents.control {
            let mut reported = None;
            let mut naks = 0;
            for frame in Frames::new(payload).flatten() {
                // One for each stream is what a peer has to say; each walks the outbox.
                naks += u8::from(matches!(frame, Frame::Nak(_)));
                if naks > self.st.send_len && matches!(frame, Frame::Nak(_)) {
                    continue;
                }
                self.handle_frame(frame, path, &mut reported);
            }
        }
        Received::packet(self, if contents.data { payload } else { &[] }, arrival)
    }

    /// Too many packets did not open: the session is over. A device opens another; the gateway forgets it, so that
    /// the device is told.
    #[cfg(feature = "seal")]
    fn check_keys(&mut self) {
        if !self.st.keys.is_exhausted() {
            return;
        }
        if self.st.identity.is_some() {
            self.st.begin_hello();
        } else {
            self.st.give_up(CloseReason::Keys);
        }
    }

    /// Reads every frame once; `None` when one of them is not what the protocol allows here.
    fn survey(&mut self, payload: &[u8]) -> Option<Contents> {
        let mut contents = Contents::default();
        for frame in Frames::new(payload) {
            let frame = frame.ok()?;
            contents.eliciting |= frame.is_ack_eliciting();
            match frame {
                Frame::Data(data) => {
                    self.check_data(&data)?;
                    contents.data = true;
                }
                Frame::Padding | Frame::Ping => {}
                #[cfg(feature = "nk")]
                Frame::GatewayKey { .. } if self.st.takes_gateway_key() => contents.control = true,
                Frame::GatewayKey { .. } => return None,
                Frame::Credit { stream, .. } => {
                    self.send_stream(stream)?;
                    contents.control = true;
                }
                Frame::Commit(commit) => {
                    self.send_stream(commit.stream)?;
                    contents.control = true;
                }
                Frame::Nak(nak) => {
                    self.send_stream(nak.stream)?;
                    contents.control = true;
                }
                Frame::Forward { stream, .. } => {
                    let receives = |known: &&ReceiveStream| known.id == stream && known.delivery.is_reliable();
                    self.receive_streams().iter().find(receives)?;
                    contents.control = true;
                }
                Frame::Forwarded { stream, .. } => {
                    self.send_stream(stream).filter(|known| known.delivery.is_reliable())?;
                    contents.control = true;
                }
                Frame::Ack(_) | Frame::Close { .. } | Frame::PathChallenge { .. } | Frame::PathResponse { .. } => {
                    contents.control = true;
                }
            }
        }
        Some(contents)
    }

    /// Whether a message is of a stream that we know, and says nothing of itself that we do not understand:
    /// neither part of a message must pass for a message, nor a payload of one schema for one of another.
    fn check_data(&mut self, data: &Data<'_>) -> Option<()> {
        let takes_fragments = !self.mem.assembly.is_empty();
        let stream = self.receive_streams().iter().find(|stream| stream.id == data.stream)?;
        let fragments = data.fragment.map_or(0, |fragment| usize::from(fragment.count));
        let fits = fragments == 0 || (takes_fragments && stream.delivery.is_reliable() && fragments <= FRAGMENTS_MAX);
        (fits && data.sampled.is_none() && data.schema.is_none()).then_some(())
    }

    /// The packet is authentic and new.
    fn note_arrival(&mut self, pn: PacketNumber, path: PathId, bytes: usize, contents: Contents) -> Arrival {
        let st = &mut *self.st;
        let before = st.recovery.received.largest();
        st.recovery.received.see(pn);
        st.recovery.reordering.on_arrival(st.now, pn, before);
        let in_order = before.map_or(PacketNumber::new(0), PacketNumber::next) == pn;
        st.note_path(path, before < Some(pn), bytes);
        st.note_sign_of_life(contents.eliciting);
        if st.phase == Phase::Opening {
            // The device has its answer; what it was made from is of no use any more.
            st.answering = Answering::None;
            st.phase = Phase::Established;
            st.pending.established = true;
        }
        Arrival { pn, in_order, eliciting: contents.eliciting }
    }

    /// `reported`: the largest packet that an ACK of this packet named.
    fn handle_frame(&mut self, frame: Frame<'_>, path: PathId, reported: &mut Option<PacketNumber>) {
        match frame {
            Frame::Ack(ack) => {
                // One that acknowledges what was never sent speaks for nothing.
                *reported = Some(ack.largest).filter(|largest| *largest < self.st.recovery.next_pn);
                self.on_ack(&ack);
            }
            Frame::Credit { stream, limit } => {
                if let Some(stream) = self.send_stream(stream)
                    && limit > stream.credit
                {
                    stream.credit = limit;
                    self.st.patience.tries = 0;
                }
            }
            Frame::Commit(commit) => self.on_commit(commit.stream, commit.next),
            Frame::Close { reason } => self.on_close(reason),
            #[cfg(feature = "nk")]
            Frame::GatewayKey { key } => self.st.on_gateway_key(key),
            #[cfg(not(feature = "nk"))]
            Frame::GatewayKey { .. } => {}
            Frame::PathChallenge { token } => self.st.on_path_challenge(path, token),
            Frame::PathResponse { token } => self.st.on_path_response(token),
            Frame::Nak(nak) => {
                if let Some(largest) = *reported {
                    self.on_nak(&nak, largest);
                }
            }
            Frame::Forward { stream, next } => self.on_forward(stream, next),
            Frame::Forwarded { stream, next, lacked } => {
                if let Some(at) = self.outbox().streams.iter().position(|known| known.id == stream) {
                    self.outbox().on_forwarded(at as u8, next, lacked);
                    self.note_room();
                }
            }
            Frame::Padding | Frame::Ping | Frame::Data(_) => {}
        }
    }

    fn send_stream(&mut self, id: StreamId) -> Option<&mut crate::channel::streams::SendStream> {
        self.outbox().streams.iter_mut().find(|stream| stream.id == id)
    }

    fn on_nak(&mut self, nak: &Nak<'_>, largest: PacketNumber) {
        self.st.stats.rx_naks = self.st.stats.rx_naks.wrapping_add(1);
        let mut outbox = self.outbox();
        let Some(at) = outbox.streams.iter().position(|known| known.id == nak.stream) else { return };
        for seq16 in nak.missing() {
            outbox.on_nak(at as u8, seq16, largest);
        }
    }

    /// What the sender gave up is skipped when the packet has been taken apart, and FORWARDED says so.
    fn on_forward(&mut self, id: StreamId, next: SeqNo) {
        let mut reorder = self.reorder();
        let Some(at) = reorder.streams.iter().position(|stream| stream.id == id) else { return };
        if let Some(stream) = reorder.streams.get_mut(at) {
            stream.forward = stream.forward.max(next);
            stream.forwarded_due = true;
        }
        reorder.wake(at);
    }

    fn on_commit(&mut self, id: StreamId, next: SeqNo) {
        let outbox = &mut self.outbox();
        let known = outbox.streams.iter().position(|stream| stream.id == id && stream.durable && next <= stream.next);
        let Some(at) = known else {
            return self.drop_for(|dropped| &mut dropped.malformed);
        };
        let before = outbox.state.pending;
        outbox.on_committed(at as u8, next);
        if outbox.state.pending < before {
            // What was owed came. An answer to PING alone is no reason to ask as often as before.
            self.st.patience.tries = 0;
        }
        self.note_room();
    }

    fn on_close(&mut self, reason: CloseReason) {
        if self.st.identity.is_some() && reason == CloseReason::GoingAway {
            self.st.reopen_later();
        } else {
            self.st.phase = Phase::Closed;
            self.st.hello.end();
            self.st.pending.closed = Some(reason);
        }
    }
}
