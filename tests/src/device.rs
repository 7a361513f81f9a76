//! A device: its session, its application, its clock, and whether it is awake.

use crate::clock::Clock;
use crate::flash::Flash;
use crate::keys;
use crate::load::Load;
use crate::memory::Store;
use crate::oracle::{Oracle, Packets};
use crate::setup::DeviceSetup;
use firmware_sim::link::Rng;
use rand::RngCore;
use whimbrel_core::{
    BootEpochStorage, ChannelConfig, ChannelId, Config, Credentials, DeviceId, DeviceKey, Dormant, Duration, Event,
    GatewayPublic, Identity, Instant, PathId, Protection, SeqNo, Session, SuspendError, next_boot_epoch,
};

/// Paths of one device: its number times this, and more.
const PATHS: u32 = 1_000;

/// A message that the device's application received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The device's session that handed it on.
    pub session: u64,
    /// Its channel.
    pub channel: ChannelId,
    /// Its number.
    pub seq: SeqNo,
    /// Its contents.
    pub payload: Vec<u8>,
}

/// A device sleeps and wakes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Naps {
    /// How long it stays awake.
    pub awake: Duration,
    /// How long it sleeps.
    pub asleep: Duration,
    /// Whether its application tells the session when it wakes.
    pub tells: bool,
    /// It sleeps deeply when it can: only a snapshot of its session is left.
    pub deep: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Device {
    /// The protocol.
    pub session: Session<Store>,
    /// What it keeps without power.
    pub flash: Flash,
    /// What it was provisioned with; `None` in the plain mode.
    pub credentials: Option<Credentials>,
    /// Its key, and the gateway's that it used last, for when it is told another.
    key: DeviceKey,
    gateway: GatewayPublic,
    /// The address that it sends from. What is sent to another one is lost.
    pub path: PathId,
    /// Where the gateway last sent a datagram to it.
    pub path_at_gateway: Option<PathId>,
    /// Its own time.
    pub clock: Clock,
    /// It sleeps until then: it is not polled, and hears nothing.
    pub asleep_until: Option<Instant>,
    /// The keys of its session are to change as soon as they may; whether it begins, or the gateway.
    pub rekey: Option<bool>,
    /// Its own schedule.
    pub naps: Option<Naps>,
    /// When it falls asleep by its schedule.
    pub next_nap: Option<Instant>,
    /// What its application has to send.
    pub load: Load,
    /// Sees to what must be true of it.
    pub oracle: Oracle,
    /// What every datagram of it and to it must keep to.
    pub packets: Packets,
    /// What the session told, in order.
    pub events: Vec<Event>,
    /// What it received.
    pub received: Vec<Command>,
    /// By how much at most its clock has misled it so far.
    pub disturbed: Duration,
    /// What its clock said at most: a session does not go back.
    latest: Instant,
    /// How many of these before its present boot, or its last deep sleep.
    pub received_before: usize,
    /// Messages of unknown fate, and sessions opened anew, in this boot before its last deep sleep.
    pub before_sleep: (u32, u32),
    /// The session that slept last.
    slept: u64,
    /// Which link it is on.
    pub link: usize,
    /// What it sends on.
    pub channels: Vec<ChannelConfig>,
    pub(crate) rng: Rng,
    setup: DeviceSetup,
    id: DeviceId,
    boots: u32,
}

impl Device {
    /// A device that has just been switched on for the first time.
    pub fn new(seed: u64, number: u32, setup: &DeviceSetup, mut rng: Rng) -> Self {
        let (id, mut flash) = (name(number), Flash::default());
        let credentials = keys::credentials(seed, number, setup.protection);
        Self {
            session: connect(setup, id, &mut flash, credentials.as_ref(), &mut rng),
            flash,
            credentials,
            key: keys::device_key(seed, number),
            gateway: keys::gateway_secret(seed, 0).public(),
            path: PathId(number * PATHS + 1),
            path_at_gateway: None,
            clock: Clock::new(setup.ppm),
            asleep_until: None,
            rekey: None,
            naps: None,
            next_nap: None,
            load: Load::default(),
            oracle: Oracle::new(&setup.channels, &setup.gateway_channels),
            packets: Packets::new(setup.protection != Protection::Plain),
            events: Vec::new(),
            received: Vec::new(),
            received_before: 0,
            before_sleep: (0, 0),
            slept: 0,
            disturbed: Duration::ZERO,
            latest: Instant::ZERO,
            link: setup.link,
            channels: setup.channels.clone(),
            rng,
            setup: setup.clone(),
            id,
            boots: 1,
        }
    }

    /// Its name.
    pub const fn id(&self) -> DeviceId {
        self.id
    }

    /// Its session's limits.
    pub const fn config(&self) -> &Config {
        &self.setup.config
    }

    /// How it was set up.
    pub const fn setup(&self) -> &DeviceSetup {
        &self.setup
    }

    /// It loses power: its memory is gone, and what it kept for sending.
    pub fn reboot(&mut self) {
        self.session = connect(&self.setup, self.id, &mut self.flash, self.credentials.as_ref(), &mut self.rng);
        self.boots += 1;
        self.flash.snapshot.clear();
        (self.before_sleep, self.slept) = ((0, 0), 0);
        self.oracle.device_rebooted();
        self.load.restart();
        self.received_before = self.received.len();
        // Another session has heard nothing of the time yet.
        self.latest = Instant::ZERO;
    }

