//! Handshakes: from a device's request over the application's word to a session.

use std::sync::Arc;

use tokio::sync::mpsc;
use whimbrel_core::{
    Admission, CloseReason, DecodeError, Hello, Offer, OfferedStream, PathId, Session, Stats, StreamAdmission,
};

use super::Shard;
use super::paths::Paths;
use super::table::{Entry, Found, GatewayMemory, stream_bit};
use crate::event::{GatewayEvent, SessionKey};
use crate::hello::{HelloRequest, Reply, Verdict};
use crate::limits::{Allowance, Refusal, Waiting};
use crate::socket::Path;

impl Shard {
    /// A device asks for a session.
    pub(super) fn on_hello(&mut self, path: Path, bytes: &[u8], events: &mpsc::Sender<GatewayEvent>) {
        let hello = match Hello::parse(bytes) {
            Ok(hello) => hello,
            Err(error) => {
                self.on_undecodable(path, error);
                if error == DecodeError::Version
                    && self.answer_stranger(path, bytes, whimbrel_core::wire::refuse_version)
                {
                    self.stats.versions_refused += 1;
                }
                return;
            }
        };
        if self.closing {
            self.stats.hello_no_room += 1;
            return;
        }
        let Some(offer) = hello.plain() else {
            return self.on_undecodable(path, DecodeError::Unknown);
        };
        match self.table.find(&hello) {
            Found::New => self.ask(path, &offer, bytes, events),
            Found::Session(index) => {
                self.stats.hello_repeated += 1;
                if !self.in_time(path) {
                    return;
                }
                let now = self.now;
                if let Some(entry) = self.table.entry(index) {
                    let path = entry.paths.id(path);
                    entry.session.repeat_accept(now, path);
                }
                self.touch(index);
            }
            Found::Asking => self.stats.hello_repeated += 1,
            Found::Full => self.no_room(path),
        }
    }

    /// Puts the question to the application, if it has room for one.
    fn ask(&mut self, path: Path, hello: &Offer<'_>, bytes: &[u8], events: &mpsc::Sender<GatewayEvent>) {
        let device = hello.device();
        let prefix = self.config.limits.prefix.of(path.peer.ip());
        let known = self.table.places(device).live.is_some();
        let Some(seat) = self.links.shared.seats.take(prefix, known) else {
            self.stats.hello_prefix_full += 1;
            return self.report(Refusal::PrefixFull, path);
        };
        if !self.in_time(path) {
            return;
        }
        let Ok(permit) = events.try_reserve() else {
            return self.no_room(path);
        };
        let session = self.table.ask(device, path, bytes.to_vec(), seat);
        permit.send(GatewayEvent::Hello(HelloRequest {
            session,
            device,
            boot_epoch: hello.boot_epoch(),
            peer: path.peer,
            streams: hello.streams().collect(),
            reply: Reply::new(session, Arc::clone(&self.links.mailbox)),
        }));
    }

    /// Whether requests do not come too often. An answer once more counts like a first one: it costs the same, and
    /// whoever repeats a request that he has seen can have it sent to anybody.
    fn in_time(&mut self, path: Path) -> bool {
        let Err(refusal) = self.links.shared.handshake(self.config.limits.prefix.of(path.peer.ip())) else {
            return true;
        };
        match refusal {
            Refusal::PrefixRate => self.stats.hello_prefix_limited += 1,
            _ => self.stats.hello_limited += 1,
        }
        self.report(refusal, path);
        false
    }

    fn no_room(&mut self, path: Path) {
        self.stats.hello_no_room += 1;
        self.report(Refusal::NoRoom, path);
    }

