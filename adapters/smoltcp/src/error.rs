//! What a caller can set up wrongly.

use core::fmt;

/// Why the driver cannot work with what it was given. Nothing was taken from the session or the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DriverError {
    /// The peer's address or port is unspecified: no packet could ever be sent to it.
    PeerUnspecified,
    /// The socket is not bound.
    SocketClosed,
    /// The socket's transmit buffer holds fewer than `payload` bytes or fewer than `packets` packets.
    SocketTooSmall {
        /// Bytes of payload it must hold.
        payload: usize,
        /// Packet descriptors it must hold.
        packets: usize,
    },
    /// The scratch buffer is shorter than `min` bytes.
    ScratchTooSmall {
        /// The shortest that will do.
        min: usize,
    },
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerUnspecified => f.write_str("the peer's address or port is unspecified"),
            Self::SocketClosed => f.write_str("the UDP socket is not bound"),
            Self::SocketTooSmall { payload, packets } => {
                write!(f, "the UDP socket's transmit buffer is smaller than {payload} bytes or {packets} packets")
            }
            Self::ScratchTooSmall { min } => {
                write!(f, "the scratch buffer is shorter than {min} bytes")
            }
        }
    }
}

impl core::error::Error for DriverError {}
