//! On a good link and on a bad one: every message once, in order.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Duration, SchemaId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Preset, Setup};

#[test]
fn a_perfect_link_needs_no_retransmission() {
    for preset in Preset::ALL {
        let mut world = Setup::new(1).presets(preset, Preset::Large).build();
        world.load(CHANNEL, 1_000);
        world.finish(Duration::from_secs(120));
        let stats = world.devices[0].session.stats();
        assert_eq!((stats.tx_messages, stats.tx_retransmitted, stats.tx_packets_lost), (1_000, 0, 0), "{preset:?}");
        assert_eq!(stats.rx_dropped.total(), 0);
        assert_eq!(world.gateway.peers[0].sink.duplicates, 0);
    }
}

#[test]
fn a_link_that_loses_a_fifth() {
    let mut world = Setup::new(2).loss(0.2).build();
    world.load(CHANNEL, 1_000);
    world.finish(Duration::from_secs(600));
    assert!(world.network.up[0].stats().lost > 10, "{:?}", world.network.up[0].stats());
    assert!(world.devices[0].session.stats().tx_retransmitted > 0);
}

#[test]
fn every_fault_at_once() {
    let faults = Faults { loss: 0.2, reorder: 0.2, duplicate: 0.1, corrupt: 0.05, ..Faults::NONE };
    let mut world = Setup::new(3).faults(faults).build();
    world.load(CHANNEL, 1_000);
    world.finish(Duration::from_secs(600));
    let dropped = world.gateway.peers[0].live.as_ref().unwrap().stats().rx_dropped;
    assert!(dropped.unauthentic > 0 && dropped.replayed > 0, "{dropped:?}");
}

#[test]
fn channels_do_not_wait_for_each_other() {
    let other = ChannelId::new(2).unwrap();
    let mut setup = Setup::new(4).loss(0.2);
    setup.devices[0].channels.push(ChannelConfig::ordered(other, SchemaId::named("test/2")));
    let mut world = setup.build();
    world.load(CHANNEL, 500);
    world.load(other, 500);
    world.finish(Duration::from_secs(600));
    assert_eq!(world.devices[0].oracle.stored_count(), 1_000);
}
