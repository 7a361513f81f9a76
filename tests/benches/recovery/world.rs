//! Flows that share two links, and the clock.

use crate::flow::{Carrier, End, Flow};
use crate::load::Load;
use firmware_sim::faults::Faults;
use firmware_sim::link::{Link, LinkStats};
use whimbrel_core::{Duration, Instant};

/// Rounds within one instant before the world counts as spinning.
const ROUNDS_MAX: u32 = 10_000;
/// IPv4 and UDP headers, without options.
pub(crate) const UDP_IP: usize = 28;
/// First byte of an IPv4 header without options.
const IPV4: u8 = 0x45;

/// A flow, what it carries, and what it cost.
pub(crate) struct Place {
    flow: Box<dyn Flow>,
    /// What it carries.
    pub(crate) loads: Vec<Load>,
    /// When its application starts.
    begins: Instant,
    /// Bytes of IP packets that both ends put on the wire since the first message was due, before any loss.
    pub(crate) wire_bytes: u64,
    /// How long each of its frames waited at the uplink's bottleneck, in microseconds.
    pub(crate) queued: Vec<u64>,
    /// When its device sent each of its frames.
    pub(crate) sent: Vec<Instant>,
}

/// Two links, the flows on them, and the time.
pub(crate) struct World {
    /// The time.
    pub(crate) now: Instant,
    /// The flows.
    pub(crate) places: Vec<Place>,
    uplink: Link,
    downlink: Link,
}

impl World {
    /// Links without flows.
    pub(crate) fn new(seed: u64, uplink: Faults, downlink: Faults) -> Self {
        Self {
            now: Instant::ZERO,
            places: Vec::new(),
            uplink: Link::new(uplink, seed * 2),
            downlink: Link::new(downlink, seed * 2 + 1),
        }
    }

    /// The same with one more flow, whose application starts at `begins`.
    pub(crate) fn with(mut self, flow: Box<dyn Flow>, begins: Instant, loads: Vec<Load>) -> Self {
        self.places.push(Place { flow, loads, begins, wire_bytes: 0, queued: Vec::new(), sent: Vec::new() });
        self
    }

    /// Other faults on both links from now on.
    pub(crate) fn set_faults(&mut self, uplink: Faults, downlink: Faults) {
        self.uplink.set_faults(uplink);
        self.downlink.set_faults(downlink);
    }

    /// Tells every flow that the network is back.
    pub(crate) fn wake(&mut self) {
        self.places.iter_mut().for_each(|place| place.flow.wake(self.now));
    }

    /// What the uplink did.
    pub(crate) fn uplink(&self) -> &LinkStats {
        self.uplink.stats()
    }

    /// Whether all messages of all loads came out.
    pub(crate) fn is_done(&self) -> bool {
        self.places.iter().flat_map(|place| &place.loads).all(Load::is_done)
    }

    /// Runs until `done`, and to `end` at most. Whether it came to be.
    pub(crate) fn run_until(&mut self, end: Instant, mut done: impl FnMut(&Self) -> bool) -> bool {
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            match self.next_deadline().filter(|next| *next <= end) {
                Some(next) => self.now = next,
                None => {
                    self.now = self.now.max(end);
                    return false;
                }
            }
        }
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let now = self.now;
        let places = self.places.iter_mut().flat_map(|place| {
            if place.begins > now {
                return [Some(place.begins), None];
            }
            let loads = place.loads.iter().filter_map(Load::next_deadline).min();
            [place.flow.next_deadline(now), loads]
        });
        let places = places.flatten().min();
        [self.uplink.poll_timeout(), self.downlink.poll_timeout(), places].into_iter().flatten().min()
    }

    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if !self.round() {
                return;
            }
        }
        panic!("the flows spin at {:?}", self.now);
    }

    fn round(&mut self) -> bool {
        let (now, mut moved) = (self.now, false);
        for (link, end) in [(&mut self.uplink, End::Gateway), (&mut self.downlink, End::Device)] {
            while let Some(mut frame) = link.poll(now) {
                let place = frame.first().and_then(|place| self.places.get_mut(usize::from(*place)));
                let place = place.expect("a frame begins with its flow");
                place.flow.handle(now, end, unmark(place.flow.carrier(), &mut frame));
                moved = true;
            }
        }
        // What arrived is answered before the applications act, as in an event loop.
        moved |= self.transmit();
        for place in self.places.iter_mut().filter(|place| place.begins <= now) {
            moved |= place.work(now);
        }
        moved | self.transmit()
    }

    fn transmit(&mut self) -> bool {
        let (now, mut moved) = (self.now, false);
        for (at, place) in self.places.iter_mut().enumerate().filter(|(_, place)| place.begins <= now) {
            let counts = place.loads.iter().any(|load| load.start().is_some());
            for (end, link) in [(End::Device, &mut self.uplink), (End::Gateway, &mut self.downlink)] {
                while let Some(frame) = place.flow.transmit(now, end) {
                    let frame = mark(place.flow.carrier(), at as u8, frame);
                    place.wire_bytes += if counts { frame.len() as u64 } else { 0 };
                    let queued = link.send(now, &frame);
                    if end == End::Device {
                        place.queued.extend(queued.map(Duration::as_micros));
                        place.sent.push(now);
                    }
                    moved = true;
                }
            }
        }
        moved
    }
}

impl Place {
    /// Payload bytes that came out from `from` to before `to`.
    pub(crate) fn delivered_within(&self, from: Instant, to: Instant) -> usize {
        self.loads.iter().map(|load| load.delivered_within(from, to)).sum()
    }

    /// Timers and both applications.
    fn work(&mut self, now: Instant) -> bool {
        let mut moved = false;
        if self.flow.next_deadline(now).is_some_and(|due| due <= now) {
            self.flow.handle_timeout(now);
            moved = true;
        }
        while let Some((lane, message)) = self.flow.deliver(now) {
            let load = self.loads.iter_mut().find(|load| load.lane() == lane);
            load.expect("what comes out went in").take(now, &message);
            moved = true;
        }
        for load in &mut self.loads {
            moved |= load.run(now, &mut *self.flow);
        }
        moved
    }
}

/// A frame as it goes over the link: an IP packet by its length, with its flow in place of the first byte.
fn mark(carrier: Carrier, place: u8, mut frame: Vec<u8>) -> Vec<u8> {
    match carrier {
        Carrier::Udp => frame.splice(..0, [0; UDP_IP]).for_each(drop),
        Carrier::Ip => assert_eq!(frame.first(), Some(&IPV4), "an IPv4 packet"),
    }
    frame[0] = place;
    frame
}

/// What [`mark`] was given.
fn unmark(carrier: Carrier, frame: &mut [u8]) -> &mut [u8] {
    match carrier {
        Carrier::Udp => &mut frame[UDP_IP..],
        Carrier::Ip => {
            frame[0] = IPV4;
            frame
        }
    }
}
