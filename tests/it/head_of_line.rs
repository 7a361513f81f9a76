//! The one message that everything waits for must get through, although the receiver has no room for another.

use super::chaos;
use super::random::{draw, worlds};
use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;

// The hole was sent twice and lost twice; every slot behind it is taken, so that no other packet can be
// acknowledged: a probe that carries anything but the hole is in vain.
#[test]
fn a_probe_carries_what_the_receiver_waits_for() {
    for seed in [338, 644, 739, 1937, 2040, 2101, 2269] {
        let mut world = draw(seed);
        world.load(CHANNEL, 150);
        world.finish(Duration::from_secs(3_600));
    }
}

#[test]
fn what_was_accepted_since_the_last_boot_is_stored() {
    for seed in (0..worlds()).chain([1618]) {
        chaos::run(seed, true);
    }
}

#[test]
fn what_was_accepted_outlives_the_gateway() {
    for seed in [2251, 2466] {
        chaos::run(seed, false);
    }
}
