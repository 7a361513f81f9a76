//! Proof that an address is reachable (RFC 9000 sections 19.17 and 19.18).
//!
//! ```text
//! 0x15 PATH_CHALLENGE  token (8)
//! 0x16 PATH_RESPONSE   token (8): that of the challenge
//! ```

use super::{Writer, kind};
use crate::BufferTooSmall;

/// Appends a PATH_CHALLENGE.
///
/// # Errors
/// When it does not fit.
pub fn emit_path_challenge(token: u64, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    emit(kind::PATH_CHALLENGE, token, w)
}

/// Appends a PATH_RESPONSE.
///
/// # Errors
/// When it does not fit.
pub fn emit_path_response(token: u64, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    emit(kind::PATH_RESPONSE, token, w)
}

fn emit(kind: u8, token: u64, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.whole(|w| {
        w.u8(kind)?;
        w.u64(token)
    })
}
