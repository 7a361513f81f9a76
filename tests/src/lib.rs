//! Two cores, a device's and a gateway's, with a bad link between them, in virtual time.
//!
//! ```text
//! load -> device == uplink, downlink (firmware_sim::link) == gateway -> sink
//!            \_____________________ oracle ______________________/
//! ```
//!
//! [`Pair`] is the world: it jumps from one deadline to the next, and one seed determines all of it. The
//! [`oracle::Oracle`] sees what the device accepted and what the sink stored, and fails the test at once
//! when the two disagree. A test that fails says its seed.

pub mod gateway;
pub mod memory;
pub mod oracle;
pub mod pair;
pub mod setup;
pub mod sink;

pub use memory::Preset;
pub use pair::Pair;
pub use setup::{CHANNEL, Setup};
