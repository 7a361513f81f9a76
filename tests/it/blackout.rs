//! The network is gone, for short and for long, and comes back.

use firmware_sim::faults::Faults;
use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn an_hour_without_network_costs_few_datagrams_and_no_message() {
    let mut world = Setup::new(1).build();
    world.load(CHANNEL, 500);
    assert!(world.run_until(HOUR, |world| world.devices[0].oracle.stored_count() >= 100));
    let before = world.devices[0].session.stats().tx_datagrams;
    world.set_faults(Faults::BLACKOUT);
    world.run_for(HOUR);
    let sent = world.devices[0].session.stats().tx_datagrams - before;
    // Every 60 to 75 s, and before that while the interval doubles.
    assert!((40..120).contains(&sent), "{sent}");
    world.set_faults(Faults::NONE);
    world.finish(Duration::from_secs(120));
    assert_eq!(world.devices[0].session.stats().reconnects, 0, "both ends still know each other");
}

#[test]
fn a_device_that_starts_without_network() {
    let mut world = Setup::new(3).build();
    world.set_faults(Faults::BLACKOUT);
    world.load(CHANNEL, 200);
    world.run_for(HOUR);
    assert!(!world.devices[0].session.is_established());
    let sent = world.devices[0].session.stats().tx_datagrams;
    assert!((40..120).contains(&sent), "{sent}");
    world.set_faults(Faults::NONE);
    world.finish(Duration::from_secs(120));
}

/// Bursts: nothing passes for up to two seconds, again and again, in one direction or in both.
#[test]
fn bursts_of_loss() {
    for seed in 0..20 {
        let mut world = Setup::new(seed).build();
        world.load(CHANNEL, 2_000);
        for turn in 0..20u64 {
            world.run_for(Duration::from_millis(20 + 13 * ((seed + turn) % 5)));
            match (seed + turn) % 3 {
                0 => world.network.up[0].set_faults(Faults::BLACKOUT),
                1 => world.network.down[0].set_faults(Faults::BLACKOUT),
                _ => world.set_faults(Faults::BLACKOUT),
            }
            world.run_for(Duration::from_millis(100 * ((seed * 7 + turn) % 20)));
            world.set_faults(Faults::NONE);
        }
        world.finish(Duration::from_secs(600));
        assert_eq!(world.devices[0].oracle.stored_count(), 2_000);
    }
}
