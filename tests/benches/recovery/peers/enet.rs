//! ENet: `rusty_enet` with reliable packets on one channel.

use crate::flow::{End, Flow};
use core::cell::Cell;
use core::convert::Infallible;
use rusty_enet::{EventNoRef, Host, HostSettings, MTU_MAX, Packet, PacketReceived, PeerID, Socket};
use std::collections::VecDeque;
use std::rc::Rc;
use whimbrel_core::{Duration, Instant};

/// How often a host is serviced besides when something arrives or is given; its timers have no deadline to ask for.
const TICK: Duration = Duration::from_millis(10);

/// Packets in and out of a host.
#[derive(Debug, Default)]
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Socket for Wire {
    type Address = ();
    type Error = Infallible;

    fn send(&mut self, _address: (), packet: &[u8]) -> Result<usize, Infallible> {
        self.outgoing.push_back(packet.to_vec());
        Ok(packet.len())
    }

    fn receive(&mut self, buffer: &mut [u8; MTU_MAX]) -> Result<Option<((), PacketReceived)>, Infallible> {
        Ok(self.incoming.pop_front().map(|packet| {
            buffer[..packet.len()].copy_from_slice(&packet);
            ((), PacketReceived::Complete(packet.len()))
        }))
    }
}

/// Both ends.
pub(crate) struct Enet {
    device: Host<Wire>,
    gateway: Host<Wire>,
    peer: PeerID,
    clock: Rc<Cell<u64>>,
    connected: bool,
    given: bool,
    tick: Instant,
    arrived: VecDeque<Vec<u8>>,
}

impl Enet {
    /// A host that connects to another.
    pub(crate) fn new(seed: u64) -> Self {
        let clock = Rc::new(Cell::new(0));
        let host = |seed: u64| {
            let clock = Rc::clone(&clock);
            let settings = HostSettings {
                peer_limit: 1,
                channel_limit: 1,
                time: Box::new(move || core::time::Duration::from_micros(clock.get())),
                seed: Some(seed as u32),
                ..HostSettings::default()
            };
            Host::new(Wire::default(), settings).unwrap_or_else(|_| panic!("the settings are valid"))
        };
        let (mut device, gateway) = (host(seed * 2), host(seed * 2 + 1));
        let peer = device.connect((), 1, 0).expect("a fresh host has room for a peer").id();
        let arrived = VecDeque::new();
        Self { device, gateway, peer, clock, connected: false, given: false, tick: Instant::ZERO, arrived }
    }

    fn service(&mut self, now: Instant) {
        self.clock.set(now.as_micros());
        while let Ok(Some(event)) = self.device.service() {
            match event.no_ref() {
                EventNoRef::Connect { .. } => self.connected = true,
                EventNoRef::Disconnect { .. } => self.connected = false,
                EventNoRef::Receive { .. } => {}
            }
        }
        while let Ok(Some(event)) = self.gateway.service() {
            if let EventNoRef::Receive { packet, .. } = event.no_ref() {
                self.arrived.push_back(packet.data().to_vec());
            }
        }
    }
}

impl Flow for Enet {
    fn is_ready(&self) -> bool {
        self.connected
    }

    fn offer(&mut self, _now: Instant, _lane: usize, message: &[u8]) -> bool {
        self.given |= self.connected;
        self.connected && self.device.peer_mut(self.peer).send(0, &Packet::reliable(message)).is_ok()
    }

    fn handle(&mut self, now: Instant, at: End, frame: &mut [u8]) {
        let host = if at == End::Device { &mut self.device } else { &mut self.gateway };
        host.socket_mut().incoming.push_back(frame.to_vec());
        self.service(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.service(now);
        self.tick = now + TICK;
    }

    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>> {
        if core::mem::take(&mut self.given) {
            self.service(now);
        }
        let host = if from == End::Device { &mut self.device } else { &mut self.gateway };
        host.socket_mut().outgoing.pop_front()
    }

    fn deliver(&mut self, _now: Instant) -> Option<(usize, Vec<u8>)> {
        Some((0, self.arrived.pop_front()?))
    }

    fn next_deadline(&mut self, _now: Instant) -> Option<Instant> {
        Some(self.tick)
    }
}
