//! A gateway that a flood of HELLOs reaches while its devices work. Virtual time for the devices; what each HELLO of
//! the flood costs is measured on this machine, and told as a share of what a session costs.

use crate::delays::Delays;
use crate::keys::device_key;
use crate::load::Source;
use crate::memory::Preset;
use crate::{CHANNEL, Setup, World};
use firmware_sim::link::{Rng, below, rng};
use rand::RngCore;
use whimbrel_core::wire::{LongHeader, LongType};
use whimbrel_core::{
    BootEpoch, ChannelConfig, Config, Credentials, DeviceKey, Duration, Identity, Instant, PathId, SchemaId, Session,
};

/// Readings come so often from each device.
const EVERY: Duration = Duration::from_millis(200);
/// One device after the other loses power.
const REBOOT_EVERY: Duration = Duration::from_millis(500);
/// The flood comes from addresses from here on, so many of them, all forged.
const ADDRESSES: (u32, u64) = (1_000_000, 4_096);
/// More sessions opened in a second than this are load.
const HANDSHAKES_MAX: u32 = 50;

/// What the flood is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HELLOs of nobody, and of devices, without their keys.
    Spoofed,
    /// HELLOs that devices sent once.
    Replayed,
    /// HELLOs under stolen keys, each with a counter that is new: what nothing but a cookie can tell from a device.
    Stolen,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Spoofed, Self::Replayed, Self::Stolen];

    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spoofed => "spoofed",
            Self::Replayed => "replayed",
            Self::Stolen => "stolen keys",
        }
    }
}

/// What the gateway had, and what it spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Sessions, established or offered.
    pub sessions: usize,
    /// Stream epochs that were allocated.
    pub epochs: u64,
    /// Sessions opened so far.
    pub opened: u64,
}

/// What came of a flood.
#[derive(Clone, Debug)]
pub struct Report {
    /// HELLOs of the flood.
    pub hellos: u64,
    /// Bytes in them, and in what answered them.
    pub bytes: (u64, u64),
    /// Before the flood, and the most at any time during it.
    pub held: (Held, Held),
    /// Of honest devices, before and during.
    pub delays: (Delays, Delays),
    /// Sessions that the flood opened.
    pub opened: u64,
    /// Nanoseconds that one HELLO of the flood took, and one session of an honest device.
    pub nanos: (u64, u64),
}

impl Report {
    /// Whether the flood made the gateway hold no more than its devices do: a session each, and one or two that are
    /// being opened.
    pub const fn is_flat(&self) -> bool {
        let few = self.held.1.sessions <= self.held.0.sessions + 2 * PENDING;
        few && self.bytes.1 <= self.bytes.0
    }
}

/// Sessions of one device that are being opened, at most.
const PENDING: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Flood {
    world: World,
    kind: Kind,
    rng: Rng,
    /// What the flood says, again and again, or changed.
    captured: Vec<Vec<u8>>,
    reboot_at: Instant,
    next: usize,
}

fn is_hello(datagram: &[u8]) -> bool {
    LongHeader::parse(datagram).is_ok_and(|(header, _)| header.kind == LongType::Hello)
}

impl Flood {
    /// So many honest devices.
    pub fn new(seed: u64, devices: usize, kind: Kind) -> Self {
        let channel = ChannelConfig::durable(CHANNEL, SchemaId::named("test/1"));
        let setup = Setup::new(seed).presets(Preset::Small, Preset::Small).channels(&[channel]);
        let mut world = setup.count(devices).build();
        world.gateway.handshakes_max = Some(HANDSHAKES_MAX);
        for (at, device) in world.devices.iter_mut().enumerate() {
            let due = Instant::ZERO + Duration::from_micros(EVERY.as_micros() * at as u64 / devices as u64);
            device.load.sources.push(Source::greedy(CHANNEL, u32::MAX, (20, 40)).periodic(1, EVERY, due));
        }
        let reboot_at = Instant::ZERO + REBOOT_EVERY;
        Self { world, kind, rng: rng(seed, 65), captured: Vec::new(), reboot_at, next: 0 }
    }

    /// So long without a flood, and then so many HELLOs within that time.
    pub fn run(mut self, time: Duration, hellos: u64) -> Report {
        // Every device has rebooted: there is something to replay.
        self.world.recording = true;
        self.calm(time);
        self.captured = core::mem::take(&mut self.world.history).into_iter().map(|(_, datagram)| datagram).collect();
        self.captured.retain(|datagram| is_hello(datagram));
        self.world.recording = false;
        self.world.delays = Some(Delays::default());
        self.calm(time);
        let (before, calm) = (self.held(), self.world.delays.replace(Delays::default()).unwrap_or_default());
        let (mut most, mut spent, mut bytes, opened) = (before, 0, (0, 0), self.world.gateway.turned.opened);
        let (reboots, ticks) = (self.next, time.as_micros() / 1_000);
        for tick in 0..ticks {
            let due = hellos * (tick + 1) / ticks - hellos * tick / ticks;
            let begun = std::time::Instant::now();
            let mut making = core::time::Duration::ZERO;
            for _ in 0..due {
                let making_from = std::time::Instant::now();
                let (path, datagram) = self.hello();
                making += making_from.elapsed();
                bytes.0 += datagram.len() as u64;
                self.world.gateway.handle_datagram(self.world.now, path, datagram);
                while let Ok(Some(answer)) = self.world.gateway.answer() {
                    bytes.1 += answer.datagram.len() as u64;
                }
            }
            spent += (begun.elapsed() - making).as_nanos() as u64;
            self.pass(Duration::from_millis(1));
            let held = self.held();
            most = Held {
                sessions: most.sessions.max(held.sessions),
                epochs: most.epochs.max(held.epochs),
                opened: most.opened.max(held.opened),
            };
        }
        let opened = self.world.gateway.turned.opened - opened;
        let honest = (self.next - reboots) as u64;
        Report {
            hellos,
            bytes,
            held: (before, most),
            delays: (calm, self.world.delays.take().unwrap_or_default()),
            opened: opened.saturating_sub(honest),
            nanos: (spent / hellos.max(1), session_cost()),
        }
    }

