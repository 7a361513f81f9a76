//! Whimbrel: two sessions over the public interface, messages on ordered channels.

use crate::flow::{End, Flow};
use firmware_sim::link::rng;
use rand::RngCore;
use std::collections::VecDeque;
use whimbrel_core::{
    Admission, ChannelConfig, ChannelId, Config, ConnectionId, DeviceId, Hello, Host, Identity, Instant, Large, Memory,
    PathId, Priority, Received, Redundancy, Route, SchemaId, SendError, Session, StreamAdmission, StreamEpoch, Uplink,
    route,
};

/// A gateway that lends a session 128 slots of 256 bytes to messages that came early: 32 KiB.
type Gateway = Host;

/// How many messages the gateway lets a device have outstanding: twice what its slots hold, for credit
/// promises consumption in order, not a slot.
const WINDOW: u16 = 256;
const PATH: PathId = PathId(1);

/// A device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// 8 KiB, mostly for sending.
    Uplink,
    /// 32 KiB.
    Large,
}

/// A flow of one lane.
pub(crate) fn flow(preset: Preset, redundancy: Redundancy, seed: u64) -> Box<dyn Flow> {
    flow_of(preset, &[channel(0, redundancy, Priority::Normal)], seed)
}

/// A flow with a lane for each of the channels.
pub(crate) fn flow_of(preset: Preset, channels: &[ChannelConfig], seed: u64) -> Box<dyn Flow> {
    match preset {
        Preset::Uplink => Box::new(Whimbrel::<Uplink>::new(channels, seed)),
        Preset::Large => Box::new(Whimbrel::<Large>::new(channels, seed)),
    }
}

/// The channel behind a lane: ordered, not durable. All that the bench chooses about a channel is chosen here.
pub(crate) fn channel(lane: u8, redundancy: Redundancy, priority: Priority) -> ChannelConfig {
    let id = ChannelId::new(lane + 1).expect("few lanes");
    ChannelConfig::ordered(id, SchemaId::named("bench/1")).with_redundancy(redundancy).with_priority(priority)
}

/// A device, a gateway, and what came out there.
pub(crate) struct Whimbrel<D> {
    config: Config,
    device: Session<D>,
    gateway: Option<Session<Gateway>>,
    random: [u8; 32],
    arrived: VecDeque<(usize, Vec<u8>)>,
}

impl<D: Memory + Default> Whimbrel<D> {
    /// A device that opens a session, and a gateway that will take it.
    pub(crate) fn new(channels: &[ChannelConfig], seed: u64) -> Self {
        let mut rng = rng(seed, 100);
        let mut draw = || {
            let mut random = [0; 32];
            rng.fill_bytes(&mut random);
            random
        };
        let device = DeviceId::new(b"bench").expect("5 bytes are a device id");
        let config = Config { receive_window: WINDOW, ..Config::new() };
        let identity = Identity::insecure_plain(device, 0);
        let session = Session::connect(&config, identity, channels, draw(), D::default());
        let device = session.expect("the bench's channels fit its memory");
        Self { config, device, gateway: None, random: draw(), arrived: VecDeque::new() }
    }
}

impl<D: Memory> Whimbrel<D> {
    /// A HELLO reached the gateway.
    fn open(&mut self, now: Instant, datagram: &[u8]) {
        let hello = Hello::parse(datagram).ok().and_then(|hello| hello.plain()).expect("the link spoils nothing");
        if let Some(session) = self.gateway.as_mut().filter(|session| session.hello_id() == hello.id()) {
            return session.repeat_accept(now, PATH);
        }
        let first = StreamEpoch::new(1).expect("epochs are counted from 1");
        let admit = |offered: whimbrel_core::OfferedStream| StreamAdmission {
            id: offered.id,
            epoch: offered.epoch.unwrap_or(first),
            next: offered.base,
        };
        let streams: Vec<_> = hello.streams().map(admit).collect();
        let admission = Admission { streams: &streams };
        let cid = ConnectionId::new(&[0xb, 0xe, 0xc, 0x4]).expect("4 bytes are a connection id");
        let memory = Gateway::new();
        let session = Session::accept(&self.config, &hello, &admission, cid, &[], self.random, memory, now, PATH);
        self.gateway = Some(session.expect("the bench's channels fit its memory"));
    }
}

impl<D: Memory> Flow for Whimbrel<D> {
    fn is_ready(&self) -> bool {
        self.device.is_established()
    }

    fn offer(&mut self, now: Instant, lane: usize, message: &[u8]) -> bool {
        let id = ChannelId::new(lane as u8 + 1).expect("few lanes");
        match self.device.send(now, id, message) {
            Ok(_) => true,
            Err(SendError::Full) => false,
            Err(error) => panic!("lane {lane}: {error}"),
        }
    }

    fn handle(&mut self, now: Instant, at: End, frame: &mut [u8]) {
        if at == End::Device {
            drop(self.device.handle_datagram(now, PATH, frame));
        } else if matches!(route(frame), Ok(Route::Hello)) {
            self.open(now, frame);
        } else if let Some(session) = &mut self.gateway {
            collect(session.handle_datagram(now, PATH, frame), &mut self.arrived);
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.device.poll_timeout().is_some_and(|due| due <= now) {
            self.device.handle_timeout(now);
        }
        if let Some(session) = &mut self.gateway
            && session.poll_timeout().is_some_and(|due| due <= now)
        {
            session.handle_timeout(now);
        }
    }

    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>> {
        let mut buf = vec![0; usize::from(self.config.max_datagram)];
        let sent = match from {
            End::Device => self.device.poll_transmit(now, &mut buf),
            End::Gateway => self.gateway.as_mut()?.poll_transmit(now, &mut buf),
        };
        buf.truncate(sent?.len);
        Some(buf)
    }

    fn deliver(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        while self.device.poll_event().is_some() {}
        let session = self.gateway.as_mut()?;
        while session.poll_event().is_some() {}
        collect(session.poll_received(now), &mut self.arrived);
        self.arrived.pop_front()
    }

    fn wake(&mut self, now: Instant) {
        self.device.wake(now);
    }

    fn next_deadline(&mut self, _now: Instant) -> Option<Instant> {
        let gateway = self.gateway.as_ref().and_then(Session::poll_timeout);
        self.device.poll_timeout().into_iter().chain(gateway).min()
    }
}

fn collect(mut received: Received<'_>, arrived: &mut VecDeque<(usize, Vec<u8>)>) {
    while let Some(message) = received.next() {
        arrived.push_back((usize::from(message.channel().number()) - 1, message.payload.to_vec()));
    }
}
