//! The outbox: messages accepted and not yet let go, each in one of a few states, on lists that
//! make every step constant in time.
//!
//! ```text
//! stream list (by number):  head -> [arrived] -> [in flight] -> [gap] -> [due] -> [unsent] -> [unsent] <- tail
//!                                                                                 ^ unsent cursor
//! due lists, one a priority (oldest first):  head -> [due] -> ..
//! ```
//!
//! A message too long for a packet stands in several neighbouring entries, its fragments, with one number.
//! What was given up leaves a gap, which says so to the peer; neighbouring gaps are one entry.
//!
//! `mod.rs` accepts and keeps, `schedule.rs` says what goes next, `fate.rs` takes what became of it,
//! `gap.rs` gives up, `resume.rs` begins a new session.

mod deadline;
mod fate;
mod gap;
mod resume;
mod schedule;

// Too long for Miri: hundreds of steps, and every list walked after each.
#[cfg(all(test, not(miri)))]
mod tests;

use super::streams::SendStream;
use crate::journal::{Handle, Journal, NONE, RamJournal};
use crate::ledger::Ledger;
use crate::seq::Position;
use crate::{Delivery, Instant, PacketNumber, Priority, SendError, SeqNo};
use deadline::Deadline;
pub(crate) use fate::Sent;
pub(crate) use resume::Takes;
pub(crate) use schedule::Next;
use schedule::{List, Long};

/// A deadline that never comes.
pub(crate) const NEVER: Instant = Instant::from_micros(u64::MAX);

/// Where an entry is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryState {
    Free,
    /// Never sent in this session.
    Unsent,
    /// In packets of which one may still arrive.
    InFlight,
    /// To be sent again; on a due list.
    Due,
    /// Acknowledged, and kept: until it is committed, or until all fragments of its message are.
    Arrived,
    /// Messages given up that never reached the peer.
    Void,
    /// Messages given up that may have reached the peer; it will say so.
    Doubtful,
}

impl EntryState {
    /// Whether it stands for messages given up.
    pub(crate) const fn is_gap(self) -> bool {
        matches!(self, Self::Void | Self::Doubtful)
    }
}

/// When an entry was last put into a packet: the lowest 31 bits of the packet number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LastSent(u32);

impl LastSent {
    const NEVER: Self = Self(0);
    const SENT: u32 = 1 << 31;

    const fn new(pn: PacketNumber) -> Self {
        Self(pn.value() as u32 | Self::SENT)
    }

    const fn is_sent(self) -> bool {
        self.0 & Self::SENT != 0
    }

    /// Whether a packet later than that has the number `pn`. No packet in flight is 2^30 packets old.
    const fn is_before(self, pn: PacketNumber) -> bool {
        let ahead = (pn.value() as u32).wrapping_sub(self.0) & !Self::SENT;
        self.is_sent() && ahead != 0 && ahead < 1 << 30
    }
}

/// One message of the outbox, one fragment of one, or a gap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutMessage {
    /// Its number; of a gap, the first.
    pub(crate) at: Position,
    /// When it is of no more use.
    expires: Deadline,
    handle: Handle,
    /// Bytes of payload; of a gap, how many messages it stands for.
    pub(crate) len: u16,
    /// Tells a reused slot from the message that a packet carried. It changes only when the
    /// message was sent, so that 2^16 changes need as many packets: more than can be in flight.
    pub(crate) generation: u16,
    prev: u16,
    next: u16,
    due_prev: u16,
    /// Of a gap: how many of its first messages FORWARDED has settled.
    due_next: u16,
    last_sent: LastSent,
    pub(crate) stream: u8,
    pub(crate) state: EntryState,
    /// Packets in flight that carry it.
    outstanding: u8,
    pub(crate) priority: Priority,
    pub(crate) fragment: u8,
    /// Fragments of the message; 0 when it is whole.
    pub(crate) fragments: u8,
}

impl OutMessage {
    pub(crate) const EMPTY: Self = Self {
        at: Position::of(SeqNo::ZERO),
        expires: Deadline::NEVER,
        handle: Handle(NONE),
        len: 0,
        generation: 0,
        prev: NONE,
        next: NONE,
        due_prev: NONE,
        due_next: NONE,
        last_sent: LastSent::NEVER,
        stream: 0,
        state: EntryState::Free,
        outstanding: 0,
        priority: Priority::Normal,
        fragment: 0,
        fragments: 0,
    };
}

