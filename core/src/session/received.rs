//! What is deliverable now: lent out of the datagram, out of the reorder buffer, or out of the assembly.

use super::state::Engine;
use crate::channel::outbox::NEVER;
use crate::channel::reorder::{Placed, Waiting};
use crate::seq::Position;
use crate::wire::{Data, Frame, Frames};
use crate::{ChannelId, Delivery, Duration, Instant, PacketNumber, SchemaId, SeqNo, StreamEpoch, StreamId};

/// A message, borrowed until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// The stream's epoch.
    pub epoch: StreamEpoch,
    /// Its number in the stream.
    pub seq: SeqNo,
    /// Where the stream stood: on an ordered one, those from here to `seq` never come. The sender gave them
    /// up, or they came too late to be of use. On others it is `seq`.
    pub after: SeqNo,
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
    Waiting(Waiting),
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
    /// Where the message lies that the caller holds.
    held: Option<Waiting>,
}

impl<'a> Received<'a> {
    pub(super) fn packet(engine: Engine<'a>, payload: &'a [u8], arrival: Arrival) -> Self {
        Self { engine, frames: Frames::new(payload), arrival: Some(arrival), all_placed: true, held: None }
    }

    /// What waits; also of a datagram that brought no message.
    pub(super) fn waiting(engine: Engine<'a>) -> Self {
        Self { engine, frames: Frames::new(&[]), arrival: None, all_placed: true, held: None }
    }

