//! Whimbrel: two sessions, an ordered channel, with or without UDP between them.

use crate::carrier::Carrier;
use crate::open::{CHANNEL, DATAGRAM, Gateway, PATH, open};
use crate::udp::Udp;
use crate::{Way, earliest};
use whimbrel_core::{Instant, Large, Protection, Session};

/// A device and its gateway.
pub(crate) struct Whimbrel {
    now: Instant,
    device: Session<Large>,
    gateway: Session<Gateway>,
    carrier: Carrier,
}

impl Whimbrel {
    /// An open session, over UDP or by hand.
    pub(crate) fn new(protection: Protection, udp: Option<Udp>) -> Self {
        let (device, gateway) = open(protection);
        let mut session = Self { now: Instant::ZERO, device, gateway, carrier: Carrier::new(udp) };
        while !session.gateway.is_established() {
            session.step();
        }
        session
    }

    /// Moves datagrams both ways, once, or goes on to the next timer. Messages that were read.
    fn step(&mut self) -> usize {
        let (mut buf, mut read, mut moved) = ([0; DATAGRAM], 0, false);
        while let Some(sent) = self.device.poll_transmit(self.now, &mut buf) {
            self.carrier.send(0, &buf[..sent.len]);
            moved = true;
        }
        self.carrier.carry(self.now);
        while let Some(len) = self.carrier.receive(1, &mut buf) {
            let mut received = self.gateway.handle_datagram(self.now, PATH, &mut buf[..len]);
            while received.next().is_some() {
                read += 1;
            }
        }
        while let Some(sent) = self.gateway.poll_transmit(self.now, &mut buf) {
            self.carrier.send(1, &buf[..sent.len]);
            moved = true;
        }
        self.carrier.carry(self.now);
        while let Some(len) = self.carrier.receive(0, &mut buf) {
            drop(self.device.handle_datagram(self.now, PATH, &mut buf[..len]));
        }
        while self.device.poll_event().is_some() {}
        while self.gateway.poll_event().is_some() {}
        if !moved {
            self.now = earliest([self.device.poll_timeout(), self.gateway.poll_timeout()]).max(self.now);
            self.device.handle_timeout(self.now);
            self.gateway.handle_timeout(self.now);
        }
        read
    }
}

impl Way for Whimbrel {
    fn exchange(&mut self, count: usize, message: &[u8]) {
        for _ in 0..count {
            self.device.send(self.now, CHANNEL, message).expect("the outbox has room");
        }
        let mut read = 0;
        while read < count || self.device.queued() > 0 {
            read += self.step();
        }
    }
}
