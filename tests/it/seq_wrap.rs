//! Numbers on the wire wrap; nothing else does.

use whimbrel_core::{Config, Duration};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup};

/// More messages than 16 bits count, across the wrap on a bad link, with a gateway that dies at the wrap.
#[test]
fn seventy_thousand_messages() {
    let mut setup = Setup::new(1);
    setup = setup.presets(Preset::Large, Preset::Large).sizes(0, 8);
    let mut world = setup.build();
    world.load(CHANNEL, 65_400);
    world.finish(Duration::from_secs(3_600));
    world.set_faults(firmware_sim::faults::Faults { loss: 0.3, reorder: 0.3, ..firmware_sim::faults::Faults::NONE });
    world.load(CHANNEL, 300);
    assert!(world.run_until(Duration::from_secs(600), |world| world.devices[0].oracle.stored_count() >= 65_520));
    world.gateway.reboot();
    world.finish(Duration::from_secs(600));
    world.load(CHANNEL, 4_300);
    world.finish(Duration::from_secs(3_600));
    assert_eq!(world.devices[0].oracle.stored_count(), 70_000);
}

/// More packets than the shortest packet numbers tell apart, many times over.
#[test]
fn packet_numbers_beyond_one_and_two_bytes() {
    let mut setup = Setup::new(2).loss(0.05);
    setup = setup.presets(Preset::Small, Preset::Small).sizes(60, 60);
    setup = setup.config(Config { max_datagram: 127, ..Config::new() });
    let mut world = setup.build();
    world.load(CHANNEL, 5_000);
    world.finish(Duration::from_secs(36_000));
    assert!(world.devices[0].session.stats().tx_datagrams > 2 * 256);
}
