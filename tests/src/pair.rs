//! The world: both ends, the links between them, the load and the clock.

use crate::gateway::Gateway;
use crate::memory::Store;
use crate::oracle::Oracle;
use crate::setup::Setup;
use crate::sink::Outcome;
use firmware_sim::faults::Faults;
use firmware_sim::link::{Link, Rng, below, flip_bits, rng};
use rand::RngCore;
use whimbrel_core::{
    ChannelId, Delivery, DeviceId, Duration, Event, Identity, Instant, PathId, SendError, SeqNo, Session,
};

/// Rounds within one instant before the world counts as spinning.
const ROUNDS_MAX: u32 = 2_000;
/// Bytes in front of a frame on the link: the path that it takes.
const PATH: usize = 4;

/// Messages that the device's application has yet to send.
#[derive(Debug)]
struct Load {
    channel: ChannelId,
    left: u32,
    /// The session said `Full`, and not `QueueFreed` since.
    blocked: bool,
    /// Refused by `Full`: the application keeps it.
    held: Option<Vec<u8>>,
}

/// A device, a gateway, and what lies between.
#[derive(Debug)]
pub struct Pair {
    setup: Setup,
    /// The time.
    pub now: Instant,
    /// The device.
    pub device: Session<Store>,
    /// The gateway.
    pub gateway: Gateway,
    /// From the device to the gateway.
    pub uplink: Link,
    /// From the gateway to the device.
    pub downlink: Link,
    /// Sees to it that every message is stored once and in order.
    pub oracle: Oracle,
    /// The address that the device sends from. What is sent to another one is lost.
    pub device_path: PathId,
    /// How far the device's clock has stepped back.
    pub device_lag: Duration,
    /// What the device's session told, in order.
    pub events: Vec<Event>,
    /// What the device received.
    pub device_received: Vec<(ChannelId, SeqNo, Vec<u8>)>,
    /// Every datagram sent so far, `true` for those of the gateway; kept when `recording`.
    pub history: Vec<(bool, Vec<u8>)>,
    /// Whether `history` is kept.
    pub recording: bool,
    /// FNV-1a over the time, the direction and the bytes of every datagram sent.
    pub trace: u64,
    loads: Vec<Load>,
    rng: Rng,
    boots: u32,
}

impl Pair {
    /// See [`Setup::build`].
    pub fn new(setup: Setup) -> Self {
        let mut chance = rng(setup.seed, 10);
        let gateway =
            Gateway::new(setup.config, setup.gateway, &setup.gateway_channels, setup.store_delay, rng(setup.seed, 11));
        Self {
            now: Instant::ZERO,
            device: connect(&setup, 0, &mut chance),
            gateway,
            uplink: Link::new(setup.faults, setup.seed.wrapping_mul(2)),
            downlink: Link::new(setup.faults, setup.seed.wrapping_mul(2).wrapping_add(1)),
            oracle: Oracle::default(),
            device_path: PathId(1),
            device_lag: Duration::ZERO,
            events: Vec::new(),
            device_received: Vec::new(),
            history: Vec::new(),
            recording: false,
            trace: 0xcbf2_9ce4_8422_2325,
            loads: Vec::new(),
            rng: chance,
            boots: 1,
            setup,
        }
    }

    /// The application has `count` more messages for the channel, sent as fast as the session takes them.
    pub fn load(&mut self, channel: ChannelId, count: u32) {
        match self.loads.iter_mut().find(|load| load.channel == channel) {
            Some(load) => load.left += count,
            None => self.loads.push(Load { channel, left: count, blocked: false, held: None }),
        }
    }

    /// Messages that the application has not been able to send.
    pub fn backlog(&self) -> u32 {
        self.loads.iter().map(|load| load.left).sum()
    }

    /// Other faults on both links from now on; their delay stays.
    pub fn set_faults(&mut self, faults: Faults) {
        let faults = Faults { delay: self.setup.faults.delay, ..faults };
        self.uplink.set_faults(faults);
        self.downlink.set_faults(faults);
    }