/// A message in a packet: its slot, and which message that was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) slot: u16,
    pub(crate) generation: u16,
}

impl Carried {
    pub(crate) const EMPTY: Self = Self { slot: NONE, generation: 0 };
}

/// How a message is accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) expires: Instant,
    pub(crate) priority: Priority,
    /// The longest payload that goes into a packet whole.
    pub(crate) whole: usize,
    /// The payload of every fragment but the last, which may be shorter; 0 where there are no fragments.
    pub(crate) fragment: usize,
}

/// The most fragments of a message: a bit of a word for each at the receiver.
pub(crate) const FRAGMENTS_MAX: usize = 64;

/// List heads and counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxState {
    free: u16,
    free_len: u16,
    due: [List; Priority::COUNT],
    /// Messages accepted whose fate is open: gaps of unknown fate among them.
    pub(crate) pending: u16,
    /// Entries that arrived but are not let go.
    pub(crate) arrived: u16,
    /// Entries and blocks that only messages above [`Priority::Normal`] may fill.
    reserve: (u16, u16),
    /// The stream that was served last.
    pub(crate) turn: u8,
    long: Option<Long>,
    /// The longest message of which several may be on their way to the peer.
    pub(crate) peer_slot: u16,
    /// No deadline lies before this one.
    pub(crate) next_expiry: Instant,
    pub(crate) ledger: Ledger,
}

impl OutboxState {
    /// All entries free. `reserved`: a channel's messages are above [`Priority::Normal`].
    pub(crate) fn new(messages: &mut [OutMessage], blocks: usize, reserved: bool) -> Self {
        let len = messages.len().min(usize::from(NONE)) as u16;
        for (at, message) in (1..=len).zip(messages) {
            message.next = if at == len { NONE } else { at };
        }
        // An eighth, and room for one message at least.
        let share = |of: usize| if reserved { (of >> 3).max(1) as u16 } else { 0 };
        Self {
            free: if len == 0 { NONE } else { 0 },
            free_len: len,
            due: [List::EMPTY; Priority::COUNT],
            pending: 0,
            arrived: 0,
            reserve: (share(usize::from(len)), share(blocks)),
            turn: 0,
            long: None,
            peer_slot: u16::MAX,
            next_expiry: NEVER,
            ledger: Ledger::default(),
        }
    }
}

/// The outbox with its memory.
pub(crate) struct Outbox<'a> {
    pub(crate) state: &'a mut OutboxState,
    pub(crate) messages: &'a mut [OutMessage],
    pub(crate) streams: &'a mut [SendStream],
    pub(crate) journal: RamJournal<'a>,
}

