//! Datagrams of nobody that we know: who is heard, who is answered, and what goes into the log.

use core::net::IpAddr;

use whimbrel_core::DecodeError;

use super::Shard;
use super::guard::Guard;
use crate::limits::{Limiter, Refusal, Strike};
use crate::socket::Path;

impl Shard {
    /// Whether the lists let anything in from there.
    pub(super) fn permits(&mut self, path: Path) -> bool {
        let permitted = self.links.access.permits(path.peer.ip());
        if !permitted {
            self.stats.rx_denied += 1;
            self.report(Refusal::Denied, path);
        }
        permitted
    }

    /// Whether the source is one of those that are not heard now, except for what proves itself.
    pub(super) fn is_blocked(&mut self, path: Path) -> bool {
        let blocked = self.links.shared.strikes.is_blocked(path.peer.ip(), self.now);
        if blocked {
            self.on_blocked(path);
        }
        blocked
    }

    pub(super) fn on_blocked(&mut self, path: Path) {
        self.stats.rx_blocked += 1;
        self.report(Refusal::Blocked, path);
    }

    /// Nobody honest sends that.
    pub(super) fn strike(&mut self, source: IpAddr) {
        self.stats.strikes += 1;
        if let Strike::Blocked(block) = self.links.shared.strikes.strike(source, self.now) {
            self.stats.sources_blocked += 1;
            if let Some(count) = self.reports.note(Refusal::Strikes, self.now) {
                let (reason, seconds) = (Refusal::Strikes.reason(), block.as_millis() / 1000);
                tracing::warn!(%source, seconds, sources = count, "blocked: {reason}");
            }
        }
    }

    /// A line in the log, unless there was one of this kind a moment ago.
    pub(super) fn report(&mut self, refusal: Refusal, path: Path) {
        if let Some(count) = self.reports.note(refusal, self.now) {
            tracing::warn!(peer = %path.peer, count, "refused: {}", refusal.reason());
        }
    }

    pub(super) fn on_undecodable(&mut self, path: Path, error: DecodeError) {
        match error {
            DecodeError::Truncated => self.stats.rx_truncated += 1,
            // Somebody newer than us may be honest.
            DecodeError::Version => {
                self.stats.rx_version += 1;
                return;
            }
            _ => self.stats.rx_malformed += 1,
        }
        self.strike(path.peer.ip());
    }

    /// A packet of a connection that is not here. Its sender may be a device from before our restart: it is told. From
    /// a blocked source too, if seldom: the device cannot help what others send in its name.
    pub(super) fn on_unknown_connection(&mut self, path: Path, cause: &[u8]) {
        let blocked = self.links.shared.strikes.is_blocked(path.peer.ip(), self.now);
        if blocked && !allowed(&self.blocked_resets) {
            return self.on_blocked(path);
        }
        self.stats.rx_unknown_connection += 1;
        if !blocked && !allowed(&self.resets) {
            self.stats.resets_limited += 1;
        } else if self.answer_shorter(path, cause, Guard::reset) {
            self.stats.resets_sent += 1;
        }
        if let Some(count) = self.reports.note(Refusal::UnknownConnection, self.now) {
            tracing::debug!(peer = %path.peer, count, "packets of unknown connections");
        }
    }

    /// Tells somebody who speaks another version, at a limited rate.
    pub(super) fn refuse_version(&mut self, path: Path, cause: &[u8]) {
        if !allowed(&self.resets) {
            self.stats.resets_limited += 1;
        } else if self.answer_shorter(path, cause, |_, cause, room| whimbrel_core::wire::refuse_version(cause, room)) {
            self.stats.versions_refused += 1;
        }
    }

    /// Answers somebody whom nothing is known about with less than was received.
    fn answer_shorter(
        &mut self,
        path: Path,
        cause: &[u8],
        write: impl FnOnce(&Guard, &[u8], &mut [u8]) -> Option<usize>,
    ) -> bool {
        let written = self.outgoing.room(cause.len()).and_then(|room| write(&self.links.guard, cause, room));
        if let Some(len) = written {
            self.outgoing.push(path, len);
        }
        written.is_some()
    }

    /// Sends a packet that is written at once. Says whether there was one, and room for it.
    pub(super) fn answer(&mut self, path: Path, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        let len = usize::from(self.config.core.max_datagram);
        let written = self.outgoing.room(len).and_then(write);
        if let Some(len) = written {
            self.outgoing.push(path, len);
        }
        written.is_some()
    }
}

/// `None`: never.
fn allowed(rate: &Option<Limiter>) -> bool {
    rate.as_ref().is_some_and(|rate| rate.check().is_ok())
}
