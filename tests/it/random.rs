//! Many worlds, each drawn from its seed: memory, sizes, faults and the sink's speed.

use firmware_sim::faults::Faults;
use firmware_sim::link::{below, rng};
use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup, World};

const WORLDS: u64 = 200;

/// The world of a seed.
pub(crate) fn draw(seed: u64) -> World {
    let mut rng = rng(seed, 20);
    let mut up_to = |most: u64| below(&mut rng, most + 1);
    let device = Preset::ALL[up_to(2) as usize];
    let gateway = Preset::ALL[up_to(2) as usize];
    let longest = up_to(device.longest().min(gateway.longest()) as u64) as usize;
    let faults = Faults {
        loss: up_to(30) as f64 / 100.0,
        reorder: up_to(20) as f64 / 100.0,
        duplicate: up_to(10) as f64 / 100.0,
        corrupt: up_to(5) as f64 / 100.0,
        delay: Duration::from_millis(up_to(200)),
        reorder_delay: Duration::from_millis(up_to(50)),
        ..Faults::NONE
    };
    let store_delay = Duration::from_millis(up_to(100));
    let setup = Setup { store_delay, links: vec![faults], ..Setup::new(seed) };
    setup.presets(device, gateway).sizes(0, longest).build()
}

/// How many worlds to try: WHIMBREL_WORLDS=n asks for more, or fewer.
pub(crate) fn worlds() -> u64 {
    std::env::var("WHIMBREL_WORLDS").ok().and_then(|count| count.parse().ok()).unwrap_or(WORLDS)
}

#[test]
fn every_world_ends_with_everything_stored() {
    for seed in 0..worlds() {
        let mut world = draw(seed);
        world.load(CHANNEL, 150);
        world.finish(Duration::from_secs(3_600));
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let run = |seed| {
        let mut world = draw(seed);
        world.load(CHANNEL, 100);
        world.finish(Duration::from_secs(3_600));
        (world.trace.hash(), world.now)
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(0).0, run(1).0);
}
