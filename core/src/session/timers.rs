//! What waits for the clock, folded into one deadline.

use super::state::{Engine, Phase, State};
use crate::Instant;
use crate::channel::outbox::NEVER;
use crate::recovery::pto;

impl State {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            return None;
        }
        // What may not be sent is not waited for: the peer's next packet comes first.
        let established = self.phase == Phase::Established && self.paths.has_budget();
        // With no message kept, it is the deadline of one that went.
        let expiry = if self.outbox.pending > 0 { self.outbox.next_expiry } else { NEVER };
        // A NAK stands beside an acknowledgement: before there is one, nothing is asked for.
        let may_ask = established && self.recovery.received.largest_accepted().is_some();
        [
            (expiry < NEVER).then_some(expiry),
            self.reorder.ask_at.filter(|_| may_ask),
            self.hello.deadline(),
            self.recovery.ack.deadline().filter(|_| established),
            self.recovery.loss_time.filter(|_| established),
            self.recovery.pacer.deadline().filter(|_| established),
            self.pto_deadline().filter(|_| established),
            self.patience_deadline().filter(|_| established),
            self.paths.deadline().filter(|_| self.phase == Phase::Established),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When to ask a silent peer whether it still knows us: it owes a COMMIT, credit or an answer to FORWARD, and
    /// nothing is in flight whose probe would find out.
    fn patience_deadline(&self) -> Option<Instant> {
        (self.patience.waiting && self.recovery.in_flight == 0).then(|| {
            // Three probe timeouts, as for persistent congestion (RFC 9002 section 7.6.1): a sink
            // that commits in batches is not yet silent.
            let period = self.pto_period();
            let period = period.saturating_add(period.saturating_shl(1));
            self.patience.since
                + pto::backoff(period, self.patience.tries, self.config.max_backoff, self.patience.jitter)
        })
    }
}

impl Engine<'_> {
    /// The network is back: forgets all backoff, and asks at once for what is owed. A device says where it is: its
    /// address may be another, and the gateway has no way to find out.
    pub(super) fn wake(&mut self) {
        self.st.hello_again();
        self.st.recovery.pto_count = 0;
        self.st.patience.tries = 0;
        if self.st.phase == Phase::Established && self.st.recovery.in_flight > 0 {
            self.on_probe_timeout();
        } else if self.st.phase == Phase::Established && (self.st.patience.waiting || self.st.identity.is_some()) {
            self.st.ping_due = true;
        }
    }

    pub(super) fn handle_timeout(&mut self) {
        let now = self.st.now;
        if self.outbox().expire(now) {
            self.note_room();
        }
        if self.st.phase != Phase::Established {
            // HELLO is sent when it is due, and an acknowledgement likewise.
            return;
        }
        self.st.check_path();
        if self.st.recovery.loss_time.is_some_and(|time| time <= now) {
            self.detect_losses();
        } else if self.st.pto_deadline().is_some_and(|time| time <= now) {
            self.on_probe_timeout();
        }
        if self.st.patience_deadline().is_some_and(|time| time <= now) {
            self.st.patience.jitter = self.st.draw() as u8;
            self.st.patience.since = now;
            self.st.patience.tries = self.st.patience.tries.saturating_add(1);
            self.st.ping_due = true;
        }
    }
}
