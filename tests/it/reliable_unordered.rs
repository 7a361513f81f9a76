//! Each message once, and none waits for another.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, Duration, SchemaId};
use whimbrel_tests::oracle::Fates;
use whimbrel_tests::{CHANNEL, Setup, World};

const LIMIT: Duration = Duration::from_secs(600);

fn world(seed: u64, faults: Faults) -> World {
    Setup::new(seed).faults(faults).channels(&[ChannelConfig::reliable(CHANNEL, SchemaId::named("test/1"))]).build()
}

fn fates(world: &World) -> Fates {
    world.devices[0].oracle.present().next().expect("something was sent").fates(world.now)
}

#[test]
fn each_once_on_a_bad_link() {
    let faults = Faults { loss: 0.2, reorder: 0.2, duplicate: 0.1, corrupt: 0.05, ..Faults::NONE };
    for seed in 0..20 {
        let mut world = world(seed, faults);
        world.load(CHANNEL, 500);
        let done = |world: &mut World| world.backlog() == 0 && world.devices[0].session.ledger().in_flight == 0;
        assert!(world.run_until(LIMIT, done), "{}", world.place());
        assert_eq!(fates(&world), Fates { accepted: 500, delivered: 500, ..Fates::default() }, "{}", world.place());
        assert_eq!(world.devices[0].session.ledger().delivered, 500);
    }
}

/// What comes after a lost message is handed on before it.
#[test]
fn a_lost_message_holds_up_no_other() {
    let mut world = world(1, Faults::NONE);
    world.load(CHANNEL, 1);
    world.run_for(Duration::from_secs(1));
    world.set_faults(Faults::BLACKOUT);
    world.load(CHANNEL, 1);
    world.run_for(Duration::from_millis(1));
    world.set_faults(Faults::NONE);
    world.load(CHANNEL, 1);
    // One way, far less than it takes to find out about the loss.
    world.run_for(Duration::from_millis(5));
    let flow = world.devices[0].oracle.present().next().unwrap();
    assert_eq!(flow.open(world.now), [1], "the third has come, the second has not");
    world.run_for(Duration::from_secs(1));
    assert_eq!(fates(&world).delivered, 3);
}
