//! Handshakes: from a device's request over the application's word to a session.

use std::sync::Arc;

use tokio::sync::mpsc;
use whimbrel_core::gate;
use whimbrel_core::{
    Admission, CloseReason, DecodeError, DeviceId, Duration, Hello, Offer, OfferedStream, PathId, Protection as Kind,
    Session, Stats, StreamAdmission,
};

use super::Shard;
use super::paths::Paths;
use super::request::Request;
use super::table::{Entry, Found, GatewayMemory, stream_bit};
use crate::event::{GatewayEvent, SessionKey};
use crate::hello::{HelloRequest, Reply};
use crate::limits::{Allowance, Refusal, Seat, Waiting};
use crate::protection::Proof;
use crate::socket::Path;

/// The least time between two answers to one request. A device asks again after a second or so.
const REPEAT: Duration = Duration::from_millis(200);

impl Shard {
    /// A device asks for a session of the plain mode.
    pub(super) fn on_plain_hello(&mut self, path: Path, bytes: &[u8], events: &mpsc::Sender<GatewayEvent>) {
        let hello = match Hello::parse(bytes) {
            Ok(hello) => hello,
            Err(error) => {
                self.on_undecodable(path, error);
                if error == DecodeError::Version {
                    self.refuse_version(path, bytes);
                }
                return;
            }
        };
        if hello.protection() != Kind::Plain {
            return self.on_other_protection(path);
        }
        if self.closing {
            self.stats.hello_no_room += 1;
            return;
        }
        match self.table.find(hello.claim()) {
            Found::New => {}
            Found::Session(index) => return self.repeat_accept(index, path),
            Found::Asking => return self.stats.hello_repeated += 1,
            Found::Full => return self.no_room(path),
        }
        let Some(seat) = self.seat(hello.device(), path) else { return };
        if !self.in_time(path) {
            return;
        }
        let Ok(permit) = events.try_reserve() else {
            return self.no_room(path);
        };
        self.ask(path, Request::Plain(bytes.to_vec()), None, seat, permit);
    }

    /// Puts the question to the application.
    pub(super) fn ask(
        &mut self,
        path: Path,
        request: Request,
        proof: Option<Proof>,
        seat: Seat,
        permit: mpsc::Permit<'_, GatewayEvent>,
    ) {
        let Some(offer) = request.offer() else { return };
        let (device, boot_epoch, streams) = (offer.device(), offer.boot_epoch(), offer.streams().collect());
        let session = self.table.ask(device, path, request, seat);
        let (peer, reply) = (path.peer, Reply::new(session, Arc::clone(&self.links.mailbox)));
        permit.send(GatewayEvent::Hello(HelloRequest { session, device, proof, boot_epoch, peer, streams, reply }));
    }

    /// The answer to a request once more, until it is known to have arrived: the first may have been lost. Seldom enough that whoever repeats a request
    /// that he has seen gains nothing by it.
    pub(super) fn repeat_accept(&mut self, index: usize, path: Path) {
        self.stats.hello_repeated += 1;
        let now = self.now;
        let Some(entry) = self.table.entry(index).filter(|entry| !entry.live && entry.repeat_at <= now) else {
            return;
        };
        entry.repeat_at = now + REPEAT;
        // Whoever repeats a request need not be its device, but nothing was sent anywhere yet.
        let id = entry.paths.id(path);
        entry.paths.learn(path);
        entry.session.repeat_accept(now, id);
        self.touch(index);
    }

    /// A place among the sessions of the network that the request came from.
    pub(super) fn seat(&mut self, device: DeviceId, path: Path) -> Option<Seat> {
        let prefix = self.config.limits.prefix.of(path.peer.ip());
        // A device that has a session may replace it.
        let known = self.table.places(device).live.is_some();
        let seat = self.links.shared.seats.take(prefix, known);
        if seat.is_none() {
            self.stats.hello_prefix_full += 1;
            self.report(Refusal::PrefixFull, path);
        }
        seat
    }

    /// Whether requests do not come too often, those that may become a session.
    pub(super) fn in_time(&mut self, path: Path) -> bool {
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

    pub(super) fn on_other_protection(&mut self, path: Path) {
        self.stats.hello_protection += 1;
        self.report(Refusal::Protection, path);
        self.strike(path.peer.ip());
    }

    pub(super) fn no_room(&mut self, path: Path) {
        self.stats.hello_no_room += 1;
        self.report(Refusal::NoRoom, path);
    }

    pub(super) fn refuse(&mut self, path: Path, offer: &Offer<'_>, reason: CloseReason) {
        self.stats.handshakes_refused += 1;
        self.answer(path, |room| match offer.is_sealed() {
            true => gate::refuse(offer, reason, room),
            false => whimbrel_core::refuse(offer, reason, room),
        });
        if let Some(count) = self.reports.note(Refusal::Application, self.now) {
            tracing::info!(device = %offer.device(), peer = %path.peer, ?reason, count, "{}", Refusal::Application.reason());
        }
    }

    /// Opens the session in the place of its question. `false`: it could not be.
    pub(super) fn accept(
        &mut self,
        key: SessionKey,
        path: Path,
        offer: &Offer<'_>,
        counter: Option<u64>,
        streams: &[StreamAdmission],
    ) -> bool {
        if !fits(offer, streams) {
            tracing::error!(device = %offer.device(), "the admission does not fit what the device offered");
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
            offer,
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
                tracing::warn!(device = %offer.device(), %error, "a device cannot be served");
                return false;
            }
        };
        let durable = offer.streams().filter(|s| s.durable).fold(0, |set, s| set | stream_bit(s.id));
        let entry = Entry {
            session,
            key,
            device: offer.device(),
            counter,
            gateway_key_id: offer.opened().gateway_key_id(),
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
            repeat_at: self.now,
            heard: self.now,
            counted: Stats::default(),
        };
        if let Some(open) = self.links.open.get(self.number) {
            open.publish(index, Some(cid));
        }
        if let Some(former) = self.table.open_pending(index, entry) {
            self.end(former);
        }
        self.touch(index);
        true
    }
}

/// Whether each offered stream has its admission, in the same order.
fn fits(offer: &Offer<'_>, streams: &[StreamAdmission]) -> bool {
    let mut offered = offer.streams();
    let paired = |(offered, admitted): (OfferedStream, &StreamAdmission)| offered.id == admitted.id;
    offered.by_ref().zip(streams).all(paired) && offer.streams().count() == streams.len()
}