    /// Goes into deep sleep: a snapshot is all that is left of its session.
    ///
    /// # Errors
    /// When the session cannot sleep now.
    pub fn hibernate(&mut self) -> Result<(), SuspendError> {
        let ledger = self.session.ledger();
        let (unknown, reconnects) = (ledger.in_doubt + ledger.undeliverable, self.session.stats().reconnects);
        let id = self.session_id();
        self.flash.snapshot = self.session.suspend()?.as_bytes().to_vec();
        self.slept = id;
        self.before_sleep = (self.before_sleep.0 + unknown, self.before_sleep.1 + reconnects);
        Ok(())
    }

    /// Wakes from deep sleep, if it was in it.
    pub(crate) fn awake(&mut self) {
        let Some(credentials) = self.credentials.clone().filter(|_| !self.flash.snapshot.is_empty()) else { return };
        let mut random = [0; 32];
        self.rng.fill_bytes(&mut random);
        let (config, channels, memory) = (&self.setup.config, &self.setup.channels, self.setup.preset.allocate());
        let resumed = Session::resume(config, self.id, credentials, channels, &self.flash.snapshot, random, memory);
        let dormant = resumed.expect("what the device kept is what it stored");
        self.flash.snapshot = Dormant::<Store>::REPLACEMENT.to_vec();
        self.session = dormant.stored();
        self.flash.snapshot.clear();
        self.oracle.device_resumed();
        self.load.restart();
        self.received_before = self.received.len();
        self.latest = Instant::ZERO;
    }

    /// Names the HELLO of its session; one that slept has forgotten it.
    pub fn session_id(&self) -> u64 {
        match self.session.hello_id() {
            0 => self.slept,
            id => id,
        }
    }

    /// Messages of this boot whose fate nobody knows.
    pub fn unknown(&mut self) -> u32 {
        let ledger = self.session.ledger();
        self.before_sleep.0 + ledger.in_doubt + ledger.undeliverable
    }

    /// Sessions that it opened in this boot after its first.
    pub fn reconnects(&self) -> u32 {
        self.before_sleep.1 + self.session.stats().reconnects
    }

    /// What it kept without power is set back, or erased; it notices at its next boot.
    pub fn lose_counter(&mut self, epoch: Option<u32>) {
        self.flash.epoch = epoch;
        self.packets.counter_lost();
    }

    /// The gateway has seen a higher boot epoch: keeps it, and goes on when that is done.
    pub(crate) fn raise_boot_epoch(&mut self, now: Instant, epoch: u32) {
        let Ok(()) = self.flash.store(epoch);
        if self.flash.epoch == Some(epoch) {
            self.session.boot_epoch_stored(self.clock.at(now));
        }
    }

    /// The gateway said its next key: keeps it for the next boot, and the one in use beside it.
    pub(crate) fn learn_gateway(&mut self, key: GatewayPublic) {
        self.credentials = Some(Credentials::nk(self.key.clone(), key).with_second(self.gateway));
        self.gateway = key;
    }

    /// What its session takes the time to be.
    pub fn time(&self, now: Instant) -> Instant {
        self.clock.at(now).max(self.latest)
    }

    /// Its clock steps by so many microseconds.
    pub fn step(&mut self, now: Instant, micros: i64) {
        self.latest = self.time(now);
        self.disturbed = self.disturbed.saturating_add(Duration::from_micros(micros.unsigned_abs()));
        self.clock.step(now, micros);
    }

    /// How often it was switched on.
    pub const fn boots(&self) -> u32 {
        self.boots
    }

    /// Whether it can hear and act.
    pub const fn is_awake(&self) -> bool {
        self.asleep_until.is_none()
    }

    /// Its number, from the path of a datagram to it.
    pub const fn of_path(path: PathId) -> usize {
        (path.0 / PATHS) as usize
    }

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, now: Instant, path: PathId, datagram: &mut [u8]) {
        let local = self.clock.at(now);
        let mut received = self.session.handle_datagram(local, path, datagram);
        let mut taken = Vec::new();
        while let Some(message) = received.next() {
            taken.push((message.channel(), message.seq, message.payload.to_vec()));
        }
        drop(received);
        // Whatever arrived changed no session: ACCEPT carries no message.
        let session = self.session_id();
        let command = |(channel, seq, payload)| Command { session, channel, seq, payload };
        self.received.extend(taken.into_iter().map(command));
    }

    /// When its session, its application or its schedule wants to act.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.asleep_until.is_some() {
            return self.asleep_until;
        }
        let session = self.session.poll_timeout().map(|local| self.clock.when(local));
        [session, self.load.due(), self.next_nap].into_iter().flatten().min()
    }
}

/// The name of a device: `sensor`, `sensor1`, ..
pub fn name(number: u32) -> DeviceId {
    let name = if number == 0 { "sensor".to_owned() } else { format!("sensor{number}") };
    DeviceId::new(name.as_bytes()).expect("a device id of 16 bytes at most")
}

fn connect(
    setup: &DeviceSetup,
    device: DeviceId,
    flash: &mut Flash,
    credentials: Option<&Credentials>,
    rng: &mut Rng,
) -> Session<Store> {
    let mut random = [0; 32];
    rng.fill_bytes(&mut random);
    let epoch = next_boot_epoch(flash).expect("the scenario's flash takes what is written at a boot");
    let identity = match credentials {
        Some(credentials) => Identity::sealed(device, epoch, credentials.clone()),
        None => Identity::insecure_plain(device, epoch.number()),
    };
    let session = Session::connect(&setup.config, identity, &setup.channels, random, setup.preset.allocate());
    session.expect("the scenario's channels fit its preset")
}
