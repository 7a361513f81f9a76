//! Sealed requests: what they must show, in the order of what it costs to look.
//!
//! ```text
//! form -> how many MACs were looked at -> the device's record -> MAC      on the shard that got it
//! -> one that was answered before: its answer again -> counter -> under load, cookie
//! -> room, rates -> scalar multiplication -> the question to the application   on the shard that has the device
//! ```
//! Nothing without a right MAC is answered, and every answer before the last step is shorter than the request. What
//! counts handshakes stands behind MAC, counter and cookie: before them, anybody could use up what a network is
//! allowed, with forged, replayed or misaddressed requests.

use tokio::sync::mpsc;
use whimbrel_core::gate::{Authentic, Load, Weighed};
use whimbrel_core::wire::{Claim, VERSION};
use whimbrel_core::{CloseReason, DecodeError, DeviceId, DeviceKey, Duration, Protection as Kind};

use super::Shard;
use super::request::{Request, SealedRequest};
use super::table::Found;
use crate::event::GatewayEvent;
use crate::limits::Refusal;
use crate::protection::{DeviceRecord, Proof};
use crate::socket::Path;

/// The least time between two words to one device about its counter: that of the first HELLO and its repeat.
const COUNTER_LOW_INTERVAL: Duration = Duration::from_secs(1);

/// Devices that are remembered for it; the one not heard of for the longest gives way.
pub(super) const COUNTED_LOW_MAX: usize = 1 << 14;

impl Shard {
    /// A request that reached this shard's socket. `blocked`: its source is; then it is looked at all the same, for it may
    /// be a device whose address somebody else has used, but nothing is said about it.
    pub(super) fn on_sealed_hello(
        &mut self,
        path: Path,
        bytes: &[u8],
        blocked: bool,
        events: &mpsc::Sender<GatewayEvent>,
    ) {
        let fits = bytes.len() <= usize::from(self.config.core.max_datagram);
        let claim = match Claim::parse(bytes) {
            Ok(claim) if fits && claim.protection() != Kind::Plain => claim,
            _ if blocked => return self.on_blocked(path),
            Ok(_) if fits => return self.on_other_protection(path),
            // It would take long to look at.
            Ok(_) => return self.on_undecodable(path, DecodeError::Invalid),
            Err(error) => return self.on_undecodable(path, error),
        };
        if !self.links.shared.may_check_mac(blocked) {
            self.stats.hello_unseen += 1;
            return self.report(Refusal::MacRate, path);
        }
        let Some(record) = self.links.guard.find(claim.device()) else {
            self.stats.hello_unknown_device += 1;
            return self.on_impostor(Refusal::UnknownDevice, path, blocked);
        };
        let Some((authentic, key)) = record.authenticate(&claim) else {
            self.stats.hello_unauthentic += 1;
            return self.on_impostor(Refusal::Unauthentic, path, blocked);
        };
        match self.shard_of(claim.device()) {
            shard if shard != self.number => self.forward(shard, path, bytes),
            _ => self.on_authentic_hello(path, &claim, &record, (&authentic, key), events),
        }
    }

    /// A request that another shard found authentic.
    pub(super) fn on_forwarded_hello(&mut self, path: Path, bytes: &[u8], events: &mpsc::Sender<GatewayEvent>) {
        let Ok(claim) = Claim::parse(bytes) else { return };
        // The device may have been removed since.
        let Some(record) = self.links.guard.find(claim.device()) else { return };
        if let Some((authentic, key)) = record.authenticate(&claim) {
            self.on_authentic_hello(path, &claim, &record, (&authentic, key), events);
        }
    }

    fn on_impostor(&mut self, refusal: Refusal, path: Path, blocked: bool) {
        if !blocked {
            self.report(refusal, path);
            self.strike(path.peer.ip());
        }
    }

