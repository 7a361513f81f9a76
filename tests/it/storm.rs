//! A sweep of random worlds; `cargo run --release -p whimbrel-tests --bin storm` runs more of them.

use super::random::worlds;
use whimbrel_tests::storm::{Counts, Cuts, judge};

#[test]
fn every_storm_passes_and_nothing_is_left_out() {
    let mut counts = Counts::default();
    for seed in 0..worlds() {
        match judge(seed, &Cuts::default(), 40) {
            Ok(passed) => counts += passed.counts,
            Err(failure) => panic!("storm {seed}: {}\n{}", failure.message, failure.trace.join("\n")),
        }
    }
    // Keys change after hundreds of packets, which few storms have.
    let missing: Vec<_> = counts.missing().filter(|name| *name != "keys updated").collect();
    assert!(missing.is_empty(), "never injected: {missing:?}");
    for fates in [0, 2, 3, 4, 5].map(|mode| counts.fates[mode]) {
        assert!(fates.accepted > 0 && fates.delivered > 0 && fates.expired > 0, "{counts:?}");
    }
}

/// What failed once: paths that are not proved (658, 2025, 3266), devices that woke without a word (4381, 7819),
/// a path that was longer than the time that its proof was given (20373, 23112) or whose challenges were all lost
/// (71311, 77446, 81275), and a round trip that was never measured again (70454).
#[test]
fn what_failed_once() {
    for seed in [658, 2025, 3266, 4381, 7819, 20373, 23112, 70454, 71311, 77446, 81275] {
        if let Err(failure) = judge(seed, &Cuts::default(), 40) {
            panic!("storm {seed}: {}\n{}", failure.message, failure.trace.join("\n"));
        }
    }
}