    /// What the device's clock says.
    pub fn device_now(&self) -> Instant {
        Instant::from_micros(self.now.as_micros().saturating_sub(self.device_lag.as_micros()))
    }

    /// The device loses power: its memory is gone, and what it kept for sending.
    pub fn reboot_device(&mut self) {
        self.device = connect(&self.setup, self.boots, &mut self.rng);
        self.boots += 1;
        self.oracle.device_rebooted();
        for load in &mut self.loads {
            load.blocked = false;
        }
    }

    /// Runs until `done`, for `limit` at most. Whether it came to be.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            match self.next_deadline().filter(|next| *next <= end) {
                Some(next) => self.now = next,
                None => {
                    self.now = end;
                    return false;
                }
            }
        }
    }

    /// Runs for that long.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
        self.settle();
    }

    /// Runs until everything the application had is stored, and the device knows it.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    #[track_caller]
    pub fn finish(&mut self, limit: Duration) {
        let done = self.run_until(limit, |pair| pair.backlog() == 0 && pair.device.queued() == 0);
        let (accepted, stored) = (self.oracle.accepted_count(), self.oracle.stored_count());
        assert!(done, "{}: {} unsent, {accepted} accepted, {stored} stored", self.place(), self.backlog());
        assert_eq!(accepted, stored, "{}", self.place());
    }

    /// The seed and the time: what a failure must say.
    pub fn place(&self) -> String {
        format!("seed {} at {} us", self.setup.seed, self.now.as_micros())
    }

    /// When something happens next; `None` when nothing will.
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.device.poll_timeout().map(|time| time + self.device_lag),
            self.gateway.poll_timeout(),
            self.uplink.poll_timeout(),
            self.downlink.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does everything that is due now.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if !self.round() {
                return;
            }
        }
        panic!("{}: the ends spin", self.place());
    }

    fn round(&mut self) -> bool {
        let mut moved = self.arrive();
        let now = self.device_now();
        if self.device.poll_timeout().is_some_and(|time| time <= now) {
            self.device.handle_timeout(now);
            moved = true;
        }
        self.store();
        moved |= self.listen();
        moved |= self.pump();
        moved | self.transmit()
    }

    fn arrive(&mut self) -> bool {
        let mut moved = false;
        while let Some(frame) = self.uplink.poll(self.now) {
            let (path, datagram) = unwrap(&frame);
            self.gateway.handle_datagram(self.now, path, datagram.to_vec());
            moved = true;
        }
        while let Some(frame) = self.downlink.poll(self.now) {
            let (path, datagram) = unwrap(&frame);
            if path == self.device_path {
                self.to_device(path, datagram);
            }
            moved = true;
        }
        moved
    }

    /// Hands a datagram to the device, past the link.
    pub fn to_device(&mut self, path: PathId, datagram: &[u8]) {
        let (now, mut datagram) = (self.device_now(), datagram.to_vec());
        let mut received = self.device.handle_datagram(now, path, &mut datagram);
        while let Some(message) = received.next() {
            self.device_received.push((message.channel(), message.seq, message.payload.to_vec()));
        }
    }

    fn store(&mut self) {
        for (row, outcome) in self.gateway.advance(self.now) {
            if outcome == Outcome::Duplicate {
                continue;
            }
            let channel = self.setup.channels.iter().find(|channel| channel.id == row.stream.channel());
            let gaps = channel.is_none_or(|channel| channel.delivery == Delivery::BestEffort);
            let checked = self.oracle.stored(row.stream, row.epoch, row.seq, &row.payload, gaps);
            checked.unwrap_or_else(|error| panic!("{}: {error}", self.place()));
        }
    }

    /// The device's events.
    fn listen(&mut self) -> bool {
        let mut heard = false;
        while let Some(event) = self.device.poll_event() {
            heard = true;
            match event {
                Event::StreamOpened { stream, epoch } => {
                    let opened = self.oracle.opened(stream, epoch);
                    opened.unwrap_or_else(|error| panic!("{}: {error}", self.place()));
                }
                Event::QueueFreed => self.loads.iter_mut().for_each(|load| load.blocked = false),
                _ => {}
            }
            self.events.push(event);
        }
        heard
    }

    /// The application sends what the session takes. After `Full` it waits for `QueueFreed`.
    fn pump(&mut self) -> bool {
        let (now, mut moved) = (self.device_now(), false);
        let (shortest, longest) = self.setup.sizes;
        for at in 0..self.loads.len() {
            while self.loads[at].left > 0 && !self.loads[at].blocked {
                let payload = self.loads[at].held.take().unwrap_or_else(|| {
                    let len = shortest + below(&mut self.rng, (longest - shortest + 1) as u64) as usize;
                    let mut payload = vec![0; len];
                    self.rng.fill_bytes(&mut payload);
                    payload
                });
                let load = &mut self.loads[at];
                match self.device.send(now, load.channel, &payload) {
                    Ok(id) => {
                        load.left -= 1;
                        moved = true;
                        let accepted = self.oracle.accepted(id, &payload);
                        accepted.unwrap_or_else(|error| panic!("{}: {error}", self.place()));
                    }
                    Err(SendError::Full) => {
                        load.blocked = true;
                        load.held = Some(payload);
                    }
                    Err(error) => panic!("{}: {error}", self.place()),
                }
            }
        }
        moved
    }

    fn transmit(&mut self) -> bool {
        let mut moved = false;
        let mut buf = vec![0; usize::from(self.setup.config.max_datagram)];
        while let Some(sent) = self.device.poll_transmit(self.device_now(), &mut buf) {
            self.note(false, &buf[..sent.len]);
            self.uplink.send_with(self.now, &wrap(self.device_path, &buf[..sent.len]), |frame, rng| spoil(frame, rng));
            moved = true;
        }
        while let Some((path, datagram)) = self.gateway.poll_transmit(self.now) {
            self.note(true, &datagram);
            self.downlink.send_with(self.now, &wrap(path, &datagram), |frame, rng| spoil(frame, rng));
            moved = true;
        }
        moved
    }

    fn note(&mut self, by_gateway: bool, datagram: &[u8]) {
        if self.recording {
            self.history.push((by_gateway, datagram.to_vec()));
        }
        let time = self.now.as_micros().to_le_bytes();
        for byte in time.iter().chain(&[u8::from(by_gateway)]).chain(datagram) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A panic inside a session says nothing of the seed; this does.
impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the world of this failure: {}, {:?}", self.place(), self.setup);
        }
    }
}

fn connect(setup: &Setup, boot_epoch: u32, chance: &mut Rng) -> Session<Store> {
    let mut random = [0; 32];
    chance.fill_bytes(&mut random);
    let device = DeviceId::new(b"sensor").expect("6 bytes are a device id");
    let identity = Identity { device, boot_epoch };
    let session = Session::connect(&setup.config, identity, &setup.channels, random, setup.device.allocate());
    session.expect("the scenario's channels fit its preset")
}

fn wrap(path: PathId, datagram: &[u8]) -> Vec<u8> {
    [&path.0.to_le_bytes(), datagram].concat()
}

fn unwrap(frame: &[u8]) -> (PathId, &[u8]) {
    let (path, datagram) = frame.split_first_chunk::<PATH>().expect("a frame begins with its path");
    (PathId(u32::from_le_bytes(*path)), datagram)
}

/// Damage spares the path, which is no part of the datagram.
fn spoil(frame: &mut [u8], rng: &mut Rng) {
    if let Some(datagram) = frame.get_mut(PATH..) {
        flip_bits(datagram, rng);
    }
}
