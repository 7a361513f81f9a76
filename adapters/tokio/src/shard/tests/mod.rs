//! One shard in virtual time, with an application that stores everything at once, and devices around it.

mod blocks;
mod flood;
mod handshakes;
mod limits;
mod sealed;

use core::net::SocketAddr;
use std::collections::HashMap;

use whimbrel_core::{
    BootEpoch, ChannelConfig, ChannelId, CloseReason, Config, Credentials, DeviceKey, Event, GatewayKeys,
    GatewaySecret, Identity, Large, PathId, Pattern, SchemaId, SeqNo, Session, StreamAdmission, StreamEpoch,
};

use super::*;
use crate::event::{Committed, Events};
use crate::limits::Limits;
use crate::protection::{DeviceRecord, Directory, Proof, Protection};

/// What the gateway knows of its devices.
#[derive(Default)]
struct Devices(Mutex<HashMap<DeviceId, DeviceRecord>>);

impl Directory for Devices {
    fn find(&self, device: DeviceId) -> Option<DeviceRecord> {
        self.0.lock().unwrap().get(&device).cloned()
    }
}

impl Devices {
    fn change(&self, device: DeviceId, change: impl FnOnce(&mut DeviceRecord)) {
        let fresh = DeviceRecord { pattern: Pattern::NkPsk0, key: key(1), next_key: None, counter: None };
        change(self.0.lock().unwrap().entry(device).or_insert(fresh));
    }
}

fn key(number: u8) -> DeviceKey {
    DeviceKey::new([number; 32])
}

fn secret(number: u8) -> GatewaySecret {
    GatewaySecret::new([0x40 + number; 32])
}

fn name(name: &str) -> DeviceId {
    DeviceId::new(name.as_bytes()).unwrap()
}

fn channel() -> ChannelId {
    ChannelId::new(1).unwrap()
}

fn from(address: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((address, port))
}

/// A datagram and who sends it, or gets it.
type Mail = (SocketAddr, Vec<u8>);

/// A device at an address.
struct Device {
    session: Session<Large>,
    at: SocketAddr,
    sent: usize,
    refused: bool,
    /// The key of the gateway that it was told.
    told: Option<GatewayPublic>,
}

impl Device {
    fn new(identity: Identity, at: SocketAddr) -> Self {
        let channels = [ChannelConfig::durable(channel(), SchemaId(1))];
        let config = Config { max_backoff: whimbrel_core::Duration::from_millis(2000), ..Config::default() };
        let seed = [at.port() as u8; 32];
        let session = Session::connect(&config, identity, &channels, seed, Large::new()).unwrap();
        Self { session, at, sent: 0, refused: false, told: None }
    }

    fn sealed(device: &str, boot: u32, at: SocketAddr) -> Self {
        Self::new(identity(device, boot, 1), at)
    }

    fn plain(device: &str, at: SocketAddr) -> Self {
        Self::new(Identity::insecure_plain(name(device), 0), at)
    }

    /// As many readings as fit, up to `total` since the beginning.
    fn send(&mut self, now: Instant, total: usize) {
        while self.sent < total && self.session.send(now, channel(), &payload(self.sent)).is_ok() {
            self.sent += 1;
        }
    }

    fn transmit(&mut self, now: Instant, mail: &mut Vec<Mail>) {
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        let mut buf = [0; 1452];
        while let Some(sent) = self.session.poll_transmit(now, &mut buf) {
            mail.push((self.at, buf[..sent.len].to_vec()));
        }
        while let Some(event) = self.session.poll_event() {
            self.refused |= event == Event::Closed { reason: CloseReason::Refused };
            if let Event::GatewayKey { key } = event {
                self.told = Some(key);
            }
        }
    }

    fn receive(&mut self, now: Instant, datagram: &mut [u8]) {
        let mut received = self.session.handle_datagram(now, PathId(0), datagram);
        while received.next().is_some() {}
    }
}

fn identity(device: &str, boot: u32, number: u8) -> Identity {
    Identity::sealed(name(device), BootEpoch::unstored(boot), Credentials::nk(key(number), secret(1).public()))
}

fn payload(number: usize) -> Vec<u8> {
    format!("reading {number:07}, and what a reading has besides its number").into_bytes()
}

/// The first request of a device, as somebody on the way sees it.
fn hello(mut device: Device) -> Vec<u8> {
    let mut mail = Vec::new();
    device.transmit(Instant::ZERO, &mut mail);
    mail.pop().expect("a device begins with a request").1
}

/// The shard and its application.
struct World {
    shard: Shard,
    sender: mpsc::Sender<GatewayEvent>,
    events: Events,
    devices: Arc<Devices>,
    now: Instant,
    /// The application takes its events.
    awake: bool,
    /// What it stored, in order.
    stored: HashMap<DeviceId, Vec<Vec<u8>>>,
    proofs: Vec<Proof>,
}

