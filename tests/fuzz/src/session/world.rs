//! Both ends, the two queues between them, and the time.

use super::super::source::Source;
use super::gateway::{Gateway, rows};
use super::oracle::{Oracle, Row};
use super::ram::{DEVICES, GATEWAYS, Ram, Size};
use std::collections::VecDeque;
use whimbrel_core::wire::ShortHeader;
use whimbrel_core::{
    ChannelConfig, ChannelId, Config, Delivery, DeviceId, Duration, Event, Identity, Instant, PathId, Priority,
    Redundancy, SchemaId, SeqNo, Session,
};

/// Datagrams that one end may send within one instant, without hearing anything.
pub(super) const BURST_MAX: usize = 500;
/// Exchanges within one instant.
const ROUNDS_MAX: usize = 500;
/// Jumps to the next deadline until both ends must have come to rest.
const JUMPS_MAX: usize = 4_000;
/// Datagrams that a queue holds; the oldest is lost.
const QUEUE_MAX: usize = 128;
/// Datagrams kept to be sent once more, long after.
const HISTORY_MAX: usize = 64;

/// A datagram under way. `tainted`: it is not what an end sent.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    pub(super) tainted: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) queue: VecDeque<Datagram>,
    pub(super) history: VecDeque<Datagram>,
}

impl Wire {
    fn send(&mut self, bytes: Vec<u8>) {
        let datagram = Datagram { bytes, tainted: false };
        self.history.push_back(datagram.clone());
        self.history.drain(..self.history.len().saturating_sub(HISTORY_MAX));
        self.put(datagram);
    }

    /// Puts a datagram at the end of the queue.
    pub(super) fn put(&mut self, datagram: Datagram) {
        self.queue.push_back(datagram);
        self.queue.drain(..self.queue.len().saturating_sub(QUEUE_MAX));
    }
}

/// See the module.
pub(super) struct World {
    pub(super) now: Instant,
    /// How far the device's clock is behind.
    pub(super) lag: Duration,
    pub(super) path: PathId,
    config: Config,
    size: Size,
    pub(super) channels: Vec<ChannelConfig>,
    pub(super) boot: u32,
    pub(super) device: Session<Ram>,
    /// Messages that this boot of the device accepted.
    pub(super) accepted: u32,
    pub(super) gateway: Gateway,
    /// The longest message that any memory on the way takes for certain.
    pub(super) longest: usize,
    pub(super) up: Wire,
    pub(super) down: Wire,
    pub(super) uplink: Oracle,
    pub(super) downlink: Oracle,
    /// The serial of the gateway's session that the device sends to.
    peer: u32,
    /// Somebody forged a packet that was taken for genuine: nothing is promised any more but to go on.
    pub(super) forged: bool,
}

/// What there is, the usual one first.
pub(super) const PRIORITIES: [Priority; 4] = [Priority::Normal, Priority::Background, Priority::High, Priority::Urgent];

fn channels(source: &mut Source<'_>, max: usize) -> Vec<ChannelConfig> {
    let count = usize::from(source.u8()) % (max.min(4) + 1);
    (1..=count)
        .map(|number| {
            let id = ChannelId::new(number as u8).expect("below 64");
            let kind = source.u8();
            let channel = match kind % 5 {
                0 => ChannelConfig::durable(id, SchemaId(1)),
                1 => ChannelConfig::ordered(id, SchemaId(2)),
                2 => ChannelConfig::best_effort(id, SchemaId(3)),
                3 => ChannelConfig::reliable(id, SchemaId(4)),
                _ => ChannelConfig::latest(id, SchemaId(5)),
            };
            let redundancy = match kind / 5 % 4 {
                0 | 1 => Redundancy::None,
                2 => Redundancy::Fixed(kind / 20 % 4),
                _ => Redundancy::Adaptive,
            };
            channel.with_redundancy(redundancy).with_priority(PRIORITIES[usize::from(kind / 80)])
        })
        .collect()
}

