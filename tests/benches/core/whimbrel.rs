//! Whimbrel: two sessions, an ordered channel, with or without UDP between them.

use crate::udp::Udp;
use crate::{Way, earliest};
use std::collections::VecDeque;
use whimbrel_core::{
    Admission, ChannelConfig, ChannelId, Config, ConnectionId, DeviceId, Hello, Identity, Inline, Instant, Large,
    PathId, SchemaId, Session, StreamAdmission, StreamEpoch,
};

const CHANNEL: ChannelId = ChannelId::new(1).unwrap();
const PATH: PathId = PathId(1);
const DATAGRAM: usize = 1_200;

/// A gateway's memory that takes messages of 1,024 bytes.
type Gateway = Inline<4, 4, 32, 64, 32, 64, 128, 128, 32, 32_768, 0>;

/// Where datagrams go.
enum Carrier {
    Direct([VecDeque<Vec<u8>>; 2], Vec<Vec<u8>>),
    Udp(Box<Udp>),
}

impl Carrier {
    fn send(&mut self, from: usize, datagram: &[u8]) {
        match self {
            Self::Direct(queues, spare) => {
                let mut buffer = spare.pop().unwrap_or_default();
                buffer.clear();
                buffer.extend_from_slice(datagram);
                queues[1 - from].push_back(buffer);
            }
            Self::Udp(udp) => udp.send(from, datagram),
        }
    }

    fn carry(&mut self, now: Instant) {
        if let Self::Udp(udp) = self {
            udp.carry(now);
        }
    }

    fn receive(&mut self, at: usize, buf: &mut [u8]) -> Option<usize> {
        match self {
            Self::Direct(queues, spare) => {
                let datagram = queues[at].pop_front()?;
                buf[..datagram.len()].copy_from_slice(&datagram);
                let len = datagram.len();
                spare.push(datagram);
                Some(len)
            }
            Self::Udp(udp) => {
                let mut len = 0;
                let arrived = udp.receive(at, |datagram| {
                    len = datagram.len();
                    buf[..len].copy_from_slice(datagram);
                });
                arrived.then_some(len)
            }
        }
    }
}

/// A device and its gateway.
pub(crate) struct Whimbrel {
    now: Instant,
    device: Session<Large>,
    gateway: Session<Gateway>,
    carrier: Carrier,
}

impl Whimbrel {
    /// An open session, over UDP or by hand.
    pub(crate) fn new(udp: Option<Udp>) -> Self {
        let config = Config { receive_window: 32, ..Config::new() };
        let identity = Identity::insecure_plain(DeviceId::new(b"bench").expect("5 bytes are a device id"), 0);
        let channels = [ChannelConfig::ordered(CHANNEL, SchemaId::named("bench/1"))];
        let device = Session::connect(&config, identity, &channels, [1; 32], Large::new());
        let mut device = device.expect("one channel fits");
        let mut buf = [0; DATAGRAM];
        let sent = device.poll_transmit(Instant::ZERO, &mut buf).expect("a session begins with a HELLO");
        let hello = Hello::parse(&buf[..sent.len]).ok().and_then(|hello| hello.plain());
        let hello = hello.expect("a session begins with a HELLO");
        let epoch = StreamEpoch::new(1).expect("epochs are counted from 1");
        let admit =
            |offered: whimbrel_core::OfferedStream| StreamAdmission { id: offered.id, epoch, next: offered.base };
        let streams: Vec<_> = hello.streams().map(admit).collect();
        let cid = ConnectionId::new(&[1, 2, 3, 4]).expect("4 bytes are a connection id");
        let admission = Admission { streams: &streams };
        let memory = Gateway::new();
        let gateway = Session::accept(&config, &hello, &admission, cid, &[], [2; 32], memory, Instant::ZERO, PATH);
        let gateway = gateway.expect("one channel fits");
        let carrier = match udp {
            Some(udp) => Carrier::Udp(Box::new(udp)),
            None => Carrier::Direct(Default::default(), Vec::new()),
        };
        let mut session = Self { now: Instant::ZERO, device, gateway, carrier };
        while !session.gateway.is_established() {
            session.step();
        }
        session
    }

    /// Moves datagrams both ways, once, or goes on to the next timer. Messages that were read.
    fn step(&mut self) -> usize {
        let (mut buf, mut read, mut moved) = ([0; DATAGRAM], 0, false);
        while let Some(sent) = self.device.poll_transmit(self.now, &mut buf) {
            self.carrier.send(0, &buf[..sent.len]);
            moved = true;
        }
        self.carrier.carry(self.now);
        while let Some(len) = self.carrier.receive(1, &mut buf) {
            let mut received = self.gateway.handle_datagram(self.now, PATH, &mut buf[..len]);
            while received.next().is_some() {
                read += 1;
            }
        }
        while let Some(sent) = self.gateway.poll_transmit(self.now, &mut buf) {
            self.carrier.send(1, &buf[..sent.len]);
            moved = true;
        }
        self.carrier.carry(self.now);
        while let Some(len) = self.carrier.receive(0, &mut buf) {
            drop(self.device.handle_datagram(self.now, PATH, &mut buf[..len]));
        }
        while self.device.poll_event().is_some() {}
        while self.gateway.poll_event().is_some() {}
        if !moved {
            self.now = earliest([self.device.poll_timeout(), self.gateway.poll_timeout()]).max(self.now);
            self.device.handle_timeout(self.now);
            self.gateway.handle_timeout(self.now);
        }
        read
    }
}

impl Way for Whimbrel {
    fn exchange(&mut self, count: usize, message: &[u8]) {
        for _ in 0..count {
            self.device.send(self.now, CHANNEL, message).expect("the outbox has room");
        }
        let mut read = 0;
        while read < count || self.device.queued() > 0 {
            read += self.step();
        }
    }
}
