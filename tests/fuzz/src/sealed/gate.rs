//! The gateway's end: the gate, and the sessions behind it.

use super::peer::{Keys, NAME};
use std::collections::BTreeSet;
use whimbrel_core::gate::{self, Load, Weighed};
use whimbrel_core::wire::Protection;
use whimbrel_core::{
    Admission, ChannelConfig, CloseReason, Config, ConnectionId, Cookies, GatewayKeys, Hello, Instant, Medium, Offer,
    PathId, Pattern, Route, SchemaId, Session, StreamAdmission, StreamEpoch, route,
};

/// An answer is at most so many times as long as what it answers.
const AMPLIFICATION: usize = 3;

/// See the module.
pub(super) struct Gate {
    keys: GatewayKeys,
    cookies: Cookies,
    pub(super) loaded: bool,
    pub(super) refusal: Option<CloseReason>,
    pub(super) lowest: u64,
    opened: BTreeSet<u64>,
    pub(super) sessions: Vec<Session<Medium>>,
    serial: u32,
}

impl Gate {
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            keys: GatewayKeys::new(keys.gateway.clone(), [5; 32]),
            cookies: Cookies::new([6; 32]),
            loaded: false,
            refusal: None,
            lowest: 0,
            opened: BTreeSet::new(),
            sessions: Vec::new(),
            serial: 0,
        }
    }

    /// A datagram from the path of this byte; what is sent back at once.
    pub(super) fn handle(&mut self, now: Instant, keys: &Keys, datagram: &mut [u8]) -> Vec<Vec<u8>> {
        let len = datagram.len();
        let answers = match route(datagram) {
            Ok(Route::Hello) => self.on_hello(now, keys, datagram),
            Ok(Route::Session(cid)) => self.on_packet(now, cid, datagram),
            _ => Vec::new(),
        };
        let hello = matches!(route(datagram), Ok(Route::Hello));
        let sent: usize = answers.iter().map(Vec::len).sum();
        assert!(!hello || sent <= AMPLIFICATION * len, "{sent} bytes for a HELLO of {len}");
        answers
    }

    fn on_packet(&mut self, now: Instant, cid: ConnectionId, datagram: &mut [u8]) -> Vec<Vec<u8>> {
        let Some(at) = self.sessions.iter().position(|session| session.local_cid() == cid) else {
            let mut buf = [0; 64];
            let len = gate::reset(datagram, &self.keys, &mut buf);
            assert!(len.is_none_or(|len| len < datagram.len()), "a RESET longer than its cause");
            return len.map(|len| buf[..len].to_vec()).into_iter().collect();
        };
        let session = &mut self.sessions[at];
        let mut received = session.handle_datagram(now, PathId(1), datagram);
        while received.next().is_some() {}
        drop(received);
        if session.is_established() && at + 1 == self.sessions.len() {
            self.sessions.drain(..at);
        }
        self.transmit(now)
    }

    /// What the sessions have to send.
    pub(super) fn transmit(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let (mut sent, mut buf) = (Vec::new(), [0; Config::MAX_DATAGRAM as usize]);
        for session in &mut self.sessions {
            for count in 0.. {
                assert!(count < 500, "the gateway never falls silent");
                let Some(out) = session.poll_transmit(now, &mut buf) else { break };
                sent.push(buf[..out.len].to_vec());
            }
            while session.poll_event().is_some() {}
        }
        self.sessions.retain(|session| !session.is_closed());
        sent
    }

    fn on_hello(&mut self, now: Instant, keys: &Keys, datagram: &[u8]) -> Vec<Vec<u8>> {
        let Ok(hello) = Hello::parse(datagram) else { return Vec::new() };
        if hello.device().as_bytes() != [NAME] {
            return Vec::new();
        }
        let Some(authentic) = hello.claim().authenticate(&keys.device) else { return Vec::new() };
        if let Some(session) = self.sessions.iter_mut().find(|session| session.hello_id() == hello.id()) {
            session.repeat_accept(now, PathId(1));
            return self.transmit(now);
        }
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        let load = self.loaded.then_some(Load { cookies: &self.cookies, source: &[1] });
        match authentic.weigh(now, self.lowest, load, &mut buf) {
            Some(Weighed::Open) => {}
            Some(Weighed::Answer { len, .. }) => {
                assert!(len < datagram.len());
                return vec![buf[..len].to_vec()];
            }
            None => return Vec::new(),
        }
        let pattern = if keys.protection == Protection::NkPsk0 { Pattern::NkPsk0 } else { Pattern::NnPsk0 };
        let mut terms = vec![0; datagram.len()];
        let Ok((opened, len)) = authentic.open(pattern, &self.keys, &mut terms) else { return Vec::new() };
        let offer = Offer::new(opened, &terms[..len]).expect("the gate has looked at the terms");
        if let Some(reason) = self.refusal {
            let len = gate::refuse(&offer, reason, &mut buf).expect("room for a refusal");
            assert!(len < datagram.len());
            return vec![buf[..len].to_vec()];
        }
        // One that lost count may have the largest counter there is: then it is used again, or nobody could come back.
        let last = authentic.counter() == u64::MAX;
        assert!(self.opened.insert(authentic.counter()) || last, "a counter was taken twice");
        self.lowest = authentic.counter().saturating_add(1);
        self.accept(now, &offer);
        self.transmit(now)
    }

    fn accept(&mut self, now: Instant, offer: &Offer<'_>) {
        let epoch = StreamEpoch::new(1).expect("1 is an epoch");
        let streams: Vec<_> =
            offer.streams().map(|stream| StreamAdmission { id: stream.id, epoch, next: stream.base }).collect();
        self.serial += 1;
        let cid = ConnectionId::new(&self.serial.to_le_bytes()).expect("4 bytes are an id");
        let channels = [ChannelConfig::ordered(super::COMMANDS, SchemaId(9))];
        let (admission, random) = (Admission { streams: &streams }, [self.serial as u8; 32]);
        let config = Config::default();
        let session =
            Session::accept(&config, offer, &admission, cid, &channels, random, Medium::new(), now, PathId(1));
        // More streams than the memory takes: no device of ours said that.
        self.sessions.extend(session);
        if self.sessions.len() > 4 {
            self.sessions.remove(0);
        }
    }
}
