//! Whimbrel over any byte stream, a UART or a TCP connection: `no_std`, no allocation.
//!
//! A [`Framer`] packs the packets of one [`whimbrel_core::Session`], a device's or a gateway's ([`End`]),
//! into COBS frames with a CRC ([`whimbrel_core::stream`]), so that a line that loses, spoils or makes up bytes
//! costs packets, which the session repairs.
//! It does no I/O of its own; two thin faces drive it:
//!
//! - [`Framer::poll_ingress`] and [`Framer::poll_egress`] over [`embedded_io`], for a main loop;
//! - [`Framer::run`] over [`embedded_io_async`], for any executor.
//!
//! ```text
//! loop {
//!     framer.poll_ingress(now, &mut port, &mut session, ..)   // bytes that are ready, and their packets
//!     // .. the application sends ..
//!     framer.poll_egress(now, &mut port, &mut session)        // timeouts, packets, bytes
//!     // sleep until framer.poll_at(..), or until the port has bytes
//! }
//! ```
//!
//! Neither face flushes: where the writer holds bytes back until it is told, the caller wraps or flushes it.
#![no_std]
#![forbid(unsafe_code)]

mod async_face;
mod end;
mod error;
mod framer;
mod sync_face;

pub use end::{End, Gateway};
pub use error::StreamError;
pub use framer::Framer;
