//! A device's request for a session, and the application's answer.

use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

use whimbrel_core::{CloseReason, DeviceId, OfferedStream, StreamAdmission};

use crate::event::SessionKey;
use crate::mailbox::Mailbox;
use crate::protection::Proof;

/// A device asks for a session: answer with [`accept`](Self::accept) or [`refuse`](Self::refuse).
/// Dropped without an answer it is silence, and the device asks again.
pub struct HelloRequest {
    /// The name that the session will have.
    pub session: SessionKey,
    /// Who asks.
    pub device: DeviceId,
    /// What it proved that with; `None` in the plain mode, where it is a mere claim.
    pub proof: Option<Proof>,
    /// How many times the device has booted, as it says.
    pub boot_epoch: u32,
    /// Where the request came from.
    pub peer: SocketAddr,
    /// The streams that the device wants to send on.
    pub streams: Vec<OfferedStream>,
    pub(crate) reply: Reply,
}

impl HelloRequest {
    /// Admits the device: one admission per offered stream, in the same order. The epochs, and the counter of
    /// the proof, must be stored durably before, and the directory must know the counter. An answer that does not
    /// fit the offer is logged and means silence.
    pub fn accept(mut self, streams: Vec<StreamAdmission>) {
        self.reply.post(Verdict::Accept(streams));
    }

    /// Tells the device why not.
    pub fn refuse(mut self, reason: CloseReason) {
        self.reply.post(Verdict::Refuse(reason));
    }
}

impl fmt::Debug for HelloRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelloRequest")
            .field("session", &self.session)
            .field("device", &self.device)
            .field("proof", &self.proof)
            .field("boot_epoch", &self.boot_epoch)
            .field("peer", &self.peer)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// What the application decided.
#[derive(Debug)]
pub(crate) enum Verdict {
    Accept(Vec<StreamAdmission>),
    Refuse(CloseReason),
    Silence,
}

/// The way back to the shard. It answers exactly once, so that the shard's place for the request
/// is always freed: by a verdict, or by silence when it is dropped.
pub(crate) struct Reply {
    session: SessionKey,
    mailbox: Option<Arc<Mailbox>>,
}

impl Reply {
    pub(crate) fn new(session: SessionKey, mailbox: Arc<Mailbox>) -> Self {
        Self { session, mailbox: Some(mailbox) }
    }

    fn post(&mut self, verdict: Verdict) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.answer(self.session, verdict);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.post(Verdict::Silence);
    }
}
