//! Asking for messages that are missing: NAK, once for each gap, after it outlasted the reordering
//! that the link was seen to do.

use super::outbox::NEVER;
use super::reorder::Reorder;
use crate::seq::Position;
use crate::wire::{NAK_BEYOND_MAX, Writer, emit_nak};
use crate::{Duration, Instant, SeqNo};

impl Reorder<'_> {
    /// A message came early. What is missing below it is asked for after `tolerance`.
    pub(crate) fn note_early(&mut self, stream: usize, seq: SeqNo, now: Instant, tolerance: Duration) {
        let window = self.window as u64;
        let Some(owner) = self.streams.get_mut(stream) else { return };
        if seq.checked_distance(owner.next).is_none_or(|ahead| ahead >= window) {
            return;
        }
        let leaves_a_gap = owner.highest.later(Position::of(owner.next)).is_before(Position::of(seq));
        owner.highest = owner.highest.later(Position::of(seq.next()));
        if leaves_a_gap && owner.ask_at == NEVER {
            let at = now + tolerance;
            owner.ask_at = at;
            self.state.ask_at = Some(self.state.ask_at.map_or(at, |first| first.min(at)));
        }
    }

    /// Whether the time has come to ask for something.
    pub(crate) fn asks(&self, now: Instant) -> bool {
        self.state.ask_at.is_some_and(|at| at <= now)
    }

    /// Writes the requests that are due. What does not fit is left to the sender's own detection.
    pub(crate) fn put_requests(&mut self, now: Instant, w: &mut Writer<'_>) {
        let window = self.window;
        let later = self.streams.iter().map(|stream| stream.ask_at).filter(|at| *at > now && *at < NEVER);
        self.state.ask_at = later.min();
        for at in 0..self.streams.len() {
            let Some(owner) = self.streams.get_mut(at).filter(|owner| owner.ask_at <= now) else { continue };
            owner.ask_at = NEVER;
            let asked = owner.asked.since(Position::of(owner.next));
            let from = owner.next.saturating_add(u64::from(asked)).max(owner.forward);
            let end = owner.end(window);
            owner.asked = owner.highest;
            let (id, mut base) = (owner.id, from);
            while base < end && !self.is_missing(at, base) {
                base = base.next();
            }
            if base >= end {
                continue;
            }
            let mut missing = [0u64; (NAK_BEYOND_MAX as usize).div_ceil(64)];
            for beyond in 1..=NAK_BEYOND_MAX {
                let seq = base.saturating_add(u64::from(beyond));
                let bit = usize::from(beyond - 1);
                if seq < end
                    && self.is_missing(at, seq)
                    && let Some(word) = missing.get_mut(bit / 64)
                {
                    *word |= 1 << (bit % 64);
                }
            }
            let is_set = |beyond: u16| {
                let bit = usize::from(beyond.saturating_sub(1));
                missing.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
            };
            if emit_nak(id, base.truncate(), is_set, w).is_err() {
                return;
            }
        }
    }
}
