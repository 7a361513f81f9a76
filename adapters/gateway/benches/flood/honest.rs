//! A device that sends readings, and notes how long each took to be stored.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use tokio::time::{Instant, interval_at, timeout_at};
use whimbrel_core::{Event, Stats};
use whimbrel_gateway::registry::Provisioned;
use whimbrel_tokio::{Client, ClientConfig, ClientEvent};

use crate::DEVICES;
use crate::place::{channel, identity};

pub(crate) const PERIOD: Duration = Duration::from_millis(10);
/// A phase with its flood, and more than enough for what is on the way then.
const PATIENCE: Duration = Duration::from_secs(40);
/// Latencies that there is room for: none is added to the memory of the process while it is measured.
const ROOM: usize = 4000;

/// A device with a session.
pub(crate) struct Honest {
    number: usize,
    client: Client,
    /// Readings that the client took.
    accepted: Arc<AtomicU64>,
    /// Readings that the client knows to be stored.
    committed: u64,
    /// Of the last phase.
    pub(crate) latencies: Vec<Duration>,
}

impl Honest {
    pub(crate) async fn connect(number: usize, device: &Provisioned, boot: u32, gateway: SocketAddr) -> Self {
        let identity = identity(device, boot);
        let client = Client::connect(gateway, identity, &[channel()], ClientConfig::default()).await.unwrap();
        let mut latencies = Vec::with_capacity(ROOM);
        latencies.resize(ROOM, Duration::MAX);
        Self { number, client, accepted: Arc::default(), committed: 0, latencies }
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.client.stats()
    }

    /// Sends `count` readings as fast as they are taken, and waits until they are stored.
    pub(crate) async fn send_at_once(&mut self, count: u64) {
        let (sender, accepted) = (self.client.sender(), Arc::clone(&self.accepted));
        let goal = self.accepted() + count;
        let sending = tokio::spawn(async move {
            for number in goal - count..goal {
                sender.send(channel().id, reading(number)).await.unwrap();
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let now = Instant::now();
        self.hear(now + PATIENCE, |device| device.committed >= goal, |_, _| ()).await;
        sending.abort();
    }

    /// Sends a reading every 10 ms until `stop`, then waits until all are stored, but not for ever.
    pub(crate) async fn send_until(mut self, stop: Arc<AtomicBool>) -> Self {
        let begin = Instant::now() + PERIOD * self.number as u32 / DEVICES as u32;
        let first = self.accepted();
        let (sender, accepted) = (self.client.sender(), Arc::clone(&self.accepted));
        let is_over = Arc::clone(&stop);
        let sending = tokio::spawn(async move {
            let mut ticks = interval_at(begin, PERIOD);
            while !is_over.load(Ordering::Relaxed) {
                ticks.tick().await;
                sender.send(channel().id, reading(accepted.load(Ordering::Relaxed))).await.unwrap();
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        });
        // A reading that had to wait for the client's room was due all the same.
        let mut latencies = core::mem::take(&mut self.latencies);
        latencies.clear();
        let note = |number: u64, now: Instant| latencies.push(now - (begin + PERIOD * (number - first) as u32));
        let is_done = |device: &Self| sending.is_finished() && device.committed >= device.accepted();
        self.hear(begin + PATIENCE, is_done, note).await;
        sending.abort();
        self.latencies = latencies;
        self
    }

    /// Takes events until `is_done`, or until `end`. `note` is told of each reading that was stored.
    async fn hear(&mut self, end: Instant, is_done: impl Fn(&Self) -> bool, mut note: impl FnMut(u64, Instant)) {
        while !is_done(self) && Instant::now() < end {
            // What is done may also change without an event.
            let next = timeout_at(end.min(Instant::now() + PERIOD), self.client.next_event());
            let event = match next.await {
                Ok(event) => event.expect("the session lives"),
                Err(_) => continue,
            };
            if let ClientEvent::Session(Event::Committed { next, .. }) = event {
                let now = Instant::now();
                (self.committed..next.value()).for_each(|number| note(number, now));
                self.committed = self.committed.max(next.value());
            }
        }
    }

    pub(crate) async fn close(self) {
        let closed = self.client.close(PATIENCE).await;
        closed.unwrap_or_else(|error| println!("a device could not say goodbye: {error}"));
    }
}

/// No two of a device are the same.
fn reading(number: u64) -> Vec<u8> {
    [number.to_be_bytes(), (!number).to_be_bytes()].concat()
}
