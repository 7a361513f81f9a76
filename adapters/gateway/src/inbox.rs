//! What the sink's thread takes from the endpoint at a time.

use std::collections::HashMap;

use tracing::debug;
use whimbrel_core::{DeviceId, StreamEpoch, StreamId};
use whimbrel_tokio::{GatewayEvent, HelloRequest, SessionKey};

use crate::sink::{Reading, SinkError};
use crate::utc::micros;

/// What was in hand at the end and could not be stored.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) reason: Option<SinkError>,
    /// Readings that their devices still have.
    pub(crate) kept: u64,
    /// Readings of channels that are not durable.
    pub(crate) lost: u64,
}

/// What was taken from the queue together.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) readings: Vec<Reading>,
    /// The newest session of each durable stream among them: who is to be told.
    pub(crate) sessions: HashMap<(DeviceId, StreamId, StreamEpoch), SessionKey>,
    pub(crate) hellos: Vec<HelloRequest>,
}

impl Inbox {
    pub(crate) fn take(&mut self, event: GatewayEvent) {
        match event {
            GatewayEvent::Hello(hello) => self.hellos.push(hello),
            GatewayEvent::Readings(readings) => {
                for reading in readings {
                    let key = (reading.device, reading.stream, reading.epoch);
                    if reading.durable {
                        self.sessions.insert(key, reading.session);
                    }
                    self.readings.push(row(reading));
                }
            }
            GatewayEvent::Closed { device, .. } => debug!(%device, "session closed"),
        }
    }

    /// Counts what was not stored, from the reading at `start` on.
    pub(crate) fn count(&self, start: usize, left: &mut Left) {
        for reading in self.readings.iter().skip(start) {
            if self.sessions.contains_key(&(reading.device, reading.stream, reading.epoch)) {
                left.kept += 1;
            } else {
                left.lost += 1;
            }
        }
    }
}

fn row(reading: whimbrel_tokio::Reading) -> Reading {
    Reading {
        device: reading.device,
        stream: reading.stream,
        epoch: reading.epoch,
        seq: reading.seq,
        after: reading.after,
        schema: reading.schema,
        received_at: micros(reading.received_at),
        payload: reading.payload,
    }
}
