//! The world: devices, their gateway, the links between them, and the time, which jumps from one deadline to the next.

mod gateway;
mod round;

use crate::delays::Delays;
use crate::device::{self, Device};
use crate::gateway::{Gateway, Peer};
use crate::keys;
use crate::network::Network;
use crate::setup::{DeviceSetup, Setup};
use crate::tally::Tally;
use crate::trace::Trace;
use firmware_sim::faults::Faults;
use firmware_sim::link::rng;
use whimbrel_core::{ChannelId, Duration, Instant};

/// Rounds within one instant before the world counts as spinning.
const ROUNDS_MAX: u32 = 2_000;
/// Times that the world may be found with something due at one instant.
const VISITS_MAX: u32 = 20_000;

/// See the module.
#[derive(Debug)]
pub struct World {
    /// How it began.
    pub setup: Setup,
    /// The time.
    pub now: Instant,
    /// The devices, by number.
    pub devices: Vec<Device>,
    /// Their gateway; its peers are the devices, by number.
    pub gateway: Gateway,
    /// What lies between.
    pub network: Network,
    /// Every datagram sent so far, `true` for those of the gateway; kept when `recording`.
    pub history: Vec<(bool, Vec<u8>)>,
    /// Whether `history` is kept.
    pub recording: bool,
    /// All that was sent.
    pub trace: Trace,
    /// How long things take; measured when it is there.
    pub delays: Option<Delays>,
    /// What was done to the ends.
    pub tally: Tally,
    /// The gateway's application once took no messages.
    has_stalled: bool,
    /// How often something was due at this instant.
    visits: (Instant, u32),
    /// How many instants it has been through.
    pub steps: u64,
    /// More than so many are a failure.
    pub steps_max: u64,
}

impl World {
    /// See [`Setup::build`].
    pub fn new(setup: Setup) -> Self {
        let seed = setup.seed;
        let sequence = |base: u64, at: u64| rng(seed, base + (at << 8));
        let device = |(at, device)| Device::new(seed, at as u32, device, sequence(10, at));
        let devices: Vec<_> = (0u64..).zip(&setup.devices).map(device).collect();
        let peer = |(at, setup): (u32, &DeviceSetup)| {
            Peer::new(device::name(at), setup.protection, keys::device_key(seed, at), &setup.gateway_channels)
        };
        let peers = (0..).zip(&setup.devices).map(peer).collect();
        let (keys, rng) = (keys::gateway_keys(seed, 0), sequence(11, 0));
        Self {
            now: Instant::ZERO,
            gateway: Gateway::new(setup.config, setup.gateway, peers, keys, setup.store_delay, rng),
            network: Network::new(&setup.links, seed),
            devices,
            history: Vec::new(),
            recording: false,
            trace: Trace::default(),
            delays: None,
            tally: Tally::default(),
            has_stalled: false,
            visits: (Instant::ZERO, 0),
            steps: 0,
            steps_max: u64::MAX,
            setup,
        }
    }

    /// The first device's application has `count` more messages for the channel, sent as fast as the session
    /// takes them.
    pub fn load(&mut self, channel: ChannelId, count: u32) {
        let device = &mut self.devices[0];
        let sizes = device.setup().sizes;
        device.load.add(channel, count, sizes);
    }

    /// Messages that the devices' applications have not been able to send.
    pub fn backlog(&self) -> u32 {
        self.devices.iter().map(|device| device.load.left()).sum()
    }

    /// Other faults on every link from now on; their delays stay.
    pub fn set_faults(&mut self, faults: Faults) {
        let Network { up, down, .. } = &mut self.network;
        for (link, setup) in up.iter_mut().zip(&self.setup.links).chain(down.iter_mut().zip(&self.setup.links)) {
            link.set_faults(Faults { delay: setup.delay, ..faults });
        }
    }

    /// What the first device's clock says.
    pub fn device_now(&self) -> Instant {
        self.devices[0].clock.at(self.now)
    }

    /// The first device loses power: its memory is gone, and what it kept for sending.
    pub fn reboot_device(&mut self) {
        self.devices[0].reboot();
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

    /// Runs until everything that the first device's application had is stored, and the device knows it.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    #[track_caller]
    pub fn finish(&mut self, limit: Duration) {
        let done = self.run_until(limit, |world| world.backlog() == 0 && world.devices[0].session.queued() == 0);
        let oracle = &self.devices[0].oracle;
        let (accepted, stored) = (oracle.accepted_count(), oracle.stored_count());
        assert!(done, "{}: {} unsent, {accepted} accepted, {stored} stored", self.place(), self.backlog());
        assert_eq!(accepted, stored, "{}", self.place());
    }

    /// The seed and the time: what a failure must say.
    pub fn place(&self) -> String {
        format!("seed {} at {} us", self.setup.seed, self.now.as_micros())
    }

    /// When something happens next; `None` when nothing will.
    pub fn next_deadline(&self) -> Option<Instant> {
        let devices = self.devices.iter().filter_map(Device::poll_timeout);
        devices.chain(self.gateway.poll_timeout()).chain(self.network.poll_timeout()).min()
    }

    /// What is waited for, for the reader of a failure.
    fn waits(&self) -> String {
        let devices: Vec<_> = self.devices.iter().map(|device| (device.poll_timeout(), device.load.due())).collect();
        let (gateway, network) = (self.gateway.poll_timeout(), self.network.poll_timeout());
        format!("devices {devices:?}, gateway {gateway:?}, network {network:?}")
    }

    /// Does everything that is due now.
    ///
    /// # Panics
    /// When that never ends, or when something is not as it must be.
    pub fn settle(&mut self) {
        self.steps += 1;
        self.visits = (self.now, if self.visits.0 == self.now { self.visits.1 + 1 } else { 0 });
        assert!(self.visits.1 <= VISITS_MAX, "{}: time stands still: {}", self.place(), self.waits());
        assert!(self.steps <= self.steps_max, "{}: the ends never rest: {}", self.place(), self.waits());
        for _ in 0..ROUNDS_MAX {
            if !self.round() {
                self.balance();
                return;
            }
        }
        panic!("{}: the ends spin", self.place());
    }
}

impl World {
    /// The ledgers of both ends, when nothing is left to do at this time.
    fn balance(&mut self) {
        for at in 0..self.devices.len() {
            let Device { session, oracle, received, received_before, .. } = &mut self.devices[at];
            let mut checked = oracle.device_ledger(session.ledger());
            let (counted, handed) = (session.received_ledger().delivered, received.len() - *received_before);
            if counted as usize != handed {
                checked = checked.and(Err(format!("{handed} commands taken, but in the ledger {counted}")));
            }
            if let Some(live) = &mut self.gateway.peers[at].live {
                checked = checked.and(oracle.gateway_ledger(live.hello_id(), live.ledger()));
            }
            self.must(at, checked);
        }
    }
}

/// A panic inside a session says nothing of the seed; this does.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.trace.is_silent() {
            eprintln!("the world of this failure: {}, {:?}", self.place(), self.setup);
        }
    }
}
