//! Every message accepted is accounted for at every step; the world checks the law at each of them, and this
//! that the counts are the right ones.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Duration, SchemaId};
use whimbrel_tests::{Setup, World};

const SCHEMA: SchemaId = SchemaId::named("test/1");
const LIMIT: Duration = Duration::from_secs(600);

fn world(seed: u64, channel: ChannelConfig, faults: Faults) -> World {
    let mut world = Setup::new(seed).faults(faults).channels(&[channel]).build();
    assert!(world.run_until(LIMIT, |world| world.devices[0].session.is_established()));
    world
}

#[test]
fn best_effort_is_delivered_or_lost() {
    let channel = ChannelId::new(1).unwrap();
    for seed in 0..10 {
        let mut world = world(seed, ChannelConfig::best_effort(channel, SCHEMA), Faults { loss: 0.2, ..Faults::NONE });
        for _ in 0..200 {
            world.load(channel, 1);
            world.run_for(Duration::from_millis(10));
        }
        let settled = |world: &mut World| world.devices[0].session.ledger().in_flight == 0;
        assert!(world.run_until(LIMIT, settled), "{}", world.place());
        let (ledger, stored) = (world.devices[0].session.ledger(), world.devices[0].oracle.stored_count() as u32);
        assert_eq!((ledger.accepted, ledger.delivered + ledger.lost), (200, 200), "{ledger:?}");
        // The last acknowledgement may be lost, and then nobody knows better.
        assert!(ledger.delivered <= stored && ledger.lost > 0, "{}: {ledger:?}, {stored} stored", world.place());
    }
}

/// A session that dies leaves what it sent, and was not told of, in doubt.
#[test]
fn what_nobody_knows_is_in_doubt() {
    let channel = ChannelId::new(1).unwrap();
    let mut world = world(1, ChannelConfig::ordered(channel, SCHEMA), Faults::NONE);
    world.run_for(Duration::from_secs(1));
    world.network.down[0].set_faults(Faults::BLACKOUT);
    world.load(channel, 10);
    world.run_for(Duration::from_millis(100));
    assert_eq!((world.devices[0].oracle.stored_count(), world.devices[0].session.ledger().in_flight), (10, 10));
    world.gateway.reboot();
    world.set_faults(Faults::NONE);
    let reopened = |world: &mut World| world.devices[0].session.stats().reconnects == 1;
    assert!(world.run_until(LIMIT, reopened));
    assert!(world.run_until(LIMIT, |world| world.devices[0].session.is_established()));
    world.load(channel, 5);
    let settled = |world: &mut World| world.backlog() == 0 && world.devices[0].session.ledger().in_flight == 0;
    assert!(world.run_until(LIMIT, settled));
    let ledger = world.devices[0].session.ledger();
    assert_eq!((ledger.accepted, ledger.delivered, ledger.in_doubt), (15, 5, 10), "{ledger:?}");
}
