//! Datagrams that overtake each other.

use firmware_sim::faults::Faults;
use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn half_of_the_datagrams_come_late() {
    for (seed, late) in (0..30).map(|seed| (seed, Duration::from_millis(1 + 7 * seed))) {
        let faults = Faults { reorder: 0.5, reorder_delay: late, ..Faults::NONE };
        let mut pair = Setup::new(seed).faults(faults).build();
        pair.load(CHANNEL, 300);
        pair.finish(Duration::from_secs(60));
        assert_eq!(pair.gateway.sink.duplicates, 0);
    }
}

/// Packets that come after their number left the window are not taken for new ones.
#[test]
fn datagrams_that_are_minutes_late() {
    let late = Duration::from_secs(120);
    let mut pair = Setup::new(1).faults(Faults { reorder: 0.05, reorder_delay: late, ..Faults::NONE }).build();
    for _ in 0..40 {
        pair.load(CHANNEL, 300);
        pair.run_for(Duration::from_secs(10));
    }
    pair.set_faults(Faults::NONE);
    pair.finish(Duration::from_secs(600));
    assert_eq!(pair.oracle.stored_count(), 12_000);
}