impl World {
    /// Draws sizes, channels and settings.
    pub(super) fn new(source: &mut Source<'_>) -> Self {
        let size = DEVICES[usize::from(source.u8()) % DEVICES.len()];
        let behind = GATEWAYS[usize::from(source.u8()) % GATEWAYS.len()];
        let own = channels(source, size.send.min(behind.receive));
        let other = channels(source, behind.send.min(size.receive));
        let settings = source.u8();
        let pick = |shift: u8, choices: [u64; 4]| choices[usize::from(settings >> shift & 3)];
        let config = Config {
            max_datagram: pick(0, [1200, 1452, 256, 200]) as u16,
            ack_every: pick(2, [2, 1, 4, 10]) as u8,
            receive_window: pick(4, [64, 1, 3, 16]) as u16,
            max_backoff: Duration::from_secs(pick(6, [60, 1, 5, 600])),
            ..Config::new()
        };
        Self {
            now: Instant::from_millis(1000),
            lag: Duration::ZERO,
            path: PathId(1),
            device: connect(&config, size, &own, 0),
            gateway: Gateway::new(config, behind, other),
            config,
            size,
            longest: size.longest.min(behind.longest),
            channels: own,
            boot: 0,
            accepted: 0,
            up: Wire::default(),
            down: Wire::default(),
            uplink: Oracle::default(),
            downlink: Oracle::default(),
            peer: 0,
            forged: false,
        }
    }

    /// What the device's clock says.
    pub(super) fn device_now(&self) -> Instant {
        Instant::from_micros(self.now.as_micros().saturating_sub(self.lag.as_micros()))
    }

    /// The device loses its memory.
    pub(super) fn restart_device(&mut self) {
        self.boot += 1;
        (self.peer, self.accepted) = (0, 0);
        self.device = connect(&self.config, self.size, &self.channels, self.boot);
    }

