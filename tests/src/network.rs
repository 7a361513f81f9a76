//! The links between devices and their gateway: each carries one device or several, with a direction either way.
//!
//! Around each datagram the link carries what a network knows and an end does not: its path, and when it was sent.

use firmware_sim::faults::Faults;
use firmware_sim::link::{Link, Rng, flip_bits};
use std::collections::VecDeque;
use whimbrel_core::{Duration, Instant, PathId};

/// Bytes in front of a datagram on a link: the path that it takes, and when it was sent.
pub const HEADER: usize = 4 + 8;

/// A datagram at the end of its way.
#[derive(Debug)]
pub struct Arrival {
    /// The way that it took.
    pub path: PathId,
    /// Its bytes, as they arrive.
    pub datagram: Vec<u8>,
}

/// What a scenario has decided about a datagram before it enters its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Pass,
    /// It is lost.
    Lose,
    /// It is sent twice.
    Twice,
    /// It is held back for so long.
    Late(Duration),
}

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the gateway.
    Up,
    /// To a device.
    Down,
}

#[derive(Debug)]
struct Held {
    due: Instant,
    way: Way,
    link: usize,
    frame: Vec<u8>,
}

/// All links.
#[derive(Debug)]
pub struct Network {
    /// From devices to the gateway.
    pub up: Vec<Link>,
    /// From the gateway to devices.
    pub down: Vec<Link>,
    /// What happens to the next datagrams to the gateway; then the links alone decide.
    pub fates_up: VecDeque<Fate>,
    /// What happens to the next datagrams to devices.
    pub fates_down: VecDeque<Fate>,
    held: Vec<Held>,
    /// The longest that a datagram took so far.
    pub slowest: Duration,
}

impl Network {
    /// Links that begin with these faults, the same in both directions.
    pub fn new(faults: &[Faults], seed: u64) -> Self {
        let links = |direction: u64| {
            let link = |(at, faults): (u64, &Faults)| {
                // Each from a seed of its own: the first links of a seed have those next to twice the seed.
                let seed = seed.wrapping_mul(2).wrapping_add(direction).wrapping_add(at << 48);
                Link::new(*faults, seed)
            };
            (0..).zip(faults).map(link).collect()
        };
        let (fates_up, fates_down) = (VecDeque::new(), VecDeque::new());
        Self { up: links(0), down: links(1), fates_up, fates_down, held: Vec::new(), slowest: Duration::ZERO }
    }

    /// A datagram enters a link.
    pub fn send(&mut self, way: Way, link: usize, now: Instant, path: PathId, datagram: &[u8]) {
        let mut frame = Vec::with_capacity(HEADER + datagram.len());
        frame.extend_from_slice(&path.0.to_le_bytes());
        frame.extend_from_slice(&now.as_micros().to_le_bytes());
        frame.extend_from_slice(datagram);
        let fates = if way == Way::Up { &mut self.fates_up } else { &mut self.fates_down };
        match fates.pop_front().unwrap_or(Fate::Pass) {
            Fate::Pass => self.enter(way, link, now, &frame),
            Fate::Lose => {}
            Fate::Twice => (0..2).for_each(|_| self.enter(way, link, now, &frame)),
            Fate::Late(delay) => self.held.push(Held { due: now + delay, way, link, frame }),
        }
    }

    fn enter(&mut self, way: Way, link: usize, now: Instant, frame: &[u8]) {
        let links = if way == Way::Up { &mut self.up } else { &mut self.down };
        if let Some(link) = links.get_mut(link) {
            link.send_with(now, frame, |frame, rng| spoil(frame, rng));
        }
    }

    /// What was held back enters its link.
    fn release(&mut self, now: Instant) {
        while let Some(at) = self.held.iter().position(|held| held.due <= now) {
            let Held { way, link, frame, .. } = self.held.remove(at);
            self.enter(way, link, now, &frame);
        }
    }

    /// The next datagram that has arrived at the gateway by `now`.
    pub fn poll_up(&mut self, now: Instant) -> Option<Arrival> {
        self.release(now);
        let frame = self.up.iter_mut().find_map(|link| link.poll(now))?;
        Some(self.unwrap(now, frame))
    }

    /// The next datagram that has arrived at a device by `now`.
    pub fn poll_down(&mut self, now: Instant) -> Option<Arrival> {
        self.release(now);
        let frame = self.down.iter_mut().find_map(|link| link.poll(now))?;
        Some(self.unwrap(now, frame))
    }

    fn unwrap(&mut self, now: Instant, mut frame: Vec<u8>) -> Arrival {
        let datagram = frame.split_off(HEADER);
        let (path, sent) = frame.split_at(4);
        let path = PathId(u32::from_le_bytes(path.try_into().expect("4 bytes")));
        let sent = Instant::from_micros(u64::from_le_bytes(sent.try_into().expect("8 bytes")));
        self.slowest = self.slowest.max(now.saturating_since(sent));
        Arrival { path, datagram }
    }

    /// Every link in both directions.
    pub fn links(&mut self) -> impl Iterator<Item = &mut Link> {
        self.up.iter_mut().chain(&mut self.down)
    }

    /// When the next datagram arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let held = self.held.iter().map(|held| held.due);
        self.up.iter().chain(&self.down).filter_map(Link::poll_timeout).chain(held).min()
    }
}

/// Damage spares what is no part of the datagram.
fn spoil(frame: &mut [u8], rng: &mut Rng) {
    if let Some(datagram) = frame.get_mut(HEADER..) {
        flip_bits(datagram, rng);
    }
}
