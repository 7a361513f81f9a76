//! The application at both ends of a flow: what it sends, and what it sees of it.

use crate::flow::Flow;
use whimbrel_core::{Duration, Instant};

/// When messages are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One each interval, from when the flow is ready. What the protocol has no room for waits, and ages.
    Every(Duration),
    /// As fast as the protocol takes them, from the flow's beginning: the handshake counts.
    Flood,
}

/// A number of messages on one lane, each with its number inside.
#[derive(Debug)]
pub(crate) struct Load {
    lane: usize,
    size: usize,
    count: usize,
    pace: Pace,
    /// When the first message was due.
    start: Option<Instant>,
    /// Those that the protocol took.
    offered: usize,
    /// When each message was made.
    created: Vec<Instant>,
    /// When each message came out.
    delivered: Vec<Instant>,
}

impl Load {
    /// As much as the flow takes, for ever.
    pub(crate) fn endless(lane: usize, size: usize) -> Self {
        Self::new(lane, size, usize::MAX, Pace::Flood)
    }

    /// `count` messages of `size` bytes, at least 4.
    pub(crate) fn new(lane: usize, size: usize, count: usize, pace: Pace) -> Self {
        Self { lane, size, count, pace, start: None, offered: 0, created: Vec::new(), delivered: Vec::new() }
    }

    /// The lane.
    pub(crate) fn lane(&self) -> usize {
        self.lane
    }

    /// When the first message was due; `None` before.
    pub(crate) fn start(&self) -> Option<Instant> {
        self.start
    }

    /// Whether all messages came out.
    pub(crate) fn is_done(&self) -> bool {
        self.delivered.len() == self.count
    }

    /// When each message came out, so far.
    pub(crate) fn delivered(&self) -> &[Instant] {
        &self.delivered
    }

    /// Payload bytes that came out from `from` to before `to`.
    pub(crate) fn delivered_within(&self, from: Instant, to: Instant) -> usize {
        let before = |time: Instant| self.delivered.partition_point(|delivered| *delivered < time);
        (before(to) - before(from)) * self.size
    }

    /// Microseconds from made to delivered, of each message that came out.
    pub(crate) fn latencies(&self) -> Vec<u64> {
        let both = self.delivered.iter().zip(&self.created);
        both.map(|(delivered, created)| delivered.saturating_since(*created).as_micros()).collect()
    }

    /// When the next message is made.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let Pace::Every(interval) = self.pace else { return None };
        let start = self.start.filter(|_| self.created.len() < self.count)?;
        Some(start + Duration::from_micros(interval.as_micros() * self.created.len() as u64))
    }

    /// Makes what is due, and gives what the flow takes. Whether it took anything.
    pub(crate) fn run(&mut self, now: Instant, flow: &mut dyn Flow) -> bool {
        if self.start.is_none() && (self.pace == Pace::Flood || flow.is_ready()) {
            self.start = Some(now);
        }
        while self.next_deadline().is_some_and(|due| due <= now) {
            self.created.push(now);
        }
        let before = self.offered;
        while self.start.is_some() && self.offered < self.count {
            if self.offered == self.created.len() && self.pace != Pace::Flood {
                break;
            }
            if !flow.offer(now, self.lane, &self.message(self.offered)) {
                break;
            }
            if self.offered == self.created.len() {
                self.created.push(now);
            }
            self.offered += 1;
        }
        self.offered > before
    }

    /// A message came out.
    ///
    /// # Panics
    /// When it is not the next one, or not what was given: a protocol, or this bench, is broken.
    pub(crate) fn take(&mut self, now: Instant, message: &[u8]) {
        let due = self.delivered.len();
        assert!(
            message == self.message(due),
            "lane {}: {} bytes that begin {:?} came out where message {due} was due",
            self.lane,
            message.len(),
            &message[..message.len().min(8)]
        );
        self.delivered.push(now);
    }

    /// Message `number`: its number, and bytes that differ from those of its neighbours.
    fn message(&self, number: usize) -> Vec<u8> {
        let mut message = (number as u32).to_le_bytes().to_vec();
        message.extend((message.len()..self.size).map(|at| (number.wrapping_mul(31) + at) as u8));
        message
    }
}
