//! Whimbrel's gateway: takes readings from devices over UDP and stores each exactly once.
//!
//! [`Gateway`] joins an endpoint of `whimbrel_tokio` to a [`sink::Sink`]. All database work is
//! done by one thread of its own: it takes what is waiting, stores it in one durable transaction
//! together with the streams' watermarks, and only then lets the endpoint say COMMIT. A sink that
//! fails is tried again; meanwhile nothing is acknowledged, the bounded queue fills up, and the
//! devices keep what they have.
//!
//! The program `whimbrel` is a thin shell around this library.

pub mod command;
mod config;
mod control;
mod counters;
mod database;
mod error;
mod inbox;
mod persist;
pub mod registry;
pub mod schema;
mod serve;
pub mod sink;
mod start;
mod utc;
mod worker;

pub use config::GatewayConfig;
pub use counters::Stored;
pub use error::{DatabaseError, GatewayError};
pub use serve::Gateway;