impl Outbox<'_> {
    pub(crate) fn message(&self, slot: u16) -> Option<&OutMessage> {
        self.messages.get(usize::from(slot))
    }

    fn message_mut(&mut self, slot: u16) -> Option<&mut OutMessage> {
        self.messages.get_mut(usize::from(slot))
    }

    pub(crate) fn stream(&self, stream: u8) -> Option<&SendStream> {
        self.streams.get(usize::from(stream))
    }

    fn stream_mut(&mut self, stream: u8) -> Option<&mut SendStream> {
        self.streams.get_mut(usize::from(stream))
    }

    fn delivery(&self, stream: u8) -> Delivery {
        self.stream(stream).map_or(Delivery::BestEffort, |stream| stream.delivery)
    }

    fn is_durable(&self, stream: u8) -> bool {
        self.stream(stream).is_some_and(|stream| stream.durable)
    }

    /// Accepts a message at the end of its stream.
    pub(crate) fn push(&mut self, stream: u8, terms: &Terms, payload: &[u8]) -> Result<SeqNo, SendError> {
        let Some(owner) = self.stream(stream).copied() else { return Err(SendError::UnknownChannel) };
        if payload.len() > self.longest(terms) {
            // There would never be room for it: to wait for that would be in vain.
            return Err(SendError::TooLong { max: self.longest(terms) });
        }
        let piece = if payload.len() > terms.whole { terms.fragment } else { payload.len() };
        let fragments = payload.len().checked_div(piece).map_or(1, |_| payload.len().div_ceil(piece));
        let replaced = if owner.delivery == Delivery::Latest { owner.head } else { NONE };
        // What is in doubt takes no room but the count.
        let counted = self.state.pending < u16::MAX;
        if !counted || !self.has_room(payload.len(), piece, fragments, terms.priority, replaced) {
            return Err(SendError::Full);
        }
        self.supersede(replaced);
        if fragments == 1 {
            self.append(stream, owner.next, terms, payload, (0, 0))?;
        } else {
            for (at, part) in payload.chunks(piece).enumerate() {
                self.append(stream, owner.next, terms, part, (at as u8, fragments as u8))?;
            }
        }
        if let Some(owner) = self.stream_mut(stream) {
            owner.next = owner.next.next();
        }
        self.state.pending += 1;
        self.state.ledger.accepted = self.state.ledger.accepted.wrapping_add(1);
        self.state.next_expiry = self.state.next_expiry.min(terms.expires);
        Ok(owner.next)
    }

    /// The longest payload that fits when nothing else is kept.
    pub(crate) fn longest(&self, terms: &Terms) -> usize {
        let reserve = if terms.priority > Priority::Normal { (0, 0) } else { self.state.reserve };
        let entries = self.messages.len().saturating_sub(usize::from(reserve.0)).min(FRAGMENTS_MAX);
        let blocks = self.journal.links.len().saturating_sub(usize::from(reserve.1));
        let each = self.journal.blocks_of(terms.fragment);
        let full = blocks.checked_div(each).unwrap_or(0).min(entries);
        let left = if full < entries { blocks.saturating_sub(full * each) * self.journal.block_len() } else { 0 };
        let whole = if entries > 0 { terms.whole.min(blocks * self.journal.block_len()) } else { 0 };
        whole.max(full * terms.fragment + left.min(terms.fragment))
    }

    /// Whether a payload fits, in pieces, if the entry `replaced` makes room for it.
    fn has_room(&self, len: usize, piece: usize, fragments: usize, priority: Priority, replaced: u16) -> bool {
        let last = len.saturating_sub(piece.saturating_mul(fragments.saturating_sub(1)));
        let blocks_of = |len| self.journal.blocks_of(len);
        let blocks = blocks_of(piece) * fragments.saturating_sub(1) + blocks_of(last);
        let (mut entries_free, mut blocks_free) = (usize::from(self.state.free_len), self.journal.free_blocks());
        if let Some(message) = self.message(replaced) {
            entries_free += 1;
            blocks_free += blocks_of(usize::from(message.len));
        }
        let reserve = if priority > Priority::Normal { (0, 0) } else { self.state.reserve };
        fragments + usize::from(reserve.0) <= entries_free && blocks + usize::from(reserve.1) <= blocks_free
    }

    /// The message of a latest channel is replaced by a newer one: whether or not it arrived, that
    /// is all that can be said of it.
    fn supersede(&mut self, slot: u16) {
        if self.message(slot).is_some() {
            self.release(slot);
            self.state.pending = self.state.pending.saturating_sub(1);
            self.state.ledger.superseded = self.state.ledger.superseded.wrapping_add(1);
        }
    }

    /// Puts one entry at the end of a stream. `fragment`: which, of how many.
    fn append(
        &mut self,
        stream: u8,
        seq: SeqNo,
        terms: &Terms,
        payload: &[u8],
        fragment: (u8, u8),
    ) -> Result<(), SendError> {
        let slot = self.state.free;
        let Some((next_free, generation)) = self.message(slot).map(|free| (free.next, free.generation)) else {
            return Err(SendError::Full);
        };
        let handle = self.journal.append(payload).map_err(|_| SendError::Full)?;
        self.state.free = next_free;
        self.state.free_len = self.state.free_len.saturating_sub(1);
        let Some(owner) = self.streams.get_mut(usize::from(stream)) else { return Err(SendError::UnknownChannel) };
        let tail = owner.tail;
        owner.tail = slot;
        if tail == NONE {
            owner.head = slot;
        }
        if owner.unsent == NONE {
            owner.unsent = slot;
        }
        owner.count_unsent(terms.priority, 1);
        if let Some(before) = self.message_mut(tail) {
            before.next = slot;
        }
        if let Some(message) = self.message_mut(slot) {
            *message = OutMessage {
                at: Position::of(seq),
                expires: Deadline::of(terms.expires),
                handle,
                len: payload.len() as u16,
                generation,
                prev: tail,
                stream,
                state: EntryState::Unsent,
                priority: terms.priority,
                fragment: fragment.0,
                fragments: fragment.1,
                ..OutMessage::EMPTY
            };
        }
        Ok(())
    }

    /// The payload, into `out` of the entry's length.
    pub(crate) fn read(&self, slot: u16, out: &mut [u8]) {
        if let Some(message) = self.message(slot) {
            self.journal.read(message.handle, out);
        }
    }

    /// The number of the entry.
    pub(crate) fn seq(&self, slot: u16) -> Option<SeqNo> {
        let message = self.message(slot)?;
        Some(message.at.expand(self.stream(message.stream)?.next))
    }

    /// When the message is of no more use.
    pub(crate) fn expires(&self, message: &OutMessage) -> Option<Instant> {
        message.expires.expand(self.state.next_expiry)
    }

    /// Everything below this one was let go.
    pub(crate) fn floor(&self, stream: &SendStream) -> SeqNo {
        self.message(stream.head).map_or(stream.next, |message| message.at.expand(stream.next))
    }

    /// Takes an entry off the list of what is unsent, due or arrived, for whatever it becomes.
    fn leave_state(&mut self, slot: u16) {
        let Some(message) = self.message(slot).copied() else { return };
        match message.state {
            EntryState::Unsent => {
                let at_cursor = self.stream(message.stream).is_some_and(|stream| stream.unsent == slot);
                let after = self.first_unsent(message.next);
                if let Some(stream) = self.stream_mut(message.stream) {
                    stream.count_unsent(message.priority, -1);
                    if at_cursor {
                        stream.unsent = after;
                    }
                }
            }
            EntryState::Due => self.due_remove(slot),
            EntryState::Arrived => self.state.arrived = self.state.arrived.saturating_sub(1),
            EntryState::Void | EntryState::Doubtful => {
                if let Some(stream) = self.stream_mut(message.stream) {
                    stream.gaps = stream.gaps.saturating_sub(1);
                }
            }
            EntryState::InFlight | EntryState::Free => {}
        }
    }

    /// The first entry from `slot` on that was never sent.
    fn first_unsent(&self, mut slot: u16) -> u16 {
        while let Some(message) = self.message(slot).filter(|message| message.state != EntryState::Unsent) {
            slot = message.next;
        }
        slot
    }

    /// Frees the payload, and makes packets in flight speak for the entry no more.
    fn disown(&mut self, slot: u16) {
        let Some(message) = self.message(slot).copied() else { return };
        if !message.state.is_gap() {
            self.journal.free(message.handle);
        }
        if let Some(message) = self.message_mut(slot) {
            if message.last_sent.is_sent() {
                message.generation = message.generation.wrapping_add(1);
            }
            message.last_sent = LastSent::NEVER;
            message.outstanding = 0;
        }
    }

    /// Takes the entry off every list and frees it.
    fn release(&mut self, slot: u16) {
        let Some(message) = self.message(slot).copied().filter(|message| message.state != EntryState::Free) else {
            return;
        };
        self.leave_state(slot);
        self.disown(slot);
        if let Some(stream) = self.stream_mut(message.stream) {
            if stream.head == slot {
                stream.head = message.next;
            }
            if stream.tail == slot {
                stream.tail = message.prev;
            }
        }
        if let Some(before) = self.message_mut(message.prev) {
            before.next = message.next;
        }
        if let Some(after) = self.message_mut(message.next) {
            after.prev = message.prev;
        }
        let free = self.state.free;
        if let Some(message) = self.message_mut(slot) {
            message.state = EntryState::Free;
            message.next = free;
        }
        self.state.free = slot;
        self.state.free_len += 1;
    }
}
