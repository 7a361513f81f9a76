//! What a session tells its caller.

use crate::{SeqNo, StreamEpoch, StreamId};

/// Something the application may want to know. Events are states, not a log: two changes of the
/// same thing before a poll come as one, so that no event can be lost in bounded memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The handshake is done; data flows.
    Established,
    /// An outgoing stream got its epoch; its messages are named (channel, epoch, seq) from here on.
    StreamOpened {
        /// The stream.
        stream: StreamId,
        /// Its epoch.
        epoch: StreamEpoch,
    },
    /// Everything below `next` arrived at the peer (streams that are not durable).
    Acknowledged {
        /// The stream.
        stream: StreamId,
        /// The first message that has not arrived.
        next: SeqNo,
    },
    /// Everything below `next` is stored by the peer; the journal let go of it.
    Committed {
        /// The stream.
        stream: StreamId,
        /// The first message that is not stored.
        next: SeqNo,
    },
    /// Messages were given up here since the last such event: their deadline passed, or the peer of a new
    /// session cannot take them. The ledger says of how many that is known, and why.
    Dropped {
        /// The stream.
        stream: StreamId,
        /// How many.
        count: u16,
    },
    /// There is room again after [`crate::SendError::Full`].
    QueueFreed,
    /// The peer lost its state or left; the session is being opened again by itself.
    PeerRestarted,
    /// The gateway has seen a higher boot epoch from this device than it knew itself; its counter was erased, or set
    /// back. Store this one, then call [`crate::Session::boot_epoch_stored`]: nothing is sent before.
    #[cfg(feature = "seal")]
    BootEpochRaised {
        /// The boot epoch to store.
        epoch: u32,
    },
    /// The gateway has another public key. Store it before the one in use ([`crate::Credentials::nk`]), and keep that one
    /// second ([`crate::Credentials::with_second`]); the session does so by itself.
    #[cfg(feature = "nk")]
    GatewayKey {
        /// The key.
        key: crate::GatewayPublic,
    },
    /// The peer, or the application here, closed the session for good.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The application here asked for it.
    Local,
    /// The peer's application is done.
    Done,
    /// The peer goes away and will come back; a device opens the session again by itself.
    GoingAway,
    /// The peer refused this device.
    Refused,
    /// The peer speaks no version that we speak.
    Version,
    /// A newer session of the same device took over.
    Superseded,
    /// The keys are of no use: none of the gateway's public keys is one, or too many packets did not open.
    Keys,
    /// The gateway's ACCEPT would be longer than the device takes, or more than three times as long as the HELLO; fewer
    /// downlink channels are needed.
    AcceptTooLong,
}
