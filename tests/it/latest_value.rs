//! Only the newest value counts: it gets there, and never an older one after it.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, Duration, SchemaId};
use whimbrel_tests::oracle::Flow;
use whimbrel_tests::{CHANNEL, Setup, World};

const LIMIT: Duration = Duration::from_secs(600);

fn world(seed: u64, faults: Faults) -> World {
    Setup::new(seed).faults(faults).channels(&[ChannelConfig::latest(CHANNEL, SchemaId::named("test/1"))]).build()
}

fn flow(world: &World) -> &Flow {
    world.devices[0].oracle.present().next().expect("something was sent")
}

#[test]
fn the_newest_value_arrives_on_a_bad_link() {
    let faults = Faults { loss: 0.3, reorder: 0.3, duplicate: 0.1, ..Faults::NONE };
    for seed in 0..20 {
        let mut world = world(seed, faults);
        assert!(world.run_until(LIMIT, |world| world.devices[0].session.is_established()));
        for _ in 0..100 {
            world.load(CHANNEL, 1);
            world.run_for(Duration::from_millis(7));
        }
        let arrived = |world: &mut World| world.devices[0].session.ledger().in_flight == 0;
        assert!(world.run_until(LIMIT, arrived), "{}", world.place());
        // That no older one came after a newer is the oracle's business.
        assert!(!flow(&world).lacks_newest(world.now), "{}", world.place());
        assert_eq!(flow(&world).accepted_count(), 100);
    }
}

#[test]
fn values_replace_each_other_while_nothing_passes() {
    let mut world = world(1, Faults::NONE);
    assert!(world.run_until(LIMIT, |world| world.devices[0].session.is_established()));
    world.run_for(Duration::from_secs(1));
    world.set_faults(Faults::BLACKOUT);
    for _ in 0..1_000 {
        world.load(CHANNEL, 1);
        world.run_for(Duration::from_millis(1));
    }
    assert_eq!(world.backlog(), 0, "a value takes the place of the one before, so that there is always room");
    assert_eq!(world.devices[0].session.ledger().superseded, 999);
    world.set_faults(Faults::NONE);
    let now = world.device_now();
    world.devices[0].session.wake(now);
    assert!(world.run_until(Duration::from_secs(1), |world| !flow(world).lacks_newest(world.now)));
    assert_eq!(flow(&world).fates(world.now).delivered, 1, "one value, the last");
}
