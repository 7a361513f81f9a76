//! What a client is told, and what it tells.

use core::net::SocketAddr;

use whimbrel_core::{Config, Event, SchemaId, SeqNo, StreamEpoch, StreamId};

/// The tunables of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The tunables of the session.
    pub core: Config,
    /// The address on this host; default any.
    pub bind: Option<SocketAddr>,
    /// Events that wait for the application. At least 1; default 256.
    pub event_capacity: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self { core: Config::default(), bind: None, event_capacity: 256 }
    }
}

/// What happens at a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The session's state changed.
    Session(Event),
    /// A message of the gateway.
    Message {
        /// Its stream.
        stream: StreamId,
        /// The stream's epoch.
        epoch: StreamEpoch,
        /// Its number in the stream.
        seq: SeqNo,
        /// What the payload means.
        schema: SchemaId,
        /// What the gateway sent.
        payload: Vec<u8>,
    },
}
