//! What one device accepted, what of it was committed, and how long that took.

use core::time::Duration;
use sensor_app::{Observer, Reading};
use std::collections::VecDeque;
use whimbrel_core::{CloseReason, Event, GatewayPublic, Instant, MessageId, StreamEpoch, StreamId};

/// A device's account, kept from what the session says.
#[derive(Debug, Default)]
pub struct Tally {
    /// The sequence number of each accepted reading, in order of acceptance.
    accepted: Vec<u64>,
    /// Accepted and not yet committed: the number, and when it was accepted.
    waiting: VecDeque<(u64, Instant)>,
    latencies: Vec<Duration>,
    payload_bytes: u64,
    /// The epochs that the device's stream had in this run, in order.
    epochs: Vec<StreamEpoch>,
    closed: Option<CloseReason>,
    raised: Option<u32>,
    gateway_key: Option<GatewayPublic>,
}

impl Tally {
    /// The sequence number of each accepted reading, in order of acceptance.
    pub fn accepted(&self) -> &[u64] {
        &self.accepted
    }

    /// How many of them were committed.
    pub fn committed(&self) -> usize {
        self.latencies.len()
    }

    /// For each committed reading, the time from its acceptance to the commit's arrival at the device.
    pub fn latencies(&self) -> &[Duration] {
        &self.latencies
    }

    /// Bytes of the accepted payloads.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// The epochs that the stream had in this run: more than one when the gateway lost its memory meanwhile.
    pub fn epochs(&self) -> &[StreamEpoch] {
        &self.epochs
    }

    /// Why the session was closed for good, if it was.
    pub fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// The boot epoch that is to be stored before the session goes on; told once.
    pub fn take_raised(&mut self) -> Option<u32> {
        self.raised.take()
    }

    /// The gateway's new key, to be stored; told once.
    pub fn take_gateway_key(&mut self) -> Option<GatewayPublic> {
        self.gateway_key.take()
    }

    fn committed_below(&mut self, now: Instant, stream: StreamId, next: u64) {
        if stream != sensor_app::CHANNEL.live() {
            return;
        }
        while let Some((_, at)) = self.waiting.front().copied().filter(|(seq, _)| *seq < next) {
            self.waiting.pop_front();
            self.latencies.push(Duration::from_micros(now.saturating_since(at).as_micros()));
        }
    }
}

impl Observer for Tally {
    fn on_accepted(&mut self, now: Instant, id: MessageId, reading: &Reading) {
        self.accepted.push(id.seq.value());
        self.waiting.push_back((id.seq.value(), now));
        let mut buf = [0; Reading::ENCODED_MAX];
        self.payload_bytes += reading.encode(&mut buf).map_or(0, |payload| payload.len() as u64);
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Committed { stream, next } => self.committed_below(now, stream, next.value()),
            Event::StreamOpened { stream, epoch }
                if stream == sensor_app::CHANNEL.live() && !self.epochs.contains(&epoch) =>
            {
                self.epochs.push(epoch);
            }
            Event::Closed { reason } => self.closed = Some(reason),
            Event::BootEpochRaised { epoch } => self.raised = Some(epoch),
            Event::GatewayKey { key } => self.gateway_key = Some(key),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sensor_app::{CHANNEL, Decimal};
    use whimbrel_core::SeqNo;

    #[test]
    fn commits_are_matched_with_what_was_accepted() {
        let zero = Decimal::default();
        let reading = Reading {
            date: 0,
            temperature: zero,
            humidity: zero,
            light: zero,
            co2: zero,
            humidity_ratio: zero,
            occupancy: false,
        };
        let mut tally = Tally::default();
        for seq in 0..3 {
            let id = MessageId { stream: CHANNEL.live(), seq: SeqNo::new(seq) };
            tally.on_accepted(Instant::from_millis(seq * 10), id, &reading);
        }
        assert_eq!(tally.payload_bytes(), 3 * 12);
        let commit = |next| Event::Committed { stream: CHANNEL.live(), next: SeqNo::new(next) };
        tally.on_event(Instant::from_millis(25), commit(2));
        tally.on_event(Instant::from_millis(26), commit(2));
        assert_eq!(tally.latencies(), [Duration::from_millis(25), Duration::from_millis(15)]);
        assert_eq!((tally.accepted().len(), tally.committed()), (3, 2));
    }
}
