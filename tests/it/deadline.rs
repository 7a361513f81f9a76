//! A message that is of no more use is given up, counted, and holds up nobody.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Duration, SchemaId};
use whimbrel_tests::load::Source;
use whimbrel_tests::oracle::Fates;
use whimbrel_tests::{CHANNEL, Setup, World};

const SCHEMA: SchemaId = SchemaId::named("test/1");

fn with_lifetime(channel: ChannelId, count: u32, lifetime: Duration) -> Source {
    let mut source = Source::greedy(channel, count, (10, 10));
    source.lifetimes = Some((lifetime, lifetime));
    source
}

fn all_modes() -> Vec<ChannelConfig> {
    let id = |number| ChannelId::new(number).unwrap();
    vec![
        ChannelConfig::durable(id(1), SCHEMA),
        ChannelConfig::ordered(id(2), SCHEMA),
        ChannelConfig::reliable(id(3), SCHEMA),
        ChannelConfig::best_effort(id(4), SCHEMA),
    ]
}

#[test]
fn what_cannot_be_sent_in_time_is_never_sent() {
    let mut world = Setup::new(1).channels(&all_modes()).build();
    world.set_faults(Faults::BLACKOUT);
    for number in 1..=4 {
        let source = with_lifetime(ChannelId::new(number).unwrap(), 5, Duration::from_millis(500));
        world.devices[0].load.sources.push(source);
    }
    world.run_for(Duration::from_secs(2));
    let ledger = world.devices[0].session.ledger();
    assert_eq!((ledger.accepted, ledger.expired, ledger.in_flight), (20, 20, 0), "{ledger:?}");
    world.set_faults(Faults::NONE);
    // What comes after them is numbered after them, and is delivered.
    (1..=4).for_each(|number| world.load(ChannelId::new(number).unwrap(), 1));
    world.run_for(Duration::from_secs(120));
    for flow in world.devices[0].oracle.present() {
        let expected = Fates { accepted: 6, delivered: 1, expired: 5, ..Fates::default() };
        assert_eq!(flow.fates(world.now), expected, "{:?}", flow.mode());
    }
}

/// Messages that wait at the receiver, behind one that is lost or for an application that does not take them,
/// are not handed on late either: the oracle looks at each.
#[test]
fn nothing_is_handed_on_late() {
    for seed in 0..20 {
        let mut world = Setup::new(seed).loss(0.3).channels(&all_modes()).build();
        assert!(world.run_until(Duration::from_secs(600), |world| world.devices[0].session.is_established()));
        for turn in 0..20 {
            for number in 1..=4 {
                let lifetime = Duration::from_millis(10 + 13 * ((seed + turn + number) % 7));
                let source = with_lifetime(ChannelId::new(number as u8).unwrap(), 4, lifetime);
                world.devices[0].load.sources.push(source);
            }
            world.gateway.stalled = turn % 4 == 1;
            world.run_for(Duration::from_millis(60));
        }
        world.gateway.stalled = false;
        world.run_for(Duration::from_secs(60));
        let ledger = world.devices[0].session.ledger();
        assert!(ledger.expired > 0 && ledger.delivered > 0 && ledger.in_flight == 0, "{}: {ledger:?}", world.place());
        // A device that skipped half of its numbers has not lost its way.
        world.load(CHANNEL, 10);
        let before = world.devices[0].oracle.stored_count();
        let more = |world: &mut World| world.devices[0].oracle.stored_count() >= before + 10;
        assert!(world.run_until(Duration::from_secs(60), more), "{}", world.place());
    }
}
