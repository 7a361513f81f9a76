//! Numbers on the wire wrap; nothing else does.

use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup};

/// More messages than 16 bits count, across the wrap on a bad link, with a gateway that dies at the wrap.
#[test]
fn seventy_thousand_messages() {
    let mut setup = Setup::new(1);
    (setup.device, setup.gateway, setup.sizes) = (Preset::Large, Preset::Large, (0, 8));
    let mut pair = setup.build();
    pair.load(CHANNEL, 65_400);
    pair.finish(Duration::from_secs(3_600));
    pair.set_faults(firmware_sim::faults::Faults { loss: 0.3, reorder: 0.3, ..firmware_sim::faults::Faults::NONE });
    pair.load(CHANNEL, 300);
    assert!(pair.run_until(Duration::from_secs(600), |pair| pair.oracle.stored_count() >= 65_520));
    pair.gateway.reboot();
    pair.finish(Duration::from_secs(600));
    pair.load(CHANNEL, 4_300);
    pair.finish(Duration::from_secs(3_600));
    assert_eq!(pair.oracle.stored_count(), 70_000);
}

/// More packets than the shortest packet numbers tell apart, many times over.
#[test]
fn packet_numbers_beyond_one_and_two_bytes() {
    let mut setup = Setup::new(2).loss(0.05);
    (setup.device, setup.gateway, setup.sizes) = (Preset::Small, Preset::Small, (60, 60));
    setup.config.max_datagram = 127;
    let mut pair = setup.build();
    pair.load(CHANNEL, 5_000);
    pair.finish(Duration::from_secs(36_000));
    assert!(pair.device.stats().tx_datagrams > 2 * 256);
}