    fn calm(&mut self, time: Duration) {
        (0..time.as_micros() / 1_000).for_each(|_| self.pass(Duration::from_millis(1)));
    }

    /// Time passes for the honest.
    fn pass(&mut self, time: Duration) {
        if self.world.now >= self.reboot_at {
            self.reboot_at = self.reboot_at + REBOOT_EVERY;
            let at = self.next % self.world.devices.len();
            self.next += 1;
            self.world.devices[at].reboot();
            let now = self.world.now;
            self.world.delays.iter_mut().for_each(|delays| delays.on_boot(at, now));
        }
        self.world.run_for(time);
    }

    fn held(&self) -> Held {
        let peers = || self.world.gateway.peers.iter();
        Held {
            sessions: peers().map(|peer| usize::from(peer.live.is_some()) + peer.pending.len()).sum(),
            epochs: peers().map(|peer| u64::from(peer.sink.epochs(CHANNEL.live()))).sum(),
            opened: self.world.gateway.turned.opened,
        }
    }

    /// The next HELLO of the flood, and where it says that it comes from.
    fn hello(&mut self) -> (PathId, Vec<u8>) {
        let path = PathId(ADDRESSES.0 + below(&mut self.rng, ADDRESSES.1) as u32);
        let at = below(&mut self.rng, self.captured.len() as u64) as usize;
        let mut datagram = self.captured[at].clone();
        match self.kind {
            Kind::Replayed => {}
            Kind::Spoofed => {
                // Everything behind the name is made up; of every other HELLO, the name too.
                let name_len = usize::from(datagram[3]);
                let from = if self.rng.next_u32() % 2 == 0 { 4 } else { 4 + name_len };
                self.rng.fill_bytes(&mut datagram[from..]);
            }
            Kind::Stolen => datagram = self.stolen(),
        }
        (path, datagram)
    }

    /// A new HELLO under a device's key. It is of the device that is last: the others are to work meanwhile.
    fn stolen(&mut self) -> Vec<u8> {
        let number = self.world.devices.len() as u32 - 1;
        let (seed, device) = (self.world.setup.seed, crate::device::name(number));
        let counter = self.world.gateway.peers[number as usize].sink.lowest_counter();
        let epoch = BootEpoch::unstored((counter >> 32) as u32 + 1);
        let credentials = credentials(device_key(seed, number), seed);
        let identity = Identity::sealed(device, epoch, credentials);
        let mut random = [0; 32];
        self.rng.fill_bytes(&mut random);
        let channels = [ChannelConfig::durable(CHANNEL, SchemaId::named("test/1"))];
        let memory = Preset::Small.allocate();
        let session = Session::connect(&Config::new(), identity, &channels, random, memory);
        first_datagram(session.expect("one channel fits"))
    }
}

fn credentials(key: DeviceKey, seed: u64) -> Credentials {
    Credentials::nk(key, crate::keys::gateway_secret(seed, 0).public())
}

fn first_datagram(mut session: Session<crate::memory::Store>) -> Vec<u8> {
    let mut buf = [0; Config::MAX_DATAGRAM as usize];
    let sent = session.poll_transmit(Instant::ZERO, &mut buf).expect("a device begins with a HELLO");
    buf[..sent.len].to_vec()
}

/// Nanoseconds that the gateway spends on opening one session, on this machine.
fn session_cost() -> u64 {
    let rounds = 200;
    let mut world = Setup::new(1).presets(Preset::Small, Preset::Small).build();
    world.recording = true;
    let mut spent = core::time::Duration::ZERO;
    for _ in 0..rounds {
        world.history.clear();
        world.reboot_device();
        // HELLO is on its way.
        world.run_for(Duration::from_millis(1));
        let hello = world.history.iter().map(|(_, datagram)| datagram).find(|datagram| is_hello(datagram)).cloned();
        let begun = std::time::Instant::now();
        world.gateway.handle_datagram(world.now, PathId(1), hello.unwrap_or_default());
        world.gateway.poll_transmit(world.now);
        spent += begun.elapsed();
        world.run_for(Duration::from_secs(1));
    }
    spent.as_nanos() as u64 / rounds
}