    /// Everything that is due at this instant, until both ends are silent.
    pub(super) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            self.events();
            self.transmit();
            self.ledgers();
            if !self.timers() {
                return;
            }
        }
        panic!("timers that are due for ever");
    }

    /// Every message is accounted for, at every step.
    fn ledgers(&mut self) {
        let ledger = self.device.ledger();
        assert!(ledger.is_balanced(), "{ledger:?}");
        assert_eq!(ledger.accepted, self.accepted);
        for member in &mut self.gateway.members {
            let ledger = member.session.ledger();
            assert!(ledger.is_balanced(), "{ledger:?}");
        }
    }

    fn timers(&mut self) -> bool {
        let (now, there) = (self.device_now(), self.now);
        let mut any = false;
        if self.device.poll_timeout().is_some_and(|time| time <= now) {
            self.device.handle_timeout(now);
            any = true;
        }
        for member in &mut self.gateway.members {
            if member.session.poll_timeout().is_some_and(|time| time <= there) {
                member.session.handle_timeout(there);
                any = true;
            }
        }
        any
    }

    fn events(&mut self) {
        for count in 0.. {
            assert!(count < 100, "events without end");
            match self.device.poll_event() {
                Some(Event::StreamOpened { stream, epoch }) if !self.forged => {
                    self.uplink.opened(self.boot, stream, epoch);
                }
                Some(_) => {}
                None => break,
            }
        }
        for member in &mut self.gateway.members {
            let mut count = 0;
            while member.session.poll_event().is_some() {
                count += 1;
                assert!(count < 100, "events without end");
            }
        }
    }

    fn transmit(&mut self) {
        let now = self.device_now();
        let mut buf = vec![0; usize::from(self.config.max_datagram)];
        for count in 0.. {
            assert!(count < BURST_MAX, "the device never falls silent");
            let Some(sent) = self.device.poll_transmit(now, &mut buf) else { break };
            let datagram = &buf[..sent.len];
            if let Ok((header, _)) = ShortHeader::parse(datagram)
                && let Ok(serial) = header.cid.as_bytes().try_into()
            {
                self.peer = u32::from_le_bytes(serial);
            }
            self.up.send(datagram.to_vec());
        }
        let Self { gateway, down, now, .. } = self;
        gateway.transmit(*now, &mut |datagram| down.send(datagram));
    }

    /// A datagram reaches the gateway, whose application takes at most `take` messages.
    pub(super) fn reach_gateway(&mut self, mut datagram: Datagram, take: usize) {
        let (rows, effect) = self.gateway.handle(self.now, self.path, &mut datagram.bytes, take, &mut self.uplink);
        self.forged |= effect && datagram.tainted;
        self.on_uplink(&rows);
    }

    /// A datagram reaches the device, whose application takes at most `take` messages.
    pub(super) fn reach_device(&mut self, mut datagram: Datagram, take: usize) {
        let (now, before) = (self.device_now(), self.device.stats().rx_dropped.total());
        let rows = rows(self.device.handle_datagram(now, self.path, &mut datagram.bytes), self.peer, take);
        let effect = self.device.stats().rx_dropped.total() == before;
        self.forged |= effect && datagram.tainted;
        self.on_downlink(&rows);
    }

    /// Both applications take messages that wait.
    pub(super) fn collect(&mut self, take: usize) {
        let stored = self.gateway.collect(self.now, take);
        self.on_uplink(&stored);
        let rows = rows(self.device.poll_received(self.device_now()), self.peer, take);
        self.on_downlink(&rows);
    }

    /// The gateway's store has what was handed on.
    pub(super) fn commit_up(&mut self, channel: usize) {
        if let Some(channel) = self.channels.get(channel) {
            self.gateway.commit(self.now, channel.id.live());
        }
    }

    /// The device's application has dealt with what was handed on to it.
    pub(super) fn commit_down(&mut self, channel: usize) {
        if let Some(channel) = self.gateway.channels.get(channel) {
            // What was not handed on cannot be committed: the session sees to it.
            self.device.commit(self.device_now(), channel.id.live(), SeqNo::new(u64::MAX));
        }
    }

    fn on_uplink(&mut self, rows: &[Row]) {
        if self.forged {
            return;
        }
        for row in rows {
            let origin = self.uplink.owner(row.stream, row.epoch);
            self.uplink.delivered(origin, delivery(&self.channels, row), row);
        }
    }

    fn on_downlink(&mut self, rows: &[Row]) {
        if self.forged {
            return;
        }
        for row in rows {
            self.downlink.delivered(row.session, delivery(&self.gateway.channels, row), row);
        }
    }

    /// One exchange over a good link: everything under way arrives, and what is stored is committed.
    pub(super) fn exchange(&mut self) -> bool {
        let quiet = self.up.queue.is_empty() && self.down.queue.is_empty();
        for datagram in core::mem::take(&mut self.up.queue) {
            self.reach_gateway(datagram, usize::MAX);
        }
        for datagram in core::mem::take(&mut self.down.queue) {
            self.reach_device(datagram, usize::MAX);
        }
        self.collect(usize::MAX);
        for at in 0..self.channels.len() {
            self.commit_up(at);
        }
        for at in 0..self.gateway.channels.len() {
            self.commit_down(at);
        }
        self.settle();
        !quiet
    }

    /// Everything that good links bring about within this instant.
    pub(super) fn exchange_all(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if !self.exchange() {
                return;
            }
        }
        panic!("the ends talk for ever within one instant");
    }

    /// The link is good from now on: everything arrives, and both ends come to rest.
    pub(super) fn heal(&mut self) {
        self.lag = Duration::ZERO;
        self.gateway.refusal = None;
        for _ in 0..JUMPS_MAX {
            self.exchange_all();
            let members = self.gateway.members.iter().filter_map(|member| member.session.poll_timeout());
            let Some(next) = members.chain(self.device.poll_timeout()).min() else {
                return self.check_rest();
            };
            if self.forged || self.device.is_closed() {
                // Who talks to nobody goes on asking, and need not come to rest.
                return;
            }
            assert!(next > self.now, "a deadline that has passed");
            self.now = next;
            self.settle();
        }
        panic!("no rest: {} queued, device {:?}", self.device.queued(), self.device.stats());
    }

    fn check_rest(&mut self) {
        if self.forged || self.device.is_closed() {
            return;
        }
        assert_eq!(self.device.queued(), 0, "at rest with messages in hand");
        let ledger = self.device.ledger();
        assert_eq!(ledger.in_flight, 0, "{ledger:?}");
        for channel in self.channels.iter().filter(|channel| channel.durable) {
            assert!(self.uplink.is_complete(self.boot, channel.id.live()), "channel {:?} lost messages", channel.id);
        }
        // Sessions that the device never took up keep what they have.
        for member in self.gateway.members.iter().filter(|member| member.serial == self.peer) {
            assert_eq!(member.session.queued(), 0, "at rest with messages for the device");
        }
    }
}

fn delivery(channels: &[ChannelConfig], row: &Row) -> Delivery {
    let channel = channels.iter().find(|channel| channel.id == row.stream.channel());
    channel.expect("a channel that is configured").delivery
}

fn connect(config: &Config, size: Size, channels: &[ChannelConfig], boot: u32) -> Session<Ram> {
    let identity = Identity::insecure_plain(DeviceId::new(b"d").expect("a byte is an id"), boot);
    Session::connect(config, identity, channels, [boot as u8; 32], size.allocate()).expect("the channels fit")
}
