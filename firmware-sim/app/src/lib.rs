//! The sensor application: takes readings from a [`Source`] at its rate and sends them on a durable channel.
//!
//! `no_std`, no allocation: the simulator and a bare-metal image link this same package. It knows neither
//! sockets nor clocks; the caller moves the session's datagrams and tells the time.
#![no_std]
#![forbid(unsafe_code)]

mod app;
mod decimal;
mod reading;
mod source;

pub use app::{App, Observer};
pub use decimal::{Decimal, NotANumber};
pub use reading::Reading;
pub use source::Source;

use whimbrel_core::{ChannelConfig, ChannelId, SchemaId};

/// The channel of the readings.
pub const CHANNEL: ChannelId = match ChannelId::new(1) {
    Some(channel) => channel,
    None => panic!("1 is a channel number"),
};

/// The schema of the readings: [`Reading`], encoded by postcard.
pub const SCHEMA: SchemaId = SchemaId::named("occupancy/1");

/// What the device sends on: every reading in the collector's database exactly once, in order.
pub const CHANNELS: [ChannelConfig; 1] = [ChannelConfig::durable(CHANNEL, SCHEMA)];
