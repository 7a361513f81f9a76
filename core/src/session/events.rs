//! The application's side: accepting messages, storing, closing, and what it is told.

use super::MessageId;
use super::state::{Engine, Phase, State};
use crate::channel::outbox::{NEVER, Terms};
use crate::seq::Position;
use crate::{ChannelId, CloseReason, Event, Ledger, SendError, SendOptions, SeqNo, StreamId};

/// Lifetimes that a message may have, in ms: deadlines are kept in units of about a millisecond, and told
/// apart within 2^31 of them, some 25 days.
const LIFETIMES: core::ops::RangeInclusive<u64> = 2..=0x7fff_ffff;

impl State {
    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.phase == Phase::Established {
            self.close_due = Some(reason);
        }
        self.phase = Phase::Closed;
        self.hello.end();
        self.pending.closed = Some(CloseReason::Local);
    }
}

impl Engine<'_> {
    pub(super) fn send(
        &mut self,
        channel: ChannelId,
        options: SendOptions,
        payload: &[u8],
    ) -> Result<MessageId, SendError> {
        if self.st.phase == Phase::Closed {
            return Err(SendError::Closed);
        }
        let id = channel.live();
        let (now, whole) = (self.st.now, self.st.whole_len(options.lifetime.is_some()));
        let (longest, fragment) = (self.st.max_message(), self.st.fragment_len());
        let in_fragments = self.st.has_fragments();
        let longest_whole = whole.min(usize::from(self.st.peer.max_message));
        let mut outbox = self.outbox();
        let known = outbox.streams.iter().enumerate().find(|(_, stream)| stream.id == id);
        let (at, stream) = known.map(|(at, stream)| (at as u8, *stream)).ok_or(SendError::UnknownChannel)?;
        let expires = match options.lifetime {
            None => NEVER,
            Some(lifetime) if LIFETIMES.contains(&lifetime.as_millis()) => now + lifetime,
            Some(_) => return Err(SendError::Lifetime),
        };
        let terms = Terms { expires, priority: options.priority.unwrap_or(stream.priority), whole, fragment };
        // With a lifetime less goes into a packet whole.
        let max = if stream.delivery.is_reliable() && in_fragments { longest } else { longest_whole };
        let max = max.min(outbox.longest(&terms));
        if payload.len() > max {
            return Err(SendError::TooLong { max });
        }
        outbox.expire(now);
        let seq = outbox.push(at, &terms, payload);
        if seq == Err(SendError::Full) {
            self.st.was_full = true;
        }
        Ok(MessageId { stream: id, seq: seq? })
    }

    /// The sender's ledger.
    pub(super) fn ledger(&self) -> Ledger {
        let outbox = &self.st.outbox;
        Ledger { in_flight: u32::from(outbox.pending) + u32::from(self.st.recovery.best_effort), ..outbox.ledger }
    }

    /// Something left the outbox.
    pub(super) fn note_room(&mut self) {
        if core::mem::take(&mut self.st.was_full) {
            self.st.pending.queue_freed = true;
        }
    }

    pub(super) fn commit(&mut self, id: StreamId, next: SeqNo) {
        if self.st.phase == Phase::Opening {
            // Nothing was handed on yet, and ACCEPT must go on saying what it said.
            return;
        }
        if let Some(stream) = self.receive_streams().iter_mut().find(|stream| stream.id == id && stream.durable) {
            // What was not handed on cannot be stored.
            let all = !Position::of(next.min(stream.next)).is_before(stream.handed);
            let committed = if all { stream.next } else { next };
            if committed > stream.committed {
                stream.committed = committed;
                stream.commit_due = true;
            }
        }
        self.grant_credit();
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        let pending = &mut self.st.pending;
        if core::mem::take(&mut pending.peer_restarted) {
            return Some(Event::PeerRestarted);
        }
        if core::mem::take(&mut pending.established) {
            return Some(Event::Established);
        }
        #[cfg(feature = "seal")]
        if let Some(event) = self.st.poll_boot_epoch() {
            return Some(event);
        }
        #[cfg(feature = "nk")]
        if let Some(event) = self.st.poll_gateway_key() {
            return Some(event);
        }
        if let Some(event) = self.poll_stream_event() {
            return Some(event);
        }
        let pending = &mut self.st.pending;
        if core::mem::take(&mut pending.queue_freed) {
            return Some(Event::QueueFreed);
        }
        pending.closed.take().map(|reason| Event::Closed { reason })
    }

    fn poll_stream_event(&mut self) -> Option<Event> {
        let outbox = self.outbox();
        for at in 0..outbox.streams.len() {
            let stream = *outbox.streams.get(at)?;
            let next = outbox.floor(&stream);
            let place = outbox.streams.get_mut(at)?;
            if core::mem::take(&mut place.opened)
                && let Some(epoch) = stream.epoch
            {
                return Some(Event::StreamOpened { stream: stream.id, epoch });
            }
            let count = core::mem::take(&mut place.dropped);
            if count > 0 {
                return Some(Event::Dropped { stream: stream.id, count });
            }
            if next > stream.reported && stream.epoch.is_some() {
                place.reported = next;
                return Some(if stream.durable {
                    Event::Committed { stream: stream.id, next }
                } else {
                    Event::Acknowledged { stream: stream.id, next }
                });
            }
        }
        None
    }
}
