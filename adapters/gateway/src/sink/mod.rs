//! Where readings go: the seam between the gateway and a store.

mod name;
pub mod sqlite;

use whimbrel_core::{DeviceId, DeviceKey, OfferedStream, SchemaId, SeqNo, StreamAdmission, StreamEpoch, StreamId};

use crate::Stored;

pub use name::device_name;
pub(crate) use name::device_named;

/// A store that keeps each reading once and knows, for each stream, how far it got.
///
/// What a call reports as done is durable: it survives the loss of power. A call that fails has
/// changed nothing and may be repeated as it was.
pub trait Sink: Send {
    /// Names the streams that a device offers and says from where each goes on; the answer has one
    /// admission per stream, in the same order. Epochs are allocated here, durably, and a sealed
    /// handshake's counter is used up.
    fn admit(&mut self, request: &SessionRequest<'_>) -> Result<Vec<StreamAdmission>, AdmitError>;

    /// Stores a batch, whole or not at all, together with the watermarks of its streams. Readings
    /// of a stream come in its order.
    fn store(&mut self, batch: &[Reading]) -> Result<Batch, SinkError>;

    /// Flushes and closes. Everything stored is durable before this already.
    fn close(self: Box<Self>) -> Result<(), SinkError>;
}

/// A device asks for a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionRequest<'a> {
    /// Who asks.
    pub device: DeviceId,
    /// How many times it has booted.
    pub boot_epoch: u32,
    /// The streams that it offers.
    pub streams: &'a [OfferedStream],
    /// How it proved who it is; `None` in plain mode: it did not.
    pub proof: Option<Proof<'a>>,
}

/// How a device proved who it is.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The number of the handshake, larger than those of all before.
    pub counter: u64,
    /// The device's key that it was made with.
    pub key: &'a DeviceKey,
    /// The short id of the gateway's key that it was made with; `None` where the pattern has none.
    pub gateway_key: Option<u8>,
}

/// One reading on its way into a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whose it is.
    pub device: DeviceId,
    /// Its stream.
    pub stream: StreamId,
    /// The stream's epoch.
    pub epoch: StreamEpoch,
    /// Its number in the stream.
    pub seq: SeqNo,
    /// On an ordered stream, those from here to `seq` were given up by the device; on others it is `seq`.
    pub after: SeqNo,
    /// What the payload means.
    pub schema: SchemaId,
    /// When it came, in microseconds since 1970-01-01T00:00:00 UTC.
    pub received_at: i64,
    /// What the device sent.
    pub payload: Vec<u8>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// How far each stream of the batch is stored now.
    pub watermarks: Vec<Watermark>,
    /// What was stored and what was not. `batches` is 1.
    pub counts: Stored,
}

/// Everything of a stream below `next` is stored, or was dropped by the device itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// Whose stream.
    pub device: DeviceId,
    /// The stream.
    pub stream: StreamId,
    /// Its epoch.
    pub epoch: StreamEpoch,
    /// The first number that is not stored.
    pub next: SeqNo,
}

/// What a store said when it failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SinkError(Box<dyn core::error::Error + Send + Sync>);

impl SinkError {
    /// From the store's own error.
    pub fn new(error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl From<rusqlite::Error> for SinkError {
    fn from(error: rusqlite::Error) -> Self {
        Self::new(error)
    }
}

/// Why a device was not admitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// The store failed; the device may ask again.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// It is no device that may connect, or its key is not good any more: since the handshake was
    /// checked, it was revoked or got another key.
    #[error("the device was revoked or has another key by now")]
    Revoked,
    /// A handshake that is not newer than the last one.
    #[error("the handshake's counter was used before")]
    Counter,
    /// A number that the store cannot hold: above 2^63 - 1.
    #[error("stream {} starts at {}, which cannot be stored", stream.to_wire(), base.value())]
    Number {
        /// The stream.
        stream: StreamId,
        /// Its base.
        base: SeqNo,
    },
    /// All 2^32 - 1 epochs of a channel are used up.
    #[error("channel {channel} has no epoch left")]
    NoEpoch {
        /// The channel's number.
        channel: u8,
    },
}

impl From<rusqlite::Error> for AdmitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sink(error.into())
    }
}
