//! Random worlds in which either end dies, the network goes and comes, the address changes and the sink stalls.

use super::random::{draw, worlds};
use firmware_sim::faults::Faults;
use firmware_sim::link::{below, rng};
use whimbrel_core::{Duration, PathId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::World;

const TURNS: u64 = 15;

/// `reboots`: whether the device's memory may be lost too, and with it what it had accepted.
pub(crate) fn run(seed: u64, reboots: bool) -> World {
    let mut world = draw(seed);
    let mut rng = rng(seed, 21);
    let calm = *world.network.up[0].faults();
    for _ in 0..TURNS {
        world.load(CHANNEL, below(&mut rng, 40) as u32);
        match below(&mut rng, 8) {
            0 => world.gateway.reboot(),
            1 if reboots => world.reboot_device(),
            2 => world.network.up[0].set_faults(Faults::BLACKOUT),
            3 => world.network.down[0].set_faults(Faults::BLACKOUT),
            4 => world.devices[0].path = PathId(2 + below(&mut rng, 5) as u32),
            5 => world.gateway.stalled = !world.gateway.stalled,
            6 => {
                let now = world.device_now();
                world.devices[0].session.wake(now);
            }
            _ => world.set_faults(calm),
        }
        world.run_for(Duration::from_millis(below(&mut rng, 3_000)));
    }
    world.set_faults(calm);
    world.gateway.stalled = false;
    world.finish(Duration::from_secs(7_200));
    world
}

#[test]
fn what_was_accepted_outlives_the_gateway() {
    for seed in 0..worlds() {
        run(seed, false);
    }
}
