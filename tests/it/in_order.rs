//! On a good link and on a bad one: every message once, in order.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Duration, SchemaId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup};

#[test]
fn a_perfect_link_needs_no_retransmission() {
    for preset in Preset::ALL {
        let mut pair = Setup { device: preset, gateway: Preset::Large, ..Setup::new(1) }.build();
        pair.load(CHANNEL, 1_000);
        pair.finish(Duration::from_secs(120));
        let stats = pair.device.stats();
        assert_eq!((stats.tx_messages, stats.tx_retransmitted, stats.tx_packets_lost), (1_000, 0, 0), "{preset:?}");
        assert_eq!(stats.rx_dropped.total(), 0);
        assert_eq!(pair.gateway.sink.duplicates, 0);
    }
}

#[test]
fn a_link_that_loses_a_fifth() {
    let mut pair = Setup::new(2).loss(0.2).build();
    pair.load(CHANNEL, 1_000);
    pair.finish(Duration::from_secs(600));
    assert!(pair.uplink.stats().lost > 10, "{:?}", pair.uplink.stats());
    assert!(pair.device.stats().tx_retransmitted > 0);
}

#[test]
fn every_fault_at_once() {
    let faults = Faults { loss: 0.2, reorder: 0.2, duplicate: 0.1, corrupt: 0.05, ..Faults::NONE };
    let mut pair = Setup::new(3).faults(faults).build();
    pair.load(CHANNEL, 1_000);
    pair.finish(Duration::from_secs(600));
    let dropped = pair.gateway.live.as_ref().unwrap().stats().rx_dropped;
    assert!(dropped.unauthentic > 0 && dropped.replayed > 0, "{dropped:?}");
}

#[test]
fn channels_do_not_wait_for_each_other() {
    let other = ChannelId::new(2).unwrap();
    let mut setup = Setup::new(4).loss(0.2);
    setup.channels.push(ChannelConfig::ordered(other, SchemaId::named("test/2")));
    let mut pair = setup.build();
    pair.load(CHANNEL, 500);
    pair.load(other, 500);
    pair.finish(Duration::from_secs(600));
    assert_eq!(pair.oracle.stored_count(), 1_000);
}
