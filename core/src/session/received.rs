//! What is deliverable now: lent out of the datagram, or out of the reorder buffer.

use super::state::Engine;
use crate::channel::reorder::Placed;
use crate::wire::{Data, Frame, Frames};
use crate::{ChannelId, Delivery, PacketNumber, SchemaId, SeqNo, StreamEpoch, StreamId};

/// A message, borrowed until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// The stream's epoch.
    pub epoch: StreamEpoch,
    /// Its number in the stream.
    pub seq: SeqNo,
    /// What the payload means.
    pub schema: SchemaId,
    /// Whether the sender keeps it until it is committed.
    pub durable: bool,
    /// The message itself.
    pub payload: &'a [u8],
}

impl Message<'_> {
    /// The channel that the message belongs to.
    pub const fn channel(&self) -> ChannelId {
        self.stream.channel()
    }
}

/// The packet that is being taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) pn: PacketNumber,
    pub(super) in_order: bool,
    pub(super) eliciting: bool,
}

/// Where a deliverable message lies.
enum Found<'a> {
    Slot(u16),
    Packet(&'a [u8]),
}

/// The deliverable messages, in order. Dropping it finishes the datagram: what was not taken is
/// kept in the reorder buffer, or the packet is not acknowledged and comes again.
#[derive(Debug)]
pub struct Received<'a> {
    engine: Engine<'a>,
    frames: Frames<'a>,
    arrival: Option<Arrival>,
    all_placed: bool,
    /// The slot of the message that the caller holds.
    held: Option<u16>,
}

impl<'a> Received<'a> {
    pub(super) fn packet(engine: Engine<'a>, payload: &'a [u8], arrival: Arrival) -> Self {
        Self { engine, frames: Frames::new(payload), arrival: Some(arrival), all_placed: true, held: None }
    }

    pub(super) fn waiting(engine: Engine<'a>) -> Self {
        Self { engine, frames: Frames::new(&[]), arrival: None, all_placed: true, held: None }
    }

    /// Of a datagram that brought no message. What waits is left for the next one that does.
    pub(super) fn nothing(engine: Engine<'a>) -> Self {
        Self::waiting(engine)
    }

    /// The next message.
    #[allow(clippy::should_implement_trait)] // it lends: the message lives until the next call
    pub fn next(&mut self) -> Option<Message<'_>> {
        self.let_go();
        let (stream, seq, found) = self.find()?;
        let stats = &mut self.engine.st.stats;
        stats.rx_messages = stats.rx_messages.wrapping_add(1);
        let about = *self.engine.mem.receive.get(stream)?;
        let payload = match found {
            Found::Packet(payload) => payload,
            Found::Slot(slot) => {
                self.held = Some(slot);
                let len = usize::from(self.engine.st.slot_len);
                let at = usize::from(slot) * len;
                let used = self.engine.reorder().payload(slot).len();
                self.engine.mem.slot_bytes.get(at..at + used)?
            }
        };
        Some(Message {
            stream: about.id,
            epoch: about.epoch,
            seq,
            schema: about.schema,
            durable: about.durable,
            payload,
        })
    }

    fn let_go(&mut self) {
        if let Some(slot) = self.held.take() {
            self.engine.reorder().free(slot);
        }
    }

    fn find(&mut self) -> Option<(usize, SeqNo, Found<'a>)> {
        loop {
            let deliverable = self.engine.st.reorder.deliverable;
            if deliverable != 0 {
                let stream = deliverable.trailing_zeros() as usize;
                let mut reorder = self.engine.reorder();
                let seq = reorder.streams.get(stream)?.next;
                if let Some(slot) = reorder.advance(stream) {
                    return Some((stream, seq, Found::Slot(slot)));
                }
                continue;
            }
            let data = self.next_data()?;
            if let Some((stream, seq)) = self.place(&data, true) {
                return Some((stream, seq, Found::Packet(data.payload)));
            }
        }
    }

    fn next_data(&mut self) -> Option<Data<'a>> {
        self.frames.by_ref().flatten().find_map(|frame| match frame {
            Frame::Data(data) => Some(data),
            _ => None,
        })
    }

    /// Puts a message where it belongs. Returns it when it can be handed on at once and `take` asks so.
    fn place(&mut self, data: &Data<'_>, take: bool) -> Option<(usize, SeqNo)> {
        let mut reorder = self.engine.reorder();
        let at = reorder.streams.iter().position(|stream| stream.id == data.stream)?;
        let stream = reorder.streams.get_mut(at)?;
        let seq = SeqNo::expand(data.seq16, stream.next);
        if stream.delivery == Delivery::BestEffort {
            if take {
                stream.next = stream.next.max(seq.next());
                return Some((at, seq));
            }
            return None;
        }
        if take && seq == stream.next {
            // `find` has emptied the slots that were deliverable, so none holds this one.
            reorder.advance(at);
            return Some((at, seq));
        }
        match reorder.insert(at, seq, data.payload) {
            Placed::Stored => {}
            Placed::Duplicate => {
                let stats = &mut self.engine.st.stats;
                stats.rx_duplicate_messages = stats.rx_duplicate_messages.wrapping_add(1);
            }
            Placed::NoRoom => self.all_placed = false,
        }
        None
    }

    /// Everything that the datagram held was offered or kept: acknowledge it, and grant credit.
    fn finish(&mut self) {
        self.let_go();
        while let Some(data) = self.next_data() {
            self.place(&data, false);
        }
        self.engine.grant_credit();
        let Some(arrival) = self.arrival else { return };
        let st = &mut *self.engine.st;
        if !self.all_placed {
            st.stats.rx_dropped.no_room = st.stats.rx_dropped.no_room.wrapping_add(1);
            return;
        }
        // Of those that can be acknowledged: a larger one that was not kept does not count.
        let is_largest = st.recovery.received.largest_accepted() < Some(arrival.pn);
        st.recovery.received.accept(arrival.pn);
        if !is_largest {
            st.recovery.ack.on_late(arrival.pn, st.recovery.next_pn);
        }
        st.recovery.ack.on_packet(
            st.now,
            is_largest,
            arrival.in_order,
            arrival.eliciting,
            st.config.ack_every,
            st.config.max_ack_delay,
        );
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Engine<'_> {
    /// Says more credit when the peer has used half of what it had; an eighth where packets get
    /// lost, for there the rest must last until a message that is missing comes.
    pub(super) fn grant_credit(&mut self) {
        let (receive_window, reorder_window) = (self.st.config.receive_window, self.reorder_window());
        let share = if self.st.recovery.ack.is_troubled() { 7 } else { 1 };
        for stream in self.receive_streams() {
            let now = stream.credit_now(receive_window, reorder_window);
            let grown = now.checked_distance(stream.credit).unwrap_or(0);
            let left = stream.credit.checked_distance(stream.next).unwrap_or(0);
            if grown > 0 && (left <= grown.saturating_mul(share) || stream.credit_due) {
                stream.credit_due = true;
            }
        }
    }
}
