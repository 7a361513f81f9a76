//! The gateway's next public key.
//!
//! ```text
//! 0x17 GATEWAY_KEY  key (32)
//! ```

use super::{Writer, kind};
use crate::BufferTooSmall;

/// Appends a GATEWAY_KEY.
///
/// # Errors
/// When it does not fit.
pub fn emit_gateway_key(key: &[u8; 32], w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.whole(|w| {
        w.u8(kind::GATEWAY_KEY)?;
        w.put(key)
    })
}