    fn on_authentic_hello(
        &mut self,
        path: Path,
        claim: &Claim<'_>,
        record: &DeviceRecord,
        (authentic, key): (&Authentic<'_>, &DeviceKey),
        events: &mpsc::Sender<GatewayEvent>,
    ) {
        if claim.version() != VERSION {
            self.stats.rx_version += 1;
            if self.answer(path, |room| authentic.refuse(CloseReason::Version, room)) {
                self.stats.versions_refused += 1;
            }
            return;
        }
        if self.closing {
            self.stats.hello_no_room += 1;
            return;
        }
        match self.table.find(claim) {
            Found::New => {}
            Found::Session(index) => return self.repeat_accept(index, path),
            Found::Asking => return self.stats.hello_repeated += 1,
            Found::Full => return self.no_room(path),
        }
        if !self.weigh(path, claim, record, authentic) {
            return;
        }
        let Some(seat) = self.seat(claim.device(), path) else { return };
        if !self.in_time(path) {
            return;
        }
        let Ok(permit) = events.try_reserve() else {
            return self.no_room(path);
        };
        let mut terms = vec![0; claim.datagram().len()];
        let opened = match self.links.guard.open(authentic, record.pattern, &mut terms) {
            Ok((opened, len)) => {
                terms.truncate(len);
                opened
            }
            Err(error) => {
                self.stats.hello_unopened += 1;
                if let Some(count) = self.reports.note(Refusal::Unopened, self.now) {
                    let reason = Refusal::Unopened.reason();
                    tracing::warn!(device = %claim.device(), peer = %path.peer, %error, count, "refused: {reason}");
                }
                return;
            }
        };
        let gateway_key_id = opened.gateway_key_id();
        let proof = Proof { counter: authentic.counter(), key: key.clone(), gateway_key_id };
        let request = Request::Sealed(Box::new(SealedRequest { opened, terms, counter: proof.counter }));
        self.ask(path, request, Some(proof), seat, permit);
    }

    /// Whether the device may be told of its counter again. One that lost count needs it once; a flood of what it said
    /// before would else cost an answer each.
    fn may_say_counter_low(&mut self, device: DeviceId) -> bool {
        let now = self.now;
        if self.counted_low.get(&device).is_some_and(|at| now < *at + COUNTER_LOW_INTERVAL) {
            return false;
        }
        self.counted_low.insert(device, now);
        true
    }

    /// Whether the request is a new one, and under load comes from where it says. If not, the device is told.
    fn weigh(&mut self, path: Path, claim: &Claim<'_>, record: &DeviceRecord, authentic: &Authentic<'_>) -> bool {
        let lowest = record.lowest().max(self.table.lowest(claim.device()));
        if authentic.counter() < lowest && !self.may_say_counter_low(claim.device()) {
            self.stats.hello_counter_low += 1;
            return false;
        }
        let source = source(path);
        let load = self.links.shared.is_under_load().then_some(&self.links.guard.cookies);
        let load = load.map(|cookies| Load { cookies, source: &source });
        let room = self.outgoing.room(claim.datagram().len());
        let weighed = room.and_then(|room| authentic.weigh(self.now, lowest, load, room));
        match weighed {
            Some(Weighed::Open) => return true,
            Some(Weighed::Answer { len, counter_low }) => {
                self.outgoing.push(path, len);
                if counter_low {
                    self.stats.hello_counter_low += 1;
                    self.report(Refusal::CounterLow, path);
                } else {
                    self.stats.hello_cookies += 1;
                }
            }
            // There is no room for an answer, so that there is none for an ACCEPT either.
            None => self.no_room(path),
        }
        false
    }
}

/// What a cookie is bound to: address and port.
fn source(path: Path) -> [u8; 18] {
    let mut source = [0; 18];
    let (address, port) = (path.peer.ip().to_canonical(), path.peer.port().to_be_bytes());
    let address = match address {
        core::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        core::net::IpAddr::V6(v6) => v6.octets(),
    };
    for (place, byte) in source.iter_mut().zip(address.into_iter().chain(port)) {
        *place = byte;
    }
    source
}
