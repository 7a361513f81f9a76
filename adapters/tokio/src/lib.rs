//! Whimbrel over UDP on tokio.
//!
//! [`Endpoint`] is the gateway's side: many sessions on a few sockets, one task per shard and none
//! per session. [`Client`] is a device's side on a host: one session, one socket, one task.
//!
//! Both move bytes, time and wake-ups; what to say on the wire is decided by `whimbrel_core` alone.
//!
//! Memory is bounded by [`EndpointConfig`]: every queue towards the application is, and a full
//! one pushes back through the sessions' credit to the devices, which keep what was not taken.

mod answer;
mod client;
mod clock;
mod config;
mod endpoint;
mod error;
mod event;
mod hello;
mod limits;
mod mailbox;
mod protection;
mod shard;
mod socket;
mod stats;

pub use client::{Client, ClientConfig, ClientEvent, ClientSender};
pub use config::EndpointConfig;
pub use endpoint::{Endpoint, Handle};
pub use error::{ClientError, DownlinkError, EndpointError};
pub use event::{Committed, Events, GatewayEvent, Reading, SessionKey};
pub use hello::HelloRequest;
/// The type of the networks in [`AccessLists`].
pub use ipnet::IpNet;
pub use limits::{AccessLists, Limits, PrefixLengths, Rate, StrikeLimits};
pub use protection::{DeviceRecord, Directory, Proof, Protection};
pub use stats::EndpointStats;