impl World {
    fn sealed(limits: Limits) -> Self {
        Self::new(EndpointConfig { limits, ..EndpointConfig::default() }, true)
    }

    fn plain(limits: Limits) -> Self {
        Self::new(EndpointConfig { limits, ..EndpointConfig::default() }, false)
    }

    /// With one device, "honest", in the directory.
    fn new(config: EndpointConfig, sealed: bool) -> Self {
        let devices = Arc::new(Devices::default());
        devices.change(name("honest"), |_| {});
        let keys = GatewayKeys::new(secret(1), [9; 32]);
        let protection =
            if sealed { Protection::sealed(Arc::<Devices>::clone(&devices), keys) } else { Protection::InsecurePlain };
        let mailbox = Arc::<Mailbox>::default();
        let progress = Progress::new(Arc::clone(&mailbox));
        let (sender, receiver) = mpsc::channel(config.event_capacity);
        let links = Links {
            mailbox,
            stats: Arc::default(),
            forward: Vec::new(),
            hasher: RandomState::new(),
            shared: Arc::new(Shared::new(&config.limits, 1)),
            access: Arc::new(Access::new(&config.limits.access)),
            guard: Guard::new(protection, [3; 32]),
            open: none_open(&config),
            progress: Arc::clone(&progress),
        };
        let now = Instant::from_millis(1000);
        let shard = Shard::new(0, Arc::new(config), now, Outgoing::new(1 << 20, 1), links);
        let events = Events { receiver, progress: vec![progress] };
        let (stored, proofs) = (HashMap::new(), Vec::new());
        Self { shard, sender, events, devices, now, awake: true, stored, proofs }
    }

    /// One turn of the shard, and what it sends.
    fn turn(&mut self, mail: Vec<Mail>) -> Vec<Mail> {
        let sender = self.sender.clone();
        let permit = sender.try_reserve().ok();
        let mut inbox = self.shard.begin(self.now, permit.is_some());
        for (peer, mut datagram) in mail {
            let path = Path { peer, local: None };
            self.shard.on_datagram(path, &mut datagram, &mut inbox, &sender);
        }
        self.shard.on_timers(&mut inbox);
        while !self.shard.dirty.is_empty() {
            self.shard.pump_dirty(&mut inbox);
        }
        self.shard.finish(inbox, permit, &sender);
        while self.awake && self.take_event() {}
        self.shard.outgoing.take().into_iter().map(|(path, datagram)| (path.peer, datagram)).collect()
    }

    /// The application takes one event, if there is one: admits whoever asks, stores what comes.
    fn take_event(&mut self) -> bool {
        match self.events.try_recv() {
            None => return false,
            Some(GatewayEvent::Hello(hello)) => {
                if let Some(proof) = &hello.proof {
                    self.devices.change(hello.device, |record| record.counter = Some(proof.counter));
                    self.proofs.push(proof.clone());
                }
                let next = SeqNo::new(self.stored.get(&hello.device).map_or(0, |stored| stored.len() as u64));
                let admit = |id| StreamAdmission { id, epoch: StreamEpoch::new(1).unwrap(), next };
                let streams = hello.streams.iter().map(|offer| admit(offer.id)).collect();
                hello.accept(streams);
            }
            Some(GatewayEvent::Readings(readings)) => {
                for reading in readings {
                    let stored = self.stored.entry(reading.device).or_default();
                    assert_eq!(reading.seq.value(), stored.len() as u64, "in order, each once");
                    stored.push(reading.payload);
                    let next = SeqNo::new(stored.len() as u64);
                    let (session, stream) = (reading.session, reading.stream);
                    self.shard.links.mailbox.commit([Committed { session, stream, next }].iter());
                }
            }
            Some(GatewayEvent::Closed { .. }) => {}
        }
        true
    }

    /// Time goes by, a millisecond at a time; `extra` is what others send in each.
    fn run_with(&mut self, millis: u64, devices: &mut [Device], mut extra: impl FnMut(&Self) -> Vec<Mail>) {
        for _ in 0..millis {
            self.now = self.now + whimbrel_core::Duration::from_millis(1);
            let mut mail = extra(self);
            devices.iter_mut().for_each(|device| device.transmit(self.now, &mut mail));
            for (to, mut datagram) in self.turn(mail) {
                if let Some(device) = devices.iter_mut().find(|device| device.at == to) {
                    device.receive(self.now, &mut datagram);
                }
            }
        }
    }

    fn run(&mut self, millis: u64, devices: &mut [Device]) {
        self.run_with(millis, devices, |_| Vec::new());
    }

    fn stats(&self) -> EndpointStats {
        *self.shard.links.stats.lock().unwrap()
    }

    /// How many readings of the device are stored; they are the first ones that it sent.
    fn stored(&self, device: &str) -> usize {
        let Some(stored) = self.stored.get(&name(device)) else { return 0 };
        assert!(stored.iter().enumerate().all(|(number, reading)| *reading == payload(number)));
        stored.len()
    }
}
