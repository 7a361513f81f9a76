//! Datagrams that come twice.

use firmware_sim::faults::Faults;
use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn every_datagram_twice() {
    let mut world = Setup::new(1).faults(Faults { duplicate: 1.0, ..Faults::NONE }).build();
    world.load(CHANNEL, 1_000);
    world.finish(Duration::from_secs(60));
    let stats = *world.gateway.peers[0].live.as_ref().unwrap().stats();
    assert_eq!(stats.rx_messages, 1_000);
    assert!(stats.rx_dropped.replayed > 10, "{stats:?}");
    assert_eq!(world.gateway.peers[0].sink.duplicates, 0, "the core found them, not the sink");
    assert_eq!(world.gateway.peers[0].sink.epochs(CHANNEL.live()), 1, "the second HELLO opened nothing");
}

#[test]
fn twice_late_and_lost() {
    for seed in 0..20 {
        let faults = Faults { duplicate: 0.5, reorder: 0.3, loss: 0.2, ..Faults::NONE };
        let mut world = Setup::new(seed).faults(faults).build();
        world.load(CHANNEL, 300);
        world.finish(Duration::from_secs(600));
        assert_eq!(world.gateway.peers[0].sink.duplicates, 0);
    }
}
