//! The gateway's end: its sessions by connection id, and the store behind them.

use super::oracle::{Oracle, Row};
use super::ram::{Ram, Size};
use std::collections::BTreeMap;
use whimbrel_core::Offer;
use whimbrel_core::wire::{Accept, RESET_LEN};
use whimbrel_core::{
    Admission, ChannelConfig, CloseReason, Config, ConnectionId, Hello, Instant, OfferedStream, PathId, Received,
    Route, SeqNo, Session, StreamAdmission, StreamEpoch, StreamId, refuse, reset, route, wire,
};

/// Sessions at a time: one that lives, and those that wait for the device's first packet.
const SESSIONS_MAX: usize = 4;

/// One session.
pub(super) struct Member {
    pub(super) serial: u32,
    pub(super) session: Session<Ram>,
    /// Its own nonce, from its ACCEPT.
    pub(super) nonce: u64,
}

/// See the module.
pub(super) struct Gateway {
    config: Config,
    size: Size,
    pub(super) channels: Vec<ChannelConfig>,
    pub(super) members: Vec<Member>,
    /// Watermarks by stream and epoch: the store. It survives restarts.
    stored: BTreeMap<(u8, u32), SeqNo>,
    serial: u32,
    /// The answer to the next HELLO, if it is to be refused.
    pub(super) refusal: Option<CloseReason>,
    /// Answers to datagrams of no session.
    pub(super) answers: Vec<Vec<u8>>,
}

impl Gateway {
    pub(super) fn new(config: Config, size: Size, channels: Vec<ChannelConfig>) -> Self {
        Self {
            config,
            size,
            channels,
            members: Vec::new(),
            stored: BTreeMap::new(),
            serial: 0,
            refusal: None,
            answers: Vec::new(),
        }
    }

    /// Everything but the store is lost.
    pub(super) fn restart(&mut self) {
        self.members.clear();
        self.answers.clear();
    }

