//! A HELLO at the gateway: what it must show, in the order in which a real gateway looks at it, and what it gets.
//!
//! ```text
//! device known -> its key -> taken already: ACCEPT again -> counter -> cookie -> opened -> counter and epochs stored -> ACCEPT
//! ```

use super::Gateway;
use crate::keys::pattern;
use rand::RngCore;
use whimbrel_core::gate::{self, Load, Weighed};
use whimbrel_core::{Admission, CloseReason, Config, ConnectionId, Hello, Instant, Offer, PathId, Session, refuse};

/// What became of HELLOs that opened nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turned {
    /// Of nobody known, or in another protection than the device's.
    pub unknown: u64,
    /// Without the device's key.
    pub unauthentic: u64,
    /// The same as one that was taken: answered with its ACCEPT, if that was not known to have arrived.
    pub repeated: u64,
    /// With a counter that was used.
    pub counter_low: u64,
    /// Asked to prove their address.
    pub cookies: u64,
    /// Under a key of the gateway that it does not have, or of a stranger who saw the device's MAC.
    pub unopened: u64,
    /// Of devices that are not taken.
    pub refused: u64,
    /// Opened: two scalar multiplications more, a session's memory, a transaction.
    pub opened: u64,
}

/// A connection id says how its session is protected: whoever lost the session still knows which RESET to send.
const SEALED: u8 = 1;

/// Whether a connection id was given to a sealed session.
pub(super) fn is_sealed(cid: ConnectionId) -> bool {
    cid.as_bytes().first().is_some_and(|byte| byte & SEALED != 0)
}

impl Gateway {
    pub(super) fn on_hello(&mut self, now: Instant, path: PathId, datagram: &[u8]) {
        let Ok(hello) = Hello::parse(datagram) else {
            self.undecodable += 1;
            return;
        };
        let Some(at) = self.peers.iter().position(|peer| peer.device == hello.device()) else {
            self.turned.unknown += 1;
            return;
        };
        if self.peers[at].protection != hello.protection() {
            self.turned.unknown += 1;
            return;
        }
        match hello.plain() {
            Some(offer) if self.repeats(at, now, path, offer.id()) => {}
            Some(offer) => self.take(at, now, path, &offer, None),
            None => self.on_sealed(at, now, path, &hello),
        }
    }

    /// Whether a session is there that this HELLO opened: it answers again.
    fn repeats(&mut self, at: usize, now: Instant, path: PathId, hello: u64) -> bool {
        let session = self.peers[at].sessions().find(|session| session.hello_id() == hello);
        let found = session.map(|session| session.repeat_accept(now, path)).is_some();
        self.turned.repeated += u64::from(found);
        found
    }

    fn on_sealed(&mut self, at: usize, now: Instant, path: PathId, hello: &Hello<'_>) {
        let key = self.peers[at].key.clone();
        let Some(authentic) = hello.claim().authenticate(&key) else {
            self.turned.unauthentic += 1;
            return;
        };
        if self.repeats(at, now, path, hello.id()) {
            return;
        }
        let source = path.0.to_le_bytes();
        let load = self.is_loaded(now).then_some(Load { cookies: &self.cookies, source: &source });
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        let lowest = self.peers[at].sink.lowest_counter();
        match authentic.weigh(now, lowest, load, &mut buf) {
            None => return,
            Some(Weighed::Open) => {}
            Some(Weighed::Answer { len, counter_low }) => {
                let count = if counter_low { &mut self.turned.counter_low } else { &mut self.turned.cookies };
                *count += 1;
                return self.reply(path, &buf[..len], hello.claim().datagram());
            }
        }
        let Some(pattern) = pattern(self.peers[at].protection) else { return };
        let mut terms = [0; Config::MAX_DATAGRAM as usize];
        let Ok((opened, len)) = authentic.open(pattern, &self.keys, &mut terms) else {
            self.turned.unopened += 1;
            return;
        };
        let offer = Offer::new(opened, &terms[..len]).expect("the gate has looked at the terms");
        self.take(at, now, path, &offer, Some(authentic.counter()));
    }

    fn is_loaded(&mut self, now: Instant) -> bool {
        let second = now.as_micros() / 1_000_000;
        if self.recent.0 != second {
            self.recent = (second, 0);
        }
        self.demands_cookies || self.handshakes_max.is_some_and(|max| self.recent.1 >= max)
    }

    /// An offer that may be taken, unless the device is not welcome.
    fn take(&mut self, at: usize, now: Instant, path: PathId, offer: &Offer<'_>, counter: Option<u64>) {
        if let Some(reason) = self.peers[at].refusal {
            self.turned.refused += 1;
            return self.turn_away(path, offer, reason);
        }
        self.turned.opened += 1;
        self.recent.1 += 1;
        let (mut random, mut cid) = ([0; 32], [0; 4]);
        self.rng.fill_bytes(&mut random);
        self.rng.fill_bytes(&mut cid);
        cid[0] = if offer.is_sealed() { cid[0] | SEALED } else { cid[0] & !SEALED };
        let cid = ConnectionId::new(&cid).expect("4 bytes are a connection id");
        let peer = &mut self.peers[at];
        // One transaction, before anything is answered.
        let streams = peer.admit(offer, counter);
        let (admission, memory) = (Admission { streams: &streams }, self.preset.allocate());
        let session = Session::accept(&self.config, offer, &admission, cid, &peer.channels, random, memory, now, path);
        peer.offer(session.expect("the scenario's channels fit its preset"));
    }

    fn turn_away(&mut self, path: PathId, offer: &Offer<'_>, reason: CloseReason) {
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        let len =
            if offer.is_sealed() { gate::refuse(offer, reason, &mut buf) } else { refuse(offer, reason, &mut buf) };
        if let Some(len) = len {
            self.answers.push_back((path, buf[..len].to_vec()));
        }
    }

    /// An answer that costs no memory here, and nobody more than was received.
    pub(super) fn reply(&mut self, path: PathId, answer: &[u8], cause: &[u8]) {
        assert!(answer.len() < cause.len(), "an answer longer than its cause");
        self.answers.push_back((path, answer.to_vec()));
    }
}
