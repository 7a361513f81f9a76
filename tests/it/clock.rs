//! A clock that steps back is held, counted, and does no harm.

use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn the_devices_clock_steps_back_in_the_middle() {
    for seed in 0..20 {
        let mut world = Setup::new(seed).loss(0.2).build();
        world.load(CHANNEL, 500);
        for _ in 0..10 {
            world.run_for(Duration::from_millis(150));
            world.devices[0].step(world.now, -40_000);
        }
        world.finish(Duration::from_secs(600));
        assert!(world.devices[0].session.stats().clock_steps_back > 0);
    }
}

#[test]
fn a_clock_that_jumps_ahead_is_only_a_long_wait() {
    let mut world = Setup::new(1).loss(0.2).build();
    world.load(CHANNEL, 500);
    for _ in 0..10 {
        world.run_for(Duration::from_millis(50));
        world.now = world.now + Duration::from_secs(3_600);
    }
    world.finish(Duration::from_secs(600));
}
