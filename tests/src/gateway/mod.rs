//! The gateway's end: for each device its sessions, found by connection id as a socket's owner finds them.

mod peer;

pub use peer::{Peer, Row, Taken};

use crate::memory::Preset;
use crate::oracle::Packets;
use firmware_sim::link::Rng;
use rand::RngCore;
use std::collections::VecDeque;
use whimbrel_core::{
    Admission, Config, ConnectionId, DeviceId, Duration, Hello, Instant, PathId, Route, Session, reset, route, wire,
};

/// A datagram that leaves.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub path: PathId,
    /// Its bytes.
    pub datagram: Vec<u8>,
}

/// One gateway with many devices.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    preset: Preset,
    rng: Rng,
    /// How long the sink takes to store a message.
    pub store_delay: Duration,
    /// The application takes no messages.
    pub stalled: bool,
    /// The devices that it knows.
    pub peers: Vec<Peer>,
    answers: VecDeque<(PathId, Vec<u8>)>,
    /// Datagrams that no session was to see, being neither a HELLO nor a packet.
    pub undecodable: u32,
    /// Packets with a connection id of no session.
    pub strangers: u32,
}

impl Gateway {
    /// A gateway without a session.
    pub fn new(config: Config, preset: Preset, peers: Vec<Peer>, store_delay: Duration, rng: Rng) -> Self {
        Self {
            config,
            preset,
            rng,
            store_delay,
            stalled: false,
            peers,
            answers: VecDeque::new(),
            undecodable: 0,
            strangers: 0,
        }
    }

    /// The process dies and starts again. Only the sinks are left.
    pub fn reboot(&mut self) {
        self.peers.iter_mut().for_each(Peer::forget);
        self.answers.clear();
    }

    /// A datagram arrived from `path`.
    pub fn handle_datagram(&mut self, now: Instant, path: PathId, mut datagram: Vec<u8>) {
        self.receive(now, path, &mut datagram, &mut Packets::default());
    }

    /// The same under the eyes of an oracle.
    pub fn receive(&mut self, now: Instant, path: PathId, datagram: &mut [u8], packets: &mut Packets) {
        match route(datagram) {
            Ok(Route::Hello) => self.on_hello(now, path, datagram, packets),
            Ok(Route::Session(cid)) => self.on_packet(now, path, cid, datagram),
            // What only a device is sent, and what nobody is.
            Ok(_) | Err(_) => self.undecodable += 1,
        }
    }

    fn peer(&mut self, device: DeviceId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.device == device)
    }

    fn on_hello(&mut self, now: Instant, path: PathId, datagram: &[u8], packets: &mut Packets) {
        let Some(hello) = Hello::parse(datagram).ok().and_then(|hello| hello.plain()) else {
            self.undecodable += 1;
            return;
        };
        let Some(peer) = self.peer(hello.device()) else {
            self.strangers += 1;
            return;
        };
        if let Some(session) = peer.sessions().find(|session| session.hello_id() == hello.id()) {
            session.repeat_accept(now, path);
            packets.on_hello(session.local_cid(), datagram.len());
            return;
        }
        let streams = peer.admit(&hello);
        let channels = peer.channels.clone();
        let (mut random, mut cid) = ([0; 32], [0; 4]);
        self.rng.fill_bytes(&mut random);
        self.rng.fill_bytes(&mut cid);
        let cid = ConnectionId::new(&cid).expect("4 bytes are a connection id");
        packets.on_hello(cid, datagram.len());
        let (admission, memory) = (Admission { streams: &streams }, self.preset.allocate());
        let session = Session::accept(&self.config, &hello, &admission, cid, &channels, random, memory, now, path);
        let session = session.expect("the scenario's channels fit its preset");
        if let Some(peer) = self.peer(hello.device()) {
            peer.offer(session);
        }
    }

    fn on_packet(&mut self, now: Instant, path: PathId, cid: ConnectionId, datagram: &mut [u8]) {
        let (stalled, due) = (self.stalled, now + self.store_delay);
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.has(cid)) else {
            self.strangers += 1;
            let mut buf = [0; wire::RESET_LEN];
            let answer = reset(datagram, &mut buf).map(|len| (path, buf[..len].to_vec()));
            assert!(answer.iter().all(|(_, answer)| answer.len() < datagram.len()), "a RESET longer than its cause");
            self.answers.extend(answer);
            return;
        };
        peer.on_packet(now, path, cid, datagram, stalled, due);
    }

    /// Timers, messages that nobody took yet, and the sinks.
    pub fn advance(&mut self, now: Instant) {
        let (stalled, due) = (self.stalled, now + self.store_delay);
        self.peers.iter_mut().for_each(|peer| peer.advance(now, stalled, due));
    }

    /// The next answer to a packet of no session.
    pub fn answer(&mut self) -> Option<(PathId, Vec<u8>)> {
        self.answers.pop_front()
    }

    /// The next datagram to send to a device, under the eyes of its oracle.
    ///
    /// # Errors
    /// When it may not be sent.
    pub fn transmit(&mut self, now: Instant, device: usize, packets: &mut Packets) -> Result<Option<Outgoing>, String> {
        let Some(peer) = self.peers.get_mut(device) else { return Ok(None) };
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        for session in peer.sessions() {
            let Some(sent) = session.poll_transmit(now, &mut buf) else { continue };
            let cid = session.local_cid();
            if !session.is_established() && !session.is_closed() {
                packets.on_unproven(cid, sent.len)?;
            }
            let datagram = buf[..sent.len].to_vec();
            packets.on_sent(Some(cid), &datagram)?;
            return Ok(Some(Outgoing { path: sent.path, datagram }));
        }
        Ok(None)
    }

    /// The next datagram to send, to whomever, seen by nobody.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(PathId, Vec<u8>)> {
        let mut unseen = Packets::default();
        let devices = 0..self.peers.len();
        let sent = devices.into_iter().find_map(|device| self.transmit(now, device, &mut unseen).ok().flatten());
        self.answer().or(sent.map(|out| (out.path, out.datagram)))
    }

    /// When something happens next, unless a datagram arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.iter().filter_map(Peer::poll_timeout).min()
    }
}
