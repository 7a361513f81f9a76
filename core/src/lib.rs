//! Reliable, ordered, exactly-once messages over datagrams, for devices and gateways.
//!
//! No standard library, no allocation, no unsafe code, no clock, no socket: the caller moves bytes
//! and tells the time. [`Session`] is one peer; its documentation is the contract. Memory is the
//! caller's: [`Small`], [`Medium`] and [`Large`] are presets of at most 2, 8 and 32 KiB a session,
//! [`Uplink`] one of 8 KiB for much to send and little to receive, [`Host`] one of 64 KiB for a gateway.
//!
//! Features: `nk` (sealed sessions) and `plain` (the plain mode), both on by default. `seal`, part of `nk`: without
//! `nk`, sealed sessions of devices in the small profile, Noise `NNpsk0`, alone, for firmware that is short of flash.
//! Without any of these no session can be made. `typed` (messages as serde types, by postcard).
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(any(feature = "plain", feature = "seal")), allow(dead_code, unused, unreachable_code))]

mod channel;
mod config;
mod error;
mod event;
#[cfg(feature = "seal")]
pub mod gate;
mod id;
mod journal;
mod ledger;
mod memory;
mod recovery;
mod seal;
mod seq;
mod session;
mod stats;
pub mod stream;
mod time;
#[cfg(feature = "typed")]
mod typed;
pub mod wire;

pub use config::{ChannelConfig, Config, Delivery, Identity, Priority, Redundancy, SendOptions};
pub use error::{BufferTooSmall, ConfigError, DecodeError, SendError};
pub use event::{CloseReason, Event};
pub use id::{ChannelId, ConnectionId, DeviceId, PathId, SchemaId, StreamEpoch, StreamId};
pub use ledger::{Ledger, ReceivedLedger};
pub use memory::{Host, Inline, Large, Medium, Memory, Parts, Small, Uplink};
pub use seal::{BootEpoch, BootEpochError, BootEpochStorage, Opened, next_boot_epoch};
#[cfg(feature = "seal")]
pub use seal::{Cookies, Credentials, DeviceKey, GatewayKeys, GatewayPublic, GatewaySecret, Pattern};
pub use seq::{PacketNumber, SeqNo};
pub use session::{Admission, Message, MessageId, Received, Session, StreamAdmission, Transmit};
#[cfg(feature = "seal")]
pub use session::{Dormant, ResumeError, Snapshot, SuspendError};
pub use stats::{Dropped, Stats};
pub use time::{Duration, Instant};
pub use wire::{Hello, Offer, OfferedStream, Protection, Route, refuse, reset, route};
