//! Random worlds in which either end dies, the network goes and comes, the address changes and the sink stalls.

use super::random::{draw, worlds};
use firmware_sim::faults::Faults;
use firmware_sim::link::{below, rng};
use whimbrel_core::{Duration, PathId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Pair;

const TURNS: u64 = 15;

/// `reboots`: whether the device's memory may be lost too, and with it what it had accepted.
pub(crate) fn run(seed: u64, reboots: bool) -> Pair {
    let mut pair = draw(seed);
    let mut rng = rng(seed, 21);
    let calm = *pair.uplink.faults();
    for _ in 0..TURNS {
        pair.load(CHANNEL, below(&mut rng, 40) as u32);
        match below(&mut rng, 8) {
            0 => pair.gateway.reboot(),
            1 if reboots => pair.reboot_device(),
            2 => pair.uplink.set_faults(Faults::BLACKOUT),
            3 => pair.downlink.set_faults(Faults::BLACKOUT),
            4 => pair.device_path = PathId(2 + below(&mut rng, 5) as u32),
            5 => pair.gateway.stalled = !pair.gateway.stalled,
            6 => {
                let now = pair.device_now();
                pair.device.wake(now);
            }
            _ => pair.set_faults(calm),
        }
        pair.run_for(Duration::from_millis(below(&mut rng, 3_000)));
    }
    pair.set_faults(calm);
    pair.gateway.stalled = false;
    pair.finish(Duration::from_secs(7_200));
    pair
}

#[test]
fn what_was_accepted_outlives_the_gateway() {
    for seed in 0..worlds() {
        run(seed, false);
    }
}
