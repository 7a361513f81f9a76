//! Urgent messages go first, and find room where others find none.

use firmware_sim::faults::{Bottleneck, Faults};
use whimbrel_core::{ChannelConfig, ChannelId, Duration, Priority, SchemaId};
use whimbrel_tests::{Setup, World};

const SCHEMA: SchemaId = SchemaId::named("test/1");
const READINGS: ChannelId = ChannelId::new(1).unwrap();
const ALARMS: ChannelId = ChannelId::new(2).unwrap();
const LIMIT: Duration = Duration::from_secs(600);

fn world(seed: u64) -> World {
    let channels = [
        ChannelConfig::ordered(READINGS, SCHEMA).with_priority(Priority::Background),
        ChannelConfig::ordered(ALARMS, SCHEMA).with_priority(Priority::Urgent),
    ];
    // 20 kB/s: what the readings do not leave.
    let bottleneck = Some(Bottleneck { rate: 20_000, queue: 32, overhead: 28 });
    let mut world =
        Setup::new(seed).faults(Faults { bottleneck, ..Faults::NONE }).channels(&channels).sizes(64, 64).build();
    assert!(world.run_until(LIMIT, |world| world.devices[0].session.is_established()));
    world
}

/// How long an alarm takes, in microseconds.
fn alarm(world: &mut World) -> u64 {
    let (now, before) = (world.now, stored(world, ALARMS));
    world.load(ALARMS, 1);
    assert!(world.run_until(LIMIT, |world| stored(world, ALARMS) > before));
    world.now.saturating_since(now).as_micros()
}

fn stored(world: &mut World, channel: ChannelId) -> usize {
    world.devices[0].oracle.up(channel.live()).unwrap().stored_count()
}

#[test]
fn an_alarm_overtakes_the_readings() {
    let mut world = world(1);
    world.load(READINGS, 1_500);
    world.run_for(Duration::from_secs(2));
    for _ in 0..20 {
        let queued = world.devices[0].session.queued();
        assert!(queued > 10, "the outbox is full of readings: {queued}");
        let took = alarm(&mut world);
        // All that the outbox holds takes longer than this: a message in the order of its arrival would wait.
        let waiting = queued as u64 * 64 * 1_000_000 / 20_000;
        assert!(took < waiting, "{took} us, {queued} readings before it");
        world.run_for(Duration::from_millis(150));
    }
}

#[test]
fn an_alarm_finds_room_in_a_full_outbox() {
    let mut world = world(2);
    world.set_faults(Faults::BLACKOUT);
    world.load(READINGS, 500);
    world.run_for(Duration::from_millis(10));
    assert!(world.backlog() > 0, "the readings found no more room");
    let backlog = world.backlog();
    world.load(ALARMS, 1);
    world.run_for(Duration::from_millis(10));
    assert_eq!(world.backlog(), backlog, "the alarm did");
    world.set_faults(Faults::NONE);
    world.finish(LIMIT);
}
