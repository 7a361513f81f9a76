//! The gateway's end: for each device its sessions, found by connection id as a socket's owner finds them.

mod gate;
mod peer;

pub use gate::Turned;
pub use peer::{Peer, Row, Taken};

use crate::memory::Preset;
use crate::oracle::{Packets, Sender, Sources};
use firmware_sim::link::Rng;
use rand::RngCore;
use std::collections::VecDeque;
use whimbrel_core::gate as sealed;
use whimbrel_core::{Config, ConnectionId, Cookies, Duration, GatewayKeys, Instant, PathId, Route, reset, route};

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
    /// Its pairs of keys, and its reset secret: files, which outlive the process.
    pub keys: GatewayKeys,
    /// Of this process.
    cookies: Cookies,
    /// It is under load: who opens a session proves its address first.
    pub demands_cookies: bool,
    /// More sessions opened within a second are load too.
    pub handshakes_max: Option<u32>,
    /// The second, and how many in it.
    recent: (u64, u32),
    /// How long the sink takes to store a message.
    pub store_delay: Duration,
    /// The application takes no messages.
    pub stalled: bool,
    /// The devices that it knows.
    pub peers: Vec<Peer>,
    answers: VecDeque<(PathId, Vec<u8>)>,
    /// What came from where, and what went there.
    pub sources: Sources,
    /// HELLOs that opened nothing.
    pub turned: Turned,
    /// Datagrams that no session was to see, being neither a HELLO nor a packet.
    pub undecodable: u32,
    /// Packets with a connection id of no session.
    pub strangers: u32,
}

impl Gateway {
    /// A gateway without a session.
    pub fn new(
        config: Config,
        preset: Preset,
        peers: Vec<Peer>,
        keys: GatewayKeys,
        store_delay: Duration,
        mut rng: Rng,
    ) -> Self {
        Self {
            keys,
            cookies: fresh_cookies(&mut rng),
            demands_cookies: false,
            handshakes_max: None,
            recent: (0, 0),
            sources: Sources::default(),
            turned: Turned::default(),
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

    /// The process dies and starts again. Only the sinks and the keys are left.
    pub fn reboot(&mut self) {
        self.cookies = fresh_cookies(&mut self.rng);
        self.peers.iter_mut().for_each(Peer::forget);
        self.answers.clear();
    }

    /// A datagram arrived from `path`.
    pub fn handle_datagram(&mut self, now: Instant, path: PathId, mut datagram: Vec<u8>) {
        self.receive(now, path, &mut datagram);
    }

    /// The same in place.
    pub fn receive(&mut self, now: Instant, path: PathId, datagram: &mut [u8]) {
        self.sources.on_received(path, datagram.len());
        match route(datagram) {
            Ok(Route::Hello) => self.on_hello(now, path, datagram),
            Ok(Route::Session(cid)) => self.on_packet(now, path, cid, datagram),
            // What only a device is sent, and what nobody is.
            Ok(_) | Err(_) => self.undecodable += 1,
        }
    }

    fn on_packet(&mut self, now: Instant, path: PathId, cid: ConnectionId, datagram: &mut [u8]) {
        let (stalled, due) = (self.stalled, now + self.store_delay);
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.has(cid)) else {
            self.strangers += 1;
            let mut buf = [0; 64];
            let len = match gate::is_sealed(cid) {
                true => sealed::reset(datagram, &self.keys, &mut buf),
                false => reset(datagram, &mut buf),
            };
            if let Some(len) = len {
                self.reply(path, &buf[..len], datagram);
            }
            return;
        };
        peer.on_packet(now, path, cid, datagram, stalled, due);
    }

    /// Timers, messages that nobody took yet, and the sinks.
    pub fn advance(&mut self, now: Instant) {
        let (stalled, due) = (self.stalled, now + self.store_delay);
        self.peers.iter_mut().for_each(|peer| peer.advance(now, stalled, due));
    }

    /// The next answer that belongs to no session.
    ///
    /// # Errors
    /// When it may not be sent.
    pub fn answer(&mut self) -> Result<Option<Outgoing>, String> {
        let Some((path, datagram)) = self.answers.pop_front() else { return Ok(None) };
        self.sources.on_sent(path, datagram.len())?;
        Ok(Some(Outgoing { path, datagram }))
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
            let datagram = buf[..sent.len].to_vec();
            let sender = Sender { hello: session.hello_id(), gateway: Some(session.local_cid()) };
            packets.on_sent(sender, &datagram)?;
            self.sources.on_sent(sent.path, sent.len)?;
            return Ok(Some(Outgoing { path: sent.path, datagram }));
        }
        Ok(None)
    }

    /// The next datagram to send, to whomever; numbers and keys are looked at by nobody.
    ///
    /// # Panics
    /// When it may not be sent.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(PathId, Vec<u8>)> {
        let mut unseen = Packets::default();
        let allowed = |sent: Result<Option<Outgoing>, String>| sent.unwrap_or_else(|error| panic!("{error}"));
        let answer = allowed(self.answer());
        let mut devices = 0..self.peers.len();
        let sent = answer.or_else(|| devices.find_map(|device| allowed(self.transmit(now, device, &mut unseen))));
        sent.map(|out| (out.path, out.datagram))
    }

    /// When something happens next, unless a datagram arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.peers.iter().filter_map(Peer::poll_timeout).min()
    }
}

fn fresh_cookies(rng: &mut Rng) -> Cookies {
    let mut secret = [0; 32];
    rng.fill_bytes(&mut secret);
    Cookies::new(secret)
}
