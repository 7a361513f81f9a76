//! Whimbrel over a smoltcp UDP socket: `no_std`, no allocation.
//!
//! [`Driver`] moves datagrams between one [`whimbrel_core::Session`] and one UDP socket. It owns
//! neither the interface nor the socket, so that a board keeps its own network set-up:
//!
//! ```text
//! loop {
//!     driver.poll_ingress(now, &mut wire, ..)   // frames in, one by one; each is handed on before the next
//!     // .. the application sends ..
//!     driver.poll_egress(now, &mut wire, ..)    // timeouts, packets out, frames out
//!     // sleep until driver.poll_at(..) or the next frame
//! }
//! ```
//!
//! Work per call is bounded ([`Driver::RECEIVE_MAX`], [`Driver::TRANSMIT_MAX`]); what is left over makes
//! [`Driver::poll_at`] answer "now". A caller that polls its interface elsewhere uses [`Driver::receive`]
//! and [`Driver::transmit`] alone.
#![no_std]
#![forbid(unsafe_code)]

mod clock;
mod driver;
mod error;
mod wire;

pub use clock::{from_smoltcp, to_smoltcp};
pub use driver::{Driver, DriverStats};
pub use error::DriverError;
pub use wire::Wire;
