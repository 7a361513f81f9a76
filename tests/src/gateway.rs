//! The gateway's end: sessions by connection id, as a socket's owner keeps them, and a sink behind them.

use crate::memory::{Preset, Store};
use crate::sink::{Outcome, Sink};
use firmware_sim::link::Rng;
use rand::RngCore;
use std::collections::VecDeque;
use whimbrel_core::{
    Admission, ChannelConfig, Config, ConnectionId, Duration, Hello, Instant, PathId, Received, Route, SeqNo, Session,
    StreamEpoch, StreamId, reset, route, wire,
};

/// Sessions that wait for the device's first packet.
const PENDING_MAX: usize = 4;

/// A message on its way to the disk: lost when the gateway dies.
#[derive(Debug)]
struct Unstored {
    due: Instant,
    session: u64,
    durable: bool,
    row: Row,
}

/// A message as the sink stores it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its stream.
    pub stream: StreamId,
    /// The stream's epoch.
    pub epoch: StreamEpoch,
    /// Its number.
    pub seq: SeqNo,
    /// The message.
    pub payload: Vec<u8>,
}

/// One device's gateway.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    preset: Preset,
    channels: Vec<ChannelConfig>,
    rng: Rng,
    /// How long the sink takes to store a message.
    pub store_delay: Duration,
    /// The application takes no messages.
    pub stalled: bool,
    /// The storage.
    pub sink: Sink,
    /// The session that the device was heard under.
    pub live: Option<Session<Store>>,
    /// Sessions offered by ACCEPT, not heard of since.
    pub pending: Vec<Session<Store>>,
    unstored: VecDeque<Unstored>,
    answers: VecDeque<(PathId, Vec<u8>)>,
    /// Datagrams that no session was to see, being neither a HELLO nor a packet.
    pub undecodable: u32,
    /// Packets with a connection id of no session.
    pub strangers: u32,
}

impl Gateway {
    /// A gateway without a session; `channels` are those that it sends on.
    pub fn new(config: Config, preset: Preset, channels: &[ChannelConfig], store_delay: Duration, rng: Rng) -> Self {
        Self {
            config,
            preset,
            channels: channels.to_vec(),
            rng,
            store_delay,
            stalled: false,
            sink: Sink::default(),
            live: None,
            pending: Vec::new(),
            unstored: VecDeque::new(),
            answers: VecDeque::new(),
            undecodable: 0,
            strangers: 0,
        }
    }

    /// The process dies and starts again. Only the sink is left.
    pub fn reboot(&mut self) {
        self.live = None;
        self.pending.clear();
        self.unstored.clear();
        self.answers.clear();
    }

    /// Every session.
    pub fn sessions(&mut self) -> impl Iterator<Item = &mut Session<Store>> {
        self.live.iter_mut().chain(&mut self.pending)
    }

    /// A datagram arrived from `path`.
    pub fn handle_datagram(&mut self, now: Instant, path: PathId, mut datagram: Vec<u8>) {
        match route(&datagram) {
            Ok(Route::Hello) => self.on_hello(now, path, &datagram),
            Ok(Route::Session(cid)) => self.on_packet(now, path, cid, &mut datagram),
            // What only a device is sent, and what nobody is.
            Ok(_) | Err(_) => self.undecodable += 1,
        }
    }

    fn on_hello(&mut self, now: Instant, path: PathId, datagram: &[u8]) {
        let Ok(hello) = Hello::parse(datagram) else {
            self.undecodable += 1;
            return;
        };
        if let Some(session) = self.sessions().find(|session| session.hello_nonce() == hello.nonce()) {
            session.repeat_accept(now, path);
            return;
        }
        let streams: Vec<_> = hello.streams().map(|offered| self.sink.admit(&offered)).collect();
        let (mut random, mut cid) = ([0; 32], [0; 4]);
        self.rng.fill_bytes(&mut random);
        self.rng.fill_bytes(&mut cid);
        let session = Session::accept(
            &self.config,
            &hello,
            &Admission { streams: &streams },
            ConnectionId::new(&cid).expect("4 bytes are a connection id"),
            &self.channels,
            random,
            self.preset.allocate(),
            now,
            path,
        );
        self.pending.push(session.expect("the scenario's channels fit its preset"));
        if self.pending.len() > PENDING_MAX {
            self.pending.remove(0);
        }
    }

    fn on_packet(&mut self, now: Instant, path: PathId, cid: ConnectionId, datagram: &mut [u8]) {
        let (stalled, due) = (self.stalled, now + self.store_delay);
        let Self { live, pending, unstored, .. } = self;
        let Some(session) = live.iter_mut().chain(pending).find(|session| session.local_cid() == cid) else {
            self.strangers += 1;
            let mut buf = [0; wire::RESET_LEN];
            let answer = reset(datagram, &mut buf).map(|len| (path, buf[..len].to_vec()));
            self.answers.extend(answer);
            return;
        };
        let nonce = session.hello_nonce();
        let received = session.handle_datagram(now, path, datagram);
        if stalled {
            drop(received);
        } else {
            take(received, nonce, due, unstored);
        }
        if let Some(at) = self.pending.iter().position(Session::is_established) {
            // The device was heard under a newer session: the older ones are over.
            self.live = Some(self.pending.swap_remove(at));
            self.pending.clear();
        }
    }

    /// Timers, messages that nobody took yet, and the sink. The rows stored, each with its fate.
    pub fn advance(&mut self, now: Instant) -> Vec<(Row, Outcome)> {
        let (stalled, due) = (self.stalled, now + self.store_delay);
        let Self { live, pending, unstored, .. } = self;
        for session in live.iter_mut().chain(pending) {
            if session.poll_timeout().is_some_and(|time| time <= now) {
                session.handle_timeout(now);
            }
            if !stalled {
                let nonce = session.hello_nonce();
                take(session.poll_received(now), nonce, due, unstored);
            }
        }
        let mut rows = Vec::new();
        while self.unstored.front().is_some_and(|next| next.due <= now) {
            let Some(next) = self.unstored.pop_front() else { break };
            let Row { stream, epoch, seq, .. } = next.row;
            rows.push((next.row, self.sink.store(stream, epoch, seq)));
            if next.durable
                && let Some(session) = self.sessions().find(|session| session.hello_nonce() == next.session)
            {
                session.commit(now, stream, seq.next());
            }
        }
        rows
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(PathId, Vec<u8>)> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        let mut buf = vec![0; usize::from(self.config.max_datagram)];
        let sent = self.sessions().find_map(|session| session.poll_transmit(now, &mut buf))?;
        buf.truncate(sent.len);
        Some((sent.path, buf))
    }

    /// When something happens next, unless a datagram arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.live.iter().chain(&self.pending).filter_map(Session::poll_timeout);
        sessions.chain(self.unstored.front().map(|next| next.due)).min()
    }
}

fn take(mut received: Received<'_>, session: u64, due: Instant, unstored: &mut VecDeque<Unstored>) {
    while let Some(message) = received.next() {
        let row =
            Row { stream: message.stream, epoch: message.epoch, seq: message.seq, payload: message.payload.to_vec() };
        unstored.push_back(Unstored { due, session, durable: message.durable, row });
    }
}
