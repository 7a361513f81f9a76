//! The same seed is the same storm, to the byte.

use whimbrel_tests::storm::{Cuts, judge};

fn hash(seed: u64) -> u64 {
    judge(seed, &Cuts::default(), 0).unwrap_or_else(|failure| panic!("storm {seed}: {}", failure.message)).hash
}

#[test]
fn two_runs_send_the_same_bytes_at_the_same_times() {
    for seed in 0..30 {
        assert_eq!(hash(seed), hash(seed), "{seed}");
        assert_ne!(hash(seed), hash(seed + 1), "{seed}");
    }
}
