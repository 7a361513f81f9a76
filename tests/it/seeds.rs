//! What storms found, each as the smallest world that shows it.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Config, Duration, SchemaId};
use whimbrel_tests::load::Source;
use whimbrel_tests::{CHANNEL, Preset, Setup, World};

const SCHEMA: SchemaId = SchemaId::named("test/1");
const LIMIT: Duration = Duration::from_secs(600);

fn with_lifetime(count: u32, lifetime: Duration) -> Source {
    let mut source = Source::greedy(CHANNEL, count, (10, 10));
    source.lifetimes = Some((lifetime, lifetime));
    source
}

fn settles(world: &mut World) {
    let settled = |world: &mut World| world.backlog() == 0 && world.devices[0].session.ledger().in_flight == 0;
    assert!(world.run_until(LIMIT, settled), "{}: {:?}", world.place(), world.devices[0].session.ledger());
}

/// The first packet is lost, and the second finds no room: the gateway misses messages, and has no
/// acknowledgement to ask for them beside. It must not wait for a time that has passed.
#[test]
fn nothing_to_ask_beside() {
    for seed in 0..100 {
        let setup = Setup::new(seed).presets(Preset::Large, Preset::Small).loss(0.3).sizes(20, 20);
        let mut world = setup.config(Config { max_datagram: 127, ..Config::new() }).build();
        world.load(CHANNEL, 40);
        world.finish(Duration::from_secs(3_600));
    }
}

/// The answer to FORWARD is owed like a COMMIT: the gateway may have died before it gave it.
#[test]
fn a_gateway_that_dies_before_it_answers_forward() {
    let mut world = Setup::new(1).channels(&[ChannelConfig::ordered(CHANNEL, SCHEMA)]).build();
    world.load(CHANNEL, 1);
    world.run_for(Duration::from_secs(1));
    world.gateway.stalled = true;
    world.devices[0].load.sources.push(with_lifetime(1, Duration::from_millis(3)));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.devices[0].session.ledger().in_flight, 1, "it waits for an application that takes nothing");
    world.gateway.reboot();
    world.gateway.stalled = false;
    settles(&mut world);
}

/// A message that arrived in time, and was not stored when the gateway died, does not come again after its time.
#[test]
fn a_deadline_that_passes_before_the_message_is_stored() {
    let mut setup = Setup::new(1);
    setup.store_delay = Duration::from_millis(500);
    let mut world = setup.build();
    world.run_for(Duration::from_secs(1));
    world.devices[0].load.sources.push(with_lifetime(3, Duration::from_millis(200)));
    world.run_for(Duration::from_millis(400));
    world.gateway.reboot();
    world.load(CHANNEL, 2);
    settles(&mut world);
    let ledger = world.devices[0].session.ledger();
    assert_eq!((ledger.expired, ledger.delivered), (3, 2), "{ledger:?}");
}

/// The device has one place for messages that are longer than its slots, whole ones too.
#[test]
fn long_messages_of_the_gateway_take_turns() {
    let channel = ChannelId::new(9).unwrap();
    for seed in 0..10 {
        let setup = Setup::new(seed).presets(Preset::Large, Preset::Large).loss(0.2);
        let mut world = setup.gateway_channels(&[ChannelConfig::ordered(channel, SCHEMA)]).build();
        world.gateway.peers[0].load.add(channel, 40, (300, 1_100));
        let all = |world: &mut World| world.devices[0].received.len() == 40;
        assert!(world.run_until(LIMIT, all), "{}: {}", world.place(), world.devices[0].received.len());
    }
}

/// What was settled of a growing gap is not settled once more when the session ends.
#[test]
fn a_gap_that_grows_while_it_is_answered() {
    for seed in 0..40 {
        let mut world = Setup::new(seed).build();
        world.load(CHANNEL, 1);
        world.run_for(Duration::from_secs(1));
        for _ in 0..6 {
            world.set_faults(Faults { partition: true, ..Faults::NONE });
            world.devices[0].load.sources.push(with_lifetime(2, Duration::from_millis(2 + seed % 30)));
            world.run_for(Duration::from_millis(20));
            world.set_faults(Faults { loss: 0.3, ..Faults::NONE });
            world.run_for(Duration::from_millis(7 * (1 + seed % 9)));
        }
        world.gateway.reboot();
        world.set_faults(Faults::NONE);
        world.load(CHANNEL, 1);
        settles(&mut world);
    }
}
