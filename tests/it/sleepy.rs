//! Devices that sleep most of the time hear nothing meanwhile, and lose nothing.

use whimbrel_core::{ChannelConfig, ChannelId, Duration, SchemaId};
use whimbrel_tests::device::Naps;
use whimbrel_tests::load::Source;
use whimbrel_tests::{CHANNEL, Setup, World};

const COMMANDS: ChannelId = ChannelId::new(9).unwrap();

fn world(seed: u64, tells: bool) -> World {
    let commands = [ChannelConfig::ordered(COMMANDS, SchemaId::named("test/9"))];
    let mut world = Setup::new(seed).loss(0.1).gateway_channels(&commands).count(3).build();
    for device in &mut world.devices {
        let naps = Naps { awake: Duration::from_millis(300), asleep: Duration::from_secs(20), tells, deep: false };
        (device.naps, device.next_nap) = (Some(naps), Some(world.now + naps.awake));
        let readings = Source::greedy(CHANNEL, 200, (0, 64));
        device.load.sources.push(readings.periodic(3, Duration::from_secs(4), world.now));
    }
    for peer in &mut world.gateway.peers {
        let commands = Source::greedy(COMMANDS, 30, (0, 64));
        peer.load.sources.push(commands.periodic(1, Duration::from_secs(7), world.now));
    }
    world
}

#[test]
fn readings_and_commands_wait_for_the_device_to_wake() {
    for (seed, tells) in (0..10).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut world = world(seed, tells);
        let done = |world: &mut World| {
            let stored = world.devices.iter().all(|device| device.oracle.stored_count() == 200);
            stored && world.devices.iter().all(|device| device.received.len() == 30)
        };
        assert!(world.run_until(Duration::from_secs(7_200), done), "{}, tells: {tells}", world.place());
        assert!(world.tally.sleeps > 10 && world.tally.lost_asleep > 0, "{:?}", world.tally);
        assert!(world.devices.iter().all(|device| device.session.stats().reconnects == 0));
    }
}
