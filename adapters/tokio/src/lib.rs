//! Whimbrel over UDP on tokio.
//!
//! [`Endpoint`] is the gateway's side: many sessions on a few sockets, one task per shard and none
//! per session. [`Client`] is a device's side on a host: one session, one socket, one task.
//!
//! Both move bytes, time and wake-ups; what to say on the wire is decided by `whimbrel_core` alone.
//!
//! Sessions are sealed: an endpoint has keys, and a [`Directory`] that knows the devices' keys.
//!
//! ```no_run
//! # use std::{collections::HashMap, sync::{Arc, RwLock}};
//! # use whimbrel_core::{DeviceId, GatewayKeys, GatewaySecret};
//! # use whimbrel_tokio::{DeviceRecord, Directory, Endpoint, EndpointConfig, EndpointError, GatewayEvent, Protection};
//! struct Devices(RwLock<HashMap<DeviceId, DeviceRecord>>);
//!
//! impl Directory for Devices {
//!     fn find(&self, device: DeviceId) -> Option<DeviceRecord> {
//!         self.0.read().ok()?.get(&device).cloned()
//!     }
//! }
//!
//! # async fn serve(devices: Arc<Devices>, secret: GatewaySecret, reset: [u8; 32]) -> Result<(), EndpointError> {
//! let protection = Protection::sealed(devices, GatewayKeys::new(secret, reset));
//! let address = "0.0.0.0:5683".parse().expect("an address");
//! let (endpoint, mut events) = Endpoint::bind(address, protection, EndpointConfig::default()).await?;
//! while let Some(event) = events.recv().await {
//!     match event {
//!         GatewayEvent::Hello(hello) => { /* store hello.proof's counter and the streams' epochs, then hello.accept(..) */ }
//!         GatewayEvent::Readings(readings) => { /* store them, then endpoint.handle().commit(..) */ }
//!         GatewayEvent::Closed { .. } => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Memory is bounded by [`EndpointConfig`]: every queue towards the application is, and a full
//! one pushes back through the sessions' credit to the devices, which keep what was not taken. What each
//! network and each device may take of it all is bounded by [`Limits`], which have safe defaults.

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
