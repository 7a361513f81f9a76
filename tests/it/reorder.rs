//! Datagrams that overtake each other.

use firmware_sim::faults::Faults;
use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn half_of_the_datagrams_come_late() {
    for (seed, late) in (0..30).map(|seed| (seed, Duration::from_millis(1 + 7 * seed))) {
        let faults = Faults { reorder: 0.5, reorder_delay: late, ..Faults::NONE };
        let mut world = Setup::new(seed).faults(faults).build();
        world.load(CHANNEL, 300);
        world.finish(Duration::from_secs(60));
        assert_eq!(world.gateway.peers[0].sink.duplicates, 0);
    }
}

/// Packets that come after their number left the window are not taken for new ones.
#[test]
fn datagrams_that_are_minutes_late() {
    let late = Duration::from_secs(120);
    let mut world = Setup::new(1).faults(Faults { reorder: 0.05, reorder_delay: late, ..Faults::NONE }).build();
    for _ in 0..40 {
        world.load(CHANNEL, 300);
        world.run_for(Duration::from_secs(10));
    }
    world.set_faults(Faults::NONE);
    world.finish(Duration::from_secs(600));
    assert_eq!(world.devices[0].oracle.stored_count(), 12_000);
}
