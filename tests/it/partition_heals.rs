//! A link that dies for a minute and returns.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Duration, SchemaId};
use whimbrel_tests::{CHANNEL, Setup, World};

const COMMANDS: ChannelId = ChannelId::new(9).unwrap();
const MINUTE: Duration = Duration::from_secs(60);
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// Something is queued at both ends when the link returns.
fn after_a_minute(seed: u64) -> World {
    let commands = [ChannelConfig::ordered(COMMANDS, SchemaId::named("test/9"))];
    let mut world = Setup::new(seed).gateway_channels(&commands).build();
    world.load(CHANNEL, 100);
    world.finish(MINUTE);
    world.run_for(Duration::from_millis(100 * seed));
    cut(&mut world, true);
    world.load(CHANNEL, 300);
    world.gateway.peers[0].load.add(COMMANDS, 10, (0, 64));
    world.run_for(MINUTE);
    assert_eq!(world.devices[0].oracle.stored_count(), 100);
    cut(&mut world, false);
    world
}

fn cut(world: &mut World, partition: bool) {
    for link in world.network.links() {
        link.set_faults(Faults { partition, ..*link.faults() });
    }
}

fn resumes(world: &mut World, within: Duration) {
    let more = |world: &mut World| world.devices[0].oracle.stored_count() > 100;
    assert!(world.run_until(within, more), "{}", world.place());
}

fn everything_arrives(mut world: World) {
    world.finish(MINUTE);
    world.run_for(MINUTE);
    assert_eq!((world.devices[0].oracle.stored_count(), world.devices[0].received.len()), (400, 10));
    assert_eq!(world.devices[0].session.stats().reconnects, 0, "both ends still know each other");
}

#[test]
fn within_one_backed_off_interval_by_itself() {
    for seed in 0..10 {
        let mut world = after_a_minute(seed);
        // Both ends probe. The interval doubles from a fraction of a second: after a minute it is a minute at
        // most, and the next probe is due before as long has passed as since the link died.
        let interval = Duration::from_secs(75).saturating_add(ROUND_TRIP);
        resumes(&mut world, interval);
        everything_arrives(world);
    }
}

#[test]
fn at_once_when_the_application_says_so() {
    for seed in 0..10 {
        let mut world = after_a_minute(seed);
        let now = world.device_now();
        world.devices[0].session.wake(now);
        resumes(&mut world, ROUND_TRIP);
        everything_arrives(world);
    }
}

#[test]
fn at_once_when_anything_comes_from_the_peer() {
    for seed in 0..10 {
        let mut world = after_a_minute(seed);
        let now = world.now;
        world.gateway.peers[0].live.as_mut().unwrap().wake(now);
        // Its probe takes half a round trip to the device, and what follows as long to the gateway.
        resumes(&mut world, ROUND_TRIP);
        everything_arrives(world);
    }
}
