//! What can go wrong, and whose fault it is.

use core::net::SocketAddr;
use std::io;

use whimbrel_core::{ConfigError, SendError};

/// Why an endpoint could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The address cannot be listened on: in use, not ours, not permitted.
    #[error("cannot listen on udp {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A number in the configuration is out of its range.
    #[error("{what} must be in {min}..={max}")]
    Limit {
        /// Which one.
        what: &'static str,
        /// The least it may be.
        min: usize,
        /// The most it may be.
        max: usize,
    },
    /// A downlink channel is durable, which this version does not do.
    #[error("a downlink channel cannot be durable")]
    DurableDownlink,
    /// The system has no random bytes for us.
    #[error("cannot get random bytes: {0}")]
    Random(getrandom::Error),
}

/// Why a downlink message was not accepted. Nothing was stored; the caller still has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownlinkError {
    /// The session is gone, or not established yet.
    #[error("no such session")]
    UnknownSession,
    /// The endpoint is shut down.
    #[error("the endpoint is shut down")]
    Closed,
    /// The session did not take it.
    #[error(transparent)]
    Refused(#[from] SendError),
}

/// What can go wrong at a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The socket could not be made or connected.
    #[error("cannot connect udp to {address}: {source}")]
    Connect {
        /// The gateway's address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The channels or the tunables do not fit a session.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system has no random bytes for us.
    #[error("cannot get random bytes: {0}")]
    Random(getrandom::Error),
    /// The message will never be accepted.
    #[error(transparent)]
    Refused(SendError),
    /// The session is closed for good.
    #[error("the session is closed")]
    Closed,
    /// The deadline came first; the gateway may or may not have what was still queued.
    #[error("messages not confirmed by the deadline: {queued}")]
    Unfinished {
        /// Messages accepted but not acknowledged (durable ones: not committed).
        queued: usize,
    },
}
