//! What a gateway has of one device: its sessions, what is on its way to the sink, and the sink.

use crate::load::Load;
use crate::memory::Store;
use crate::sink::{Outcome, Sink};
use std::collections::VecDeque;
use whimbrel_core::{
    ChannelConfig, CloseReason, ConnectionId, DeviceId, DeviceKey, Instant, Offer, PathId, Protection, Received, SeqNo,
    Session, StreamAdmission, StreamEpoch, StreamId,
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

/// What happened to a message at the gateway.
#[derive(Clone, Debug)]
pub enum Taken {
    /// The session of this nonce gave it to the application.
    Handed(u64, Row),
    /// The sink stored it, or had it already.
    Stored(Row, Outcome),
}

/// One device, as its gateway knows it.
#[derive(Debug)]
pub struct Peer {
    /// Its name.
    pub device: DeviceId,
    /// What it was provisioned with: no other protection is taken from it.
    pub protection: Protection,
    /// Its key.
    pub key: DeviceKey,
    /// It is turned away, for this reason.
    pub refusal: Option<CloseReason>,
    /// What the gateway sends on.
    pub channels: Vec<ChannelConfig>,
    /// The storage.
    pub sink: Sink,
    /// What the gateway's application has for the device.
    pub load: Load,
    /// The session that the device was heard under.
    pub live: Option<Session<Store>>,
    /// Sessions offered by ACCEPT, not heard of since.
    pub pending: Vec<Session<Store>>,
    unstored: VecDeque<Unstored>,
    /// What happened since somebody last looked.
    pub taken: VecDeque<Taken>,
}

impl Peer {
    /// A device that never called. `channels`: what the gateway will send on.
    pub fn new(device: DeviceId, protection: Protection, key: DeviceKey, channels: &[ChannelConfig]) -> Self {
        Self {
            device,
            protection,
            key,
            refusal: None,
            channels: channels.to_vec(),
            sink: Sink::default(),
            load: Load::default(),
            live: None,
            pending: Vec::new(),
            unstored: VecDeque::new(),
            taken: VecDeque::new(),
        }
    }

    /// Everything but the sink is lost.
    pub fn forget(&mut self) {
        self.live = None;
        self.pending.clear();
        self.unstored.clear();
        self.load.restart();
    }

    /// Every session.
    pub fn sessions(&mut self) -> impl Iterator<Item = &mut Session<Store>> {
        self.live.iter_mut().chain(&mut self.pending)
    }

    pub(super) fn has(&self, cid: ConnectionId) -> bool {
        self.live.iter().chain(&self.pending).any(|session| session.local_cid() == cid)
    }

    /// Where the streams go on. Stored together with the counter of the HELLO, if it is sealed.
    pub(super) fn admit(&mut self, hello: &Offer<'_>, counter: Option<u64>) -> Vec<StreamAdmission> {
        if let Some(counter) = counter {
            self.sink.use_counter(counter);
        }
        hello.streams().map(|offered| self.sink.admit(&offered)).collect()
    }

    pub(super) fn offer(&mut self, session: Session<Store>) {
        self.pending.push(session);
        if self.pending.len() > PENDING_MAX {
            self.pending.remove(0);
        }
    }

    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        path: PathId,
        cid: ConnectionId,
        datagram: &mut [u8],
        stalled: bool,
        due: Instant,
    ) {
        let Self { live, pending, unstored, taken, .. } = self;
        let Some(session) = live.iter_mut().chain(&mut *pending).find(|session| session.local_cid() == cid) else {
            return;
        };
        let nonce = session.hello_id();
        let received = session.handle_datagram(now, path, datagram);
        if stalled {
            drop(received);
        } else {
            take(received, nonce, due, unstored, taken);
        }
        if let Some(at) = pending.iter().position(Session::is_established) {
            // The device was heard under a newer session: the older ones are over.
            *live = Some(pending.swap_remove(at));
            pending.clear();
            self.load.restart();
        }
    }

    pub(super) fn advance(&mut self, now: Instant, stalled: bool, due: Instant) {
        let Self { live, pending, unstored, taken, .. } = self;
        for session in live.iter_mut().chain(pending) {
            if session.poll_timeout().is_some_and(|time| time <= now) {
                session.handle_timeout(now);
            }
            if !stalled {
                let nonce = session.hello_id();
                take(session.poll_received(now), nonce, due, unstored, taken);
            }
        }
        if self.live.as_ref().is_some_and(Session::is_closed) {
            self.live = None;
            self.load.restart();
        }
        while self.unstored.front().is_some_and(|next| next.due <= now) {
            let Some(next) = self.unstored.pop_front() else { break };
            let Row { stream, epoch, seq, .. } = next.row;
            let outcome = self.sink.store(stream, epoch, seq, next.durable);
            self.taken.push_back(Taken::Stored(next.row, outcome));
            if next.durable
                && let Some(session) = self.sessions().find(|session| session.hello_id() == next.session)
            {
                session.commit(now, stream, seq.next());
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.live.iter().chain(&self.pending).filter_map(Session::poll_timeout);
        let application = self.live.as_ref().and_then(|_| self.load.due());
        sessions.chain(self.unstored.front().map(|next| next.due)).chain(application).min()
    }

    /// Whether a message is on its way to the sink.
    pub fn is_storing(&self) -> bool {
        !self.unstored.is_empty()
    }
}

fn take(
    mut received: Received<'_>,
    session: u64,
    due: Instant,
    unstored: &mut VecDeque<Unstored>,
    taken: &mut VecDeque<Taken>,
) {
    while let Some(message) = received.next() {
        let payload = message.payload.to_vec();
        let row = Row { stream: message.stream, epoch: message.epoch, seq: message.seq, payload };
        taken.push_back(Taken::Handed(session, row.clone()));
        unstored.push_back(Unstored { due, session, durable: message.durable, row });
    }
}