    /// The next message.
    #[allow(clippy::should_implement_trait)] // it lends: the message lives until the next call
    pub fn next(&mut self) -> Option<Message<'_>> {
        self.let_go();
        let (at, seq, found) = self.find()?;
        let stream = self.engine.mem.receive.get_mut(at)?;
        let ordered = stream.delivery == Delivery::Ordered;
        let after = if ordered { stream.handed.expand(seq) } else { seq };
        stream.handed = stream.handed.later(Position::of(seq.next()));
        let about = *stream;
        let st = &mut *self.engine.st;
        st.stats.rx_messages = st.stats.rx_messages.wrapping_add(1);
        st.received_ledger.delivered = st.received_ledger.delivered.wrapping_add(1);
        let payload = match found {
            Found::Packet(payload) => payload,
            Found::Waiting(waiting) => {
                self.held = Some(waiting);
                self.lend(waiting)?
            }
        };
        Some(Message {
            stream: about.id,
            epoch: about.epoch,
            seq,
            after,
            schema: about.schema,
            durable: about.durable,
            payload,
        })
    }

    /// The bytes of a message that waited.
    fn lend(&mut self, waiting: Waiting) -> Option<&[u8]> {
        match waiting {
            Waiting::Slot(slot) => {
                let at = usize::from(slot) * usize::from(self.engine.st.slot_len);
                let len = self.engine.reorder().payload(slot).len();
                self.engine.mem.slot_bytes.get(at..at + len)
            }
            Waiting::Assembled => {
                let len = self.engine.reorder().assembly.payload().len();
                self.engine.mem.assembly.get(..len)
            }
        }
    }

    fn let_go(&mut self) {
        if let Some(waiting) = self.held.take() {
            self.free(waiting);
        }
    }

    fn free(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::Slot(slot) => self.engine.reorder().free(slot),
            Waiting::Assembled => self.engine.reorder().assembly.free(),
        }
    }

    fn find(&mut self) -> Option<(usize, SeqNo, Found<'a>)> {
        loop {
            let deliverable = self.engine.st.reorder.deliverable;
            if deliverable != 0 {
                let stream = deliverable.trailing_zeros() as usize;
                if let Some((seq, waiting)) = self.engine.next_waiting(stream) {
                    if self.is_in_time(waiting) {
                        return Some((stream, seq, Found::Waiting(waiting)));
                    }
                    self.free(waiting);
                    let ledger = &mut self.engine.st.received_ledger;
                    ledger.expired = ledger.expired.wrapping_add(1);
                } else {
                    self.engine.st.reorder.deliverable &= !(1 << stream);
                }
                continue;
            }
            let data = self.next_data()?;
            if let Some((stream, seq)) = self.place(&data, true) {
                return Some((stream, seq, Found::Packet(data.payload)));
            }
        }
    }

    fn is_in_time(&mut self, waiting: Waiting) -> bool {
        let now = self.engine.st.now;
        let reorder = self.engine.reorder();
        now < match waiting {
            Waiting::Slot(slot) => reorder.expires(slot),
            Waiting::Assembled => reorder.assembly.state.expires,
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
        let (now, tolerance) = (self.engine.st.now, self.engine.st.reorder_tolerance());
        let expires = data.lifetime_ms.map_or(NEVER, |ms| now + Duration::from_millis(u64::from(ms)));
        let mut reorder = self.engine.reorder();
        let at = reorder.streams.iter().position(|stream| stream.id == data.stream)?;
        let stream = reorder.streams.get_mut(at)?;
        let (delivery, seq) = (stream.delivery, SeqNo::expand(data.seq16, stream.next));
        match delivery {
            Delivery::BestEffort => {
                stream.next = stream.next.max(seq.next());
                if !take {
                    let ledger = &mut self.engine.st.received_ledger;
                    ledger.untaken = ledger.untaken.wrapping_add(1);
                }
                return take.then_some((at, seq));
            }
            Delivery::Latest => return self.place_latest(at, seq, data.payload, expires, take),
            Delivery::Reliable | Delivery::Ordered => {}
        }
        let in_turn = seq == stream.next;
        reorder.note_early(at, seq, now, tolerance);
        let placed = match data.fragment {
            Some(fragment) => reorder.insert_fragment(at, seq, (fragment.index, fragment.count), data.payload, expires),
            // `find` has emptied the slots that were deliverable, so none holds this one.
            None if take && (in_turn || delivery == Delivery::Reliable) => match reorder.hand_on(at, seq) {
                Ok(()) => return Some((at, seq)),
                Err(placed) => placed,
            },
            None => reorder.insert(at, seq, data.payload, expires),
        };
        self.note_placed(placed);
        None
    }

    fn place_latest(
        &mut self,
        at: usize,
        seq: SeqNo,
        payload: &[u8],
        expires: Instant,
        take: bool,
    ) -> Option<(usize, SeqNo)> {
        let mut reorder = self.engine.reorder();
        let stream = reorder.streams.get_mut(at)?;
        if seq < stream.next {
            // The newest one once more, or one that came after a newer.
            if seq.next() == stream.next {
                self.note_placed(Placed::Duplicate);
            } else {
                self.note_superseded();
            }
            return None;
        }
        let (placed, replaced) = if take {
            stream.next = seq.next();
            let older = reorder.take_latest(at);
            if let Some(slot) = older {
                reorder.free(slot);
            }
            (Placed::Stored, older.is_some())
        } else {
            reorder.insert_latest(at, seq, payload, expires)
        };
        self.note_placed(placed);
        if replaced {
            self.note_superseded();
        }
        take.then_some((at, seq))
    }

    fn note_superseded(&mut self) {
        let ledger = &mut self.engine.st.received_ledger;
        ledger.superseded = ledger.superseded.wrapping_add(1);
    }

    fn note_placed(&mut self, placed: Placed) {
        match placed {
            Placed::Stored => {}
            Placed::Duplicate => {
                let stats = &mut self.engine.st.stats;
                stats.rx_duplicate_messages = stats.rx_duplicate_messages.wrapping_add(1);
            }
            Placed::NoRoom => self.all_placed = false,
        }
    }

    /// Everything that the datagram held was offered or kept: acknowledge it, and grant credit.
    fn finish(&mut self) {
        self.let_go();
        while let Some(data) = self.next_data() {
            self.place(&data, false);
        }
        self.engine.skip_given_up();
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
    /// The stream's next message that waits. What it skips on the way goes into the ledger.
    fn next_waiting(&mut self, stream: usize) -> Option<(SeqNo, Waiting)> {
        let lacked = |engine: &Self| engine.mem.receive.get(stream).map_or(0, |stream| stream.lacked);
        let before = lacked(self);
        let waiting = self.reorder().next_waiting(stream);
        let skipped = lacked(self).wrapping_sub(before);
        let ledger = &mut self.st.received_ledger;
        ledger.skipped = ledger.skipped.wrapping_add(skipped);
        waiting
    }

    /// FORWARD is obeyed as far as nothing waits that must be handed on before.
    fn skip_given_up(&mut self) {
        for at in 0..usize::from(self.st.receive_len) {
            let Some(stream) = self.mem.receive.get(at).copied() else { return };
            if stream.forward > stream.next {
                self.reorder().skip_given_up(at);
                let lacked = self.mem.receive.get(at).map_or(0, |now| now.lacked.wrapping_sub(stream.lacked));
                let ledger = &mut self.st.received_ledger;
                ledger.skipped = ledger.skipped.wrapping_add(lacked);
            }
            self.note_skipped(at);
        }
    }

    /// All that could be stored is: what was skipped after it counts as stored too.
    fn note_skipped(&mut self, at: usize) {
        let Some(stream) = self.mem.receive.get_mut(at) else { return };
        let all_stored = !Position::of(stream.committed).is_before(stream.handed);
        if stream.durable && all_stored && stream.next > stream.committed {
            stream.committed = stream.next;
            stream.commit_due = true;
        }
    }

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
