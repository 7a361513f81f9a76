//! The other kinds of delivery, and the other direction.

use whimbrel_core::{ChannelConfig, ChannelId, Duration, Event, SchemaId};
use whimbrel_tests::{Setup, World};

const SCHEMA: SchemaId = SchemaId::named("test/1");
const CHANNEL: ChannelId = ChannelId::new(7).unwrap();
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn best_effort_is_sent_once() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        setup = setup.channels(&[ChannelConfig::best_effort(CHANNEL, SCHEMA)]);
        let mut world = setup.build();
        assert!(world.run_until(LIMIT, |world| world.devices[0].session.is_established()));
        for _ in 0..300 {
            world.load(CHANNEL, 1);
            world.run_for(Duration::from_millis(10));
        }
        world.run_for(LIMIT);
        // The oracle saw that none came twice; the link loses a fifth.
        let stored = world.devices[0].oracle.stored_count();
        assert!((180..300).contains(&stored), "{}: {stored}", world.place());
        assert_eq!(world.devices[0].session.stats().tx_retransmitted, 0);
        assert_eq!(world.devices[0].session.queued(), 0);
    }
}

#[test]
fn ordered_without_a_sink_is_acknowledged() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        setup = setup.channels(&[ChannelConfig::ordered(CHANNEL, SCHEMA)]);
        let mut world = setup.build();
        world.load(CHANNEL, 300);
        world.finish(LIMIT);
        world.settle();
        let acknowledged = |event: &Event| matches!(event, Event::Acknowledged { next, .. } if next.value() == 300);
        assert!(world.devices[0].events.iter().any(acknowledged), "{}", world.place());
    }
}

#[test]
fn the_gateway_sends_to_the_device() {
    for seed in 0..20 {
        let setup = Setup::new(seed).loss(0.2).gateway_channels(&[ChannelConfig::ordered(CHANNEL, SCHEMA)]);
        let mut world = setup.build();
        world.gateway.peers[0].load.add(CHANNEL, 300, (0, 64));
        // The oracle sees to the order.
        let all = |world: &mut World| world.devices[0].received.len() == 300;
        assert!(world.run_until(LIMIT, all), "{}: {}", world.place(), world.devices[0].received.len());
        world.run_for(LIMIT);
        assert_eq!(world.devices[0].received.len(), 300);
    }
}
