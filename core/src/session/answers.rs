//! Answers to a device other than ACCEPT, and what both protections have in common of them: RESET and REFUSE.

use super::state::{Engine, Phase, State};
use crate::seal::Direction;
use crate::wire::RefuseCode;
use crate::{CloseReason, PathId};

impl State {
    /// The session ends here for good, for a reason that the application is told.
    #[inline(never)]
    pub(super) fn give_up(&mut self, reason: CloseReason) {
        self.hello.end();
        self.phase = Phase::Closed;
        self.pending.closed = Some(reason);
    }
}

impl Engine<'_> {
    /// A long packet: only devices are answered. A gateway's HELLOs are routed before they reach a session.
    pub(super) fn handle_long(&mut self, path: PathId, datagram: &mut [u8]) {
        #[cfg(feature = "seal")]
        if self.st.is_sealed_device() {
            return self.handle_sealed_answer(path, datagram);
        }
        #[cfg(feature = "plain")]
        self.handle_plain_answer(path, datagram);
        #[cfg(not(feature = "plain"))]
        self.drop_for(|dropped| &mut dropped.unexpected);
    }

    /// A RESET that quotes one of our last packets: the gateway does not know the session. In the plain mode it may
    /// be forged, so the session stays until a new one is accepted.
    pub(super) fn on_reset(&mut self, cause_tag: [u8; 4]) {
        // Packet numbers begin at 0: places that this session has not used hold nothing of it.
        let used = usize::try_from(self.st.recovery.next_pn.value()).unwrap_or(usize::MAX);
        let quoted = self.st.trailers.iter().take(used).any(|trailer| *trailer == cause_tag);
        let ours = self.st.phase == Phase::Established && quoted;
        if self.st.outgoing != Direction::ToGateway || !ours {
            return self.drop_for(|dropped| &mut dropped.unexpected);
        }
        if !self.st.hello.is_open() {
            self.st.pending.peer_restarted = true;
            self.st.begin_hello();
        }
    }

    /// REFUSE: the gateway will not have us.
    pub(super) fn on_refuse(&mut self, code: RefuseCode) {
        match code {
            RefuseCode::Refused => self.st.give_up(CloseReason::Refused),
            RefuseCode::Version => self.st.give_up(CloseReason::Version),
            // Busy: the next try is due by backoff anyway.
            RefuseCode::Busy => {}
        }
    }
}
