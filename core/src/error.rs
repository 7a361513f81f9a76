//! What can go wrong, and what the caller can do about it. What a peer does wrong is counted instead ([`crate::Stats`]).

use core::fmt;

/// Why bytes are not what the protocol says they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the item does.
    Truncated,
    /// A known item with a field outside its range.
    Invalid,
    /// A second way to say what has one canonical encoding.
    NotCanonical,
    /// A type or flag that this version does not define.
    Unknown,
    /// A version other than ours.
    Version,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the bytes end too early",
            Self::Invalid => "a field is outside its range",
            Self::NotCanonical => "the encoding is not the canonical one",
            Self::Unknown => "the type or flag is not defined",
            Self::Version => "the version is not supported",
        })
    }
}

impl core::error::Error for DecodeError {}

/// Output buffer too short for what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferTooSmall;

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffer is too small")
    }
}

impl core::error::Error for BufferTooSmall {}

/// Why a message was not accepted. Nothing was stored; the caller still has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No room now; try again after [`crate::Event::QueueFreed`].
    Full,
    /// Longer than `max` bytes, the most that this session's memory and its peer take.
    TooLong {
        /// The longest payload, in bytes.
        max: usize,
    },
    /// No channel of that number is configured for sending.
    UnknownChannel,
    /// A lifetime below 2 ms or above 2^31 - 1 ms (24 days).
    Lifetime,
    /// The value could not be encoded (typed messages only).
    Encode,
    /// The session is closed for good.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("no room for another message now"),
            Self::TooLong { max } => write!(f, "the message is longer than {max} bytes"),
            Self::UnknownChannel => f.write_str("no such channel is configured for sending"),
            Self::Lifetime => f.write_str("a lifetime is from 2 to 2147483647 ms"),
            Self::Encode => f.write_str("the value could not be encoded"),
            Self::Closed => f.write_str("the session is closed"),
        }
    }
}

impl core::error::Error for SendError {}

/// Why a session cannot be made from this configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// More streams than the memory preset holds.
    TooManyChannels {
        /// How many it holds in that direction.
        max: usize,
    },
    /// The same channel twice in one direction.
    DuplicateChannel,
    /// `durable` on a channel that is not ordered.
    DurableUnordered,
    /// `max_datagram` outside [`crate::Config::MIN_DATAGRAM`]..=[`crate::Config::MAX_DATAGRAM`].
    DatagramSize,
    /// The channels do not fit into one handshake packet of `max_datagram` bytes.
    HandshakeTooLong,
    /// The admission does not name every stream that the HELLO offers.
    Admission,
    /// The device's ephemeral key is none: the shared secret is zero.
    Handshake,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyChannels { max } => write!(f, "the memory preset holds {max} channels in this direction"),
            Self::DuplicateChannel => f.write_str("a channel is configured twice"),
            Self::DurableUnordered => f.write_str("only an ordered channel can be durable"),
            Self::DatagramSize => f.write_str("the datagram size is outside 127..=1452 bytes"),
            Self::Admission => f.write_str("the admission does not name every stream of the HELLO"),
            Self::Handshake => f.write_str("the handshake failed"),
            Self::HandshakeTooLong => f.write_str("the channels do not fit into one handshake packet"),
        }
    }
}

impl core::error::Error for ConfigError {}
