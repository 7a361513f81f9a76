//! Simulated sensor devices: the sensor application on a real smoltcp stack, a virtual Ethernet with a bad
//! link, and real UDP behind it.
//!
//! ```text
//! sensor-app + whimbrel-smoltcp (node) == link, both ways (link, corrupt) == router or TAP == UDP == gateway
//! ```
//!
//! [`sim::run`] is one whole run: readings from a CSV file ([`replay`]), devices with keys ([`fleet`]) in real time
//! ([`run`]), and at its end a look into the database ([`verify`]). [`link`] and [`faults`] are the link model alone, which
//! knows no clock: the deterministic tests use it in virtual time.
#![forbid(unsafe_code)]

pub mod capture;
pub mod collector;
mod corrupt;
mod error;
pub mod ethernet;
pub mod faults;
pub mod flash;
pub mod fleet;
mod frame;
pub mod link;
pub mod node;
pub mod replay;
pub mod report;
pub mod router;
pub mod run;
pub mod sim;
pub mod tally;
pub mod tap;
pub mod verify;

pub use error::SimError;