    /// A datagram arrives; the application takes at most `take` messages. Returns them, and whether the
    /// datagram did anything but be dropped.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        path: PathId,
        datagram: &mut [u8],
        take: usize,
        oracle: &mut Oracle,
    ) -> (Vec<Row>, bool) {
        let done = match route(datagram) {
            Ok(Route::Hello) => match Hello::parse(datagram) {
                Ok(hello) => {
                    let offer = hello.plain();
                    offer.inspect(|offer| self.on_hello(now, path, offer, oracle)).is_some()
                }
                Err(_) => {
                    let mut buf = [0; wire::REFUSE_LEN];
                    self.answers.extend(wire::refuse_version(datagram, &mut buf).map(|len| buf[..len].to_vec()));
                    false
                }
            },
            Ok(Route::Session(cid)) => return self.on_packet(now, path, cid, datagram, take),
            _ => false,
        };
        (Vec::new(), done)
    }

    fn on_hello(&mut self, now: Instant, path: PathId, hello: &Offer<'_>, oracle: &mut Oracle) {
        if let Some(reason) = self.refusal.take() {
            let mut buf = [0; wire::REFUSE_LEN];
            self.answers.extend(refuse(hello, reason, &mut buf).map(|len| buf[..len].to_vec()));
            return;
        }
        if let Some(member) = self.members.iter_mut().find(|member| member.session.hello_id() == hello.id()) {
            member.session.repeat_accept(now, path);
            return;
        }
        let streams: Vec<_> = hello.streams().map(|offered| self.admit(&offered)).collect();
        self.serial += 1;
        let serial = self.serial;
        let cid = ConnectionId::new(&serial.to_le_bytes()).expect("4 bytes are an id");
        let random = [serial as u8; 32];
        let (config, channels, memory) = (&self.config, &self.channels, self.size.allocate());
        let admission = Admission { streams: &streams };
        let Ok(session) = Session::accept(config, hello, &admission, cid, channels, random, memory, now, path) else {
            // More streams than the memory takes: no device of ours said that.
            return;
        };
        for stream in &streams {
            oracle.begins(serial, stream.id, stream.next);
        }
        self.members.push(Member { serial, session, nonce: 0 });
        if self.members.len() > SESSIONS_MAX {
            self.members.remove(0);
        }
    }

    /// Where a stream goes on: after what is stored, under its epoch or, when nothing is known of it, a new one.
    fn admit(&mut self, offered: &OfferedStream) -> StreamAdmission {
        let stream = offered.id.to_wire();
        let known = offered.epoch.and_then(|epoch| Some((epoch, *self.stored.get(&(stream, epoch.number()))?)));
        let (epoch, next) = match known {
            // Without a journal the device sends nothing twice: it goes on at its base.
            Some((epoch, _)) if !offered.durable => (epoch, offered.base),
            Some((epoch, next)) if next <= offered.next => (epoch, next.max(offered.base)),
            _ => {
                let last = self.stored.range((stream, 0)..=(stream, u32::MAX)).next_back();
                let number = last.map_or(1, |((_, epoch), _)| epoch + 1);
                (StreamEpoch::new(number).expect("counted from 1"), offered.base)
            }
        };
        self.stored.insert((stream, epoch.number()), next);
        StreamAdmission { id: offered.id, epoch, next }
    }

    fn on_packet(
        &mut self,
        now: Instant,
        path: PathId,
        cid: ConnectionId,
        datagram: &mut [u8],
        take: usize,
    ) -> (Vec<Row>, bool) {
        let Some(member) = self.members.iter_mut().find(|member| member.session.local_cid() == cid) else {
            let mut buf = [0; RESET_LEN];
            self.answers.extend(reset(datagram, &mut buf).map(|len| buf[..len].to_vec()));
            return (Vec::new(), false);
        };
        let before = member.session.stats().rx_dropped.total();
        let serial = member.serial;
        let rows = rows(member.session.handle_datagram(now, path, datagram), serial, take);
        let effect = member.session.stats().rx_dropped.total() == before;
        if member.session.is_established() {
            // The device was heard under this session: the older ones are over.
            self.members.retain(|member| member.serial >= serial);
        }
        self.store(&rows);
        (rows, effect)
    }

    fn store(&mut self, rows: &[Row]) {
        for row in rows {
            let watermark = self.stored.entry((row.stream.to_wire(), row.epoch.number())).or_insert(SeqNo::ZERO);
            *watermark = (*watermark).max(row.seq.next());
        }
    }

    /// Takes the messages that wait, at most so many of each session.
    pub(super) fn collect(&mut self, now: Instant, take: usize) -> Vec<Row> {
        let members = self.members.iter_mut();
        let rows: Vec<Row> =
            members.flat_map(|member| rows(member.session.poll_received(now), member.serial, take)).collect();
        self.store(&rows);
        rows
    }

    /// Tells the device that everything handed on is stored, as it is.
    pub(super) fn commit(&mut self, now: Instant, stream: StreamId) {
        if let Some(member) = self.members.first_mut() {
            member.session.commit(now, stream, SeqNo::new(u64::MAX));
        }
    }

    /// Datagrams to send, each with the session's serial; those of no session first.
    pub(super) fn transmit(&mut self, now: Instant, out: &mut impl FnMut(Vec<u8>)) {
        self.answers.drain(..).for_each(&mut *out);
        let mut buf = vec![0; usize::from(self.config.max_datagram)];
        for member in &mut self.members {
            for count in 0.. {
                assert!(count < super::world::BURST_MAX, "the gateway never falls silent");
                let Some(sent) = member.session.poll_transmit(now, &mut buf) else { break };
                if let Ok(accept) = Accept::parse(&buf[..sent.len]) {
                    member.nonce = accept.nonce();
                }
                out(buf[..sent.len].to_vec());
            }
        }
        self.members.retain(|member| !member.session.is_closed());
    }
}

/// At most `take` messages; what is not taken waits in the session.
pub(super) fn rows(mut received: Received<'_>, session: u32, take: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    while rows.len() < take {
        let Some(message) = received.next() else { break };
        rows.push(Row {
            session,
            stream: message.stream,
            epoch: message.epoch,
            seq: message.seq,
            durable: message.durable,
            payload: message.payload.to_vec(),
        });
    }
    rows
}