    /// Verdicts, commits and the word to shut down.
    pub(super) fn read_mail(&mut self) {
        let mail = self.links.mailbox.take();
        for (session, verdict) in mail.verdicts {
            self.on_verdict(session, verdict);
        }
        for ((session, stream), next) in mail.commits {
            let now = self.now;
            if let Some((index, entry)) = self.table.entry_of(session) {
                entry.session.commit(now, stream, next);
                self.touch(index);
            }
        }
        if let Some(access) = mail.access {
            self.links.access = access;
        }
        // After the verdicts: what those opened ends too.
        for device in mail.disconnect {
            self.disconnect(device);
        }
        if mail.shutdown && !self.closing {
            self.closing = true;
            for index in self.table.questions() {
                self.table.drop_question(index);
            }
        }
    }

    fn on_verdict(&mut self, session: SessionKey, verdict: Verdict) {
        let Some((path, bytes)) = self.table.take_question(session) else {
            return;
        };
        let index = session.index as usize;
        let Some(hello) = Hello::parse(&bytes).ok().and_then(|hello| hello.plain()) else {
            return self.table.drop_question(index);
        };
        match verdict {
            Verdict::Accept(streams) => {
                if !self.accept(session, path, &hello, &streams) {
                    self.table.drop_question(index);
                }
            }
            Verdict::Refuse(reason) => {
                self.table.drop_question(index);
                self.refuse(path, &hello, reason);
            }
            Verdict::Silence => self.table.drop_question(index),
        }
    }

    fn refuse(&mut self, path: Path, hello: &Offer<'_>, reason: CloseReason) {
        self.stats.handshakes_refused += 1;
        let len = usize::from(self.config.core.max_datagram);
        let sent = self.outgoing.room(len).and_then(|room| whimbrel_core::refuse(hello, reason, room));
        if let Some(len) = sent {
            self.outgoing.push(path, len);
        }
        if let Some(count) = self.reports.note(Refusal::Application, self.now) {
            tracing::info!(device = %hello.device(), peer = %path.peer, ?reason, count, "{}", Refusal::Application.reason());
        }
    }

    /// Opens the session in the place of its question. `false`: it could not be.
    fn accept(&mut self, key: SessionKey, path: Path, hello: &Offer<'_>, streams: &[StreamAdmission]) -> bool {
        if !fits(hello, streams) {
            tracing::error!(device = %hello.device(), "the admission does not fit what the device offered");
            return false;
        }
        let mut random = [0; 32];
        let Some(cid_random) = getrandom::fill(&mut random).ok().and_then(|()| getrandom::u32().ok()) else {
            tracing::error!("the system has no random bytes");
            return false;
        };
        let index = key.index as usize;
        let cid = self.table.layout().make(self.number, index, cid_random);
        let session = Session::accept(
            &self.config.core,
            hello,
            &Admission { streams },
            cid,
            &self.config.downlink,
            random,
            GatewayMemory::new(),
            self.now,
            PathId(0),
        );
        let session = match session {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(device = %hello.device(), %error, "a device cannot be served");
                return false;
            }
        };
        let durable = hello.streams().filter(|s| s.durable).fold(0, |set, s| set | stream_bit(s.id));
        let entry = Entry {
            session,
            key,
            device: hello.device(),
            cid,
            paths: Paths::new(path),
            durable,
            live: false,
            dirty: false,
            deferred: false,
            leaving: false,
            cut: false,
            waits: false,
            limited: None,
            allowance: Allowance::new(&self.config.limits, &self.links.shared.time),
            waiting: Waiting::new(self.config.limits.device_waiting),
            seat: None,
            armed: None,
            heard: self.now,
            counted: Stats::default(),
        };
        if let Some(former) = self.table.open_pending(index, entry) {
            self.end(former);
        }
        self.touch(index);
        true
    }
}

/// Whether each offered stream has its admission, in the same order.
fn fits(hello: &Offer<'_>, streams: &[StreamAdmission]) -> bool {
    let mut offered = hello.streams();
    let paired = |(offer, admitted): (OfferedStream, &StreamAdmission)| offer.id == admitted.id;
    offered.by_ref().zip(streams).all(paired) && hello.streams().count() == streams.len()
}
