//! Sealed sessions against a network that loses, repeats, forges and changes, and against ends that die.

mod cookies;
mod crashes;
mod flipped;
mod flood;
mod forged;
mod handshake;
mod keys;
mod replay;
mod restart;
mod rotation;
mod sleep;
mod sources;

use whimbrel_core::{ChannelConfig, ChannelId, Duration, PathId, Protection, SchemaId};
use whimbrel_tests::{CHANNEL, Setup, World};

/// Both ways to seal.
pub(crate) const SEALED: [Protection; 2] = [Protection::NkPsk0, Protection::NnPsk0];
/// What the gateway sends on.
pub(crate) const COMMANDS: ChannelId = ChannelId::new(9).unwrap();
/// More than any of these worlds takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(600);
/// Where no device is.
pub(crate) const STRANGER: PathId = PathId(900);

/// A device that sends on two channels, and a gateway that sends commands.
pub(crate) fn setup(seed: u64, protection: Protection) -> Setup {
    let schema = SchemaId::named("test/1");
    let other = ChannelConfig::ordered(ChannelId::new(2).unwrap(), schema);
    let setup = Setup::new(seed).protection(protection).channels(&[ChannelConfig::durable(CHANNEL, schema), other]);
    setup.gateway_channels(&[ChannelConfig::ordered(COMMANDS, schema)])
}

/// So many messages on each channel, both ways, until all have arrived.
pub(crate) fn talk(world: &mut World, count: u32) {
    let same = |world: &mut World| {
        let live = world.gateway.peers[0].live.as_ref().map(|session| session.hello_id());
        world.devices[0].session.is_established() && live == Some(world.devices[0].session_id())
    };
    assert!(world.run_until(LIMIT, same), "{}: no session", world.place());
    let received = world.devices[0].received.len();
    world.load(CHANNEL, count);
    world.load(ChannelId::new(2).unwrap(), count);
    world.gateway.peers[0].load.add(COMMANDS, count, (0, 64));
    let all = |world: &mut World| {
        let stored = world.backlog() == 0 && world.devices[0].session.ledger().in_flight == 0;
        stored && world.devices[0].received.len() == received + count as usize
    };
    assert!(world.run_until(LIMIT, all), "{}: {}", world.place(), world.devices[0].received.len() - received);
    // The last acknowledgements.
    world.run_for(Duration::from_secs(5));
}

/// Established, and at rest, after some messages both ways; everything was recorded.
pub(crate) fn at_rest(seed: u64, protection: Protection) -> World {
    let mut world = setup(seed, protection).build();
    world.recording = true;
    talk(&mut world, 20);
    world
}

/// Everything about a world that an attacker must not be able to change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    device: (u64, bool, whimbrel_core::Ledger, whimbrel_core::ReceivedLedger, usize, Option<u32>),
    gateway: Option<(u64, whimbrel_core::ConnectionId, whimbrel_core::Ledger, whimbrel_core::ReceivedLedger)>,
    pending: Vec<u64>,
    stored: (usize, u32, u32, u64),
    opened: u64,
}

/// See [`State`].
pub(crate) fn state(world: &mut World) -> State {
    let device = &mut world.devices[0];
    let (session, received) = (&mut device.session, device.received.len());
    let (ledger, received_ledger) = (session.ledger(), *session.received_ledger());
    let peer = &mut world.gateway.peers[0];
    let sink = &peer.sink;
    State {
        device: (session.hello_id(), session.is_established(), ledger, received_ledger, received, device.flash.epoch),
        stored: (device.oracle.stored_count(), sink.duplicates, sink.epochs(CHANNEL.live()), sink.lowest_counter()),
        pending: peer.pending.iter().map(|session| session.hello_id()).collect(),
        gateway: peer
            .live
            .as_mut()
            .map(|session| (session.hello_id(), session.local_cid(), session.ledger(), *session.received_ledger())),
        opened: world.gateway.turned.opened,
    }
}

/// Where the gateway sends what it has for the device.
pub(crate) fn path_of(world: &mut World) -> PathId {
    let before = world.devices[0].received.len();
    world.gateway.peers[0].load.add(COMMANDS, 1, (8, 8));
    assert!(world.run_until(LIMIT, |world| world.devices[0].received.len() > before), "{}", world.place());
    world.run_for(Duration::from_secs(5));
    world.devices[0].path_at_gateway.unwrap()
}

/// What the gateway would answer, without a network that takes it anywhere.
pub(crate) fn answers(world: &mut World) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| world.gateway.answer().unwrap()).map(|out| out.datagram).collect()
}

/// The datagrams of a recording that went this way.
pub(crate) fn recorded(world: &World, by_gateway: bool) -> Vec<Vec<u8>> {
    world.history.iter().filter(|(from, _)| *from == by_gateway).map(|(_, datagram)| datagram.clone()).collect()
}

impl State {
    /// What the device knows.
    pub(crate) fn device_part(&self) -> impl PartialEq + core::fmt::Debug + use<> {
        self.device
    }
}
