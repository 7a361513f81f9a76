//! Cores at both ends, bad links between them, virtual time, and oracles that look on.
//!
//! ```text
//! load -> device == uplink, downlink (firmware_sim::link) == gateway -> sink
//!            \_____________________ oracle ______________________/
//! ```
//!
//! [`World`] jumps from one deadline to the next, and one seed determines all of it. An [`oracle::Oracle`]
//! sees what each device and its gateway accepted, handed on and stored, and fails the test at once when the
//! two disagree. A test that fails says its seed.

pub mod clock;
pub mod delays;
pub mod device;
pub mod flash;
pub mod flood;
pub mod gateway;
pub mod keys;
pub mod load;
pub mod memory;
pub mod network;
pub mod oracle;
pub mod setup;
pub mod sink;
pub mod storm;
pub mod tally;
pub mod trace;
pub mod world;

pub use memory::Preset;
pub use setup::{CHANNEL, Setup};
pub use world::World;
