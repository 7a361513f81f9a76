//! What a gateway does with a HELLO and with the first packet of a session, without socket and storage.

use crate::device::{NOW, PATH, SEED, id};
use std::collections::HashMap;
use whimbrel_core::gate::Weighed;
use whimbrel_core::{
    Admission, Config, ConnectionId, DeviceId, DeviceKey, GatewayKeys, Hello, Host, Offer, OfferedStream, Pattern,
    Route, Session, StreamAdmission, StreamEpoch, route,
};
use whimbrel_tests::keys;

/// What is stored of a device.
struct Known {
    key: DeviceKey,
    /// The lowest counter that is taken.
    lowest: u64,
}

/// What to send back.
pub(crate) enum Answer {
    /// Nothing.
    Silence,
    /// A COUNTER_LOW.
    CounterLow,
    /// So many bytes: an ACCEPT.
    Accept(usize),
}

/// Devices and their sessions.
pub(crate) struct Gateway {
    keys: GatewayKeys,
    pattern: Pattern,
    known: HashMap<DeviceId, Known>,
    /// On the heap, each with its memory, as the socket's owner has them.
    sessions: HashMap<ConnectionId, Box<Session<Host>>>,
}

impl Gateway {
    /// Knows so many devices.
    pub(crate) fn new(pattern: Pattern, devices: u32) -> Self {
        let known = |number| (id(number), Known { key: keys::device_key(SEED, number), lowest: 0 });
        let known = (0..devices).map(known).collect();
        Self { keys: keys::gateway_keys(SEED, 0), pattern, known, sessions: HashMap::new() }
    }

    /// A HELLO, when it is one that may be taken: opened, and answered.
    pub(crate) fn on_hello(&mut self, datagram: &[u8], buf: &mut [u8]) -> Answer {
        self.hello(datagram, buf).unwrap_or(Answer::Silence)
    }

    fn hello(&mut self, datagram: &[u8], buf: &mut [u8]) -> Option<Answer> {
        let Ok(Route::Hello) = route(datagram) else { return None };
        let hello = Hello::parse(datagram).ok()?;
        let known = self.known.get_mut(&hello.device())?;
        let authentic = hello.claim().authenticate(&known.key)?;
        if authentic.weigh(NOW, known.lowest, None, buf)? != Weighed::Open {
            return Some(Answer::CounterLow);
        }
        let mut terms = [0; Config::MAX_DATAGRAM as usize];
        let (opened, len) = authentic.open(self.pattern, &self.keys, &mut terms).ok()?;
        let offer = Offer::new(opened, terms.get(..len)?).ok()?;
        known.lowest = authentic.counter() + 1;
        self.accept(&offer, buf)
    }

    fn accept(&mut self, offer: &Offer<'_>, buf: &mut [u8]) -> Option<Answer> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok()?;
        let cid = ConnectionId::new(&getrandom::u32().ok()?.to_le_bytes())?;
        let epoch = StreamEpoch::new(1)?;
        let admit = |offered: OfferedStream| StreamAdmission { id: offered.id, epoch, next: offered.base };
        let streams: Vec<_> = offer.streams().map(admit).collect();
        let admission = Admission { streams: &streams };
        let config = Config::new();
        let session = Session::accept(&config, offer, &admission, cid, &[], random, Host::new(), NOW, PATH).ok()?;
        let mut session = Box::new(session);
        let sent = session.poll_transmit(NOW, buf)?;
        self.sessions.insert(cid, session);
        Some(Answer::Accept(sent.len))
    }

    /// A packet; says whether its device is heard now.
    pub(crate) fn on_packet(&mut self, datagram: &mut [u8]) -> bool {
        let Ok(Route::Session(cid)) = route(datagram) else { return false };
        let Some(session) = self.sessions.get_mut(&cid) else { return false };
        drop(session.handle_datagram(NOW, PATH, datagram));
        session.is_established()
    }

    /// All sessions are over.
    pub(crate) fn forget(&mut self) {
        self.sessions.clear();
    }
}
