//! Why a handshake fails.

use core::fmt;

/// Why a step of a handshake was refused. Says nothing that a stranger could not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    /// The pattern asks for the gateway's key, and there is none.
    NoGatewayKey,
    /// A public key of small order: the shared secret would be zeros (RFC 7748 section 6.1).
    WeakKey,
    /// The message is not from who it should be, or not for this handshake, or was changed on its way.
    NotAuthentic,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoGatewayKey => "the pattern asks for the gateway's key",
            Self::WeakKey => "a public key of small order",
            Self::NotAuthentic => "not authentic",
        })
    }
}

impl core::error::Error for SealError {}
