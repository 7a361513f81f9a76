//! The network is gone, for short and for long, and comes back.

use firmware_sim::faults::Faults;
use whimbrel_core::Duration;
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn an_hour_without_network_costs_few_datagrams_and_no_message() {
    let mut pair = Setup::new(1).build();
    pair.load(CHANNEL, 500);
    assert!(pair.run_until(HOUR, |pair| pair.oracle.stored_count() >= 100));
    let before = pair.device.stats().tx_datagrams;
    pair.set_faults(Faults::BLACKOUT);
    pair.run_for(HOUR);
    let sent = pair.device.stats().tx_datagrams - before;
    // Every 60 to 75 s, and before that while the interval doubles.
    assert!((40..120).contains(&sent), "{sent}");
    pair.set_faults(Faults::NONE);
    pair.finish(Duration::from_secs(120));
    assert_eq!(pair.device.stats().reconnects, 0, "both ends still know each other");
}

#[test]
fn a_device_that_starts_without_network() {
    let mut pair = Setup::new(3).build();
    pair.set_faults(Faults::BLACKOUT);
    pair.load(CHANNEL, 200);
    pair.run_for(HOUR);
    assert!(!pair.device.is_established());
    let sent = pair.device.stats().tx_datagrams;
    assert!((40..120).contains(&sent), "{sent}");
    pair.set_faults(Faults::NONE);
    pair.finish(Duration::from_secs(120));
}

/// Bursts: nothing passes for up to two seconds, again and again, in one direction or in both.
#[test]
fn bursts_of_loss() {
    for seed in 0..20 {
        let mut pair = Setup::new(seed).build();
        pair.load(CHANNEL, 2_000);
        for turn in 0..20u64 {
            pair.run_for(Duration::from_millis(20 + 13 * ((seed + turn) % 5)));
            match (seed + turn) % 3 {
                0 => pair.uplink.set_faults(Faults::BLACKOUT),
                1 => pair.downlink.set_faults(Faults::BLACKOUT),
                _ => pair.set_faults(Faults::BLACKOUT),
            }
            pair.run_for(Duration::from_millis(100 * ((seed * 7 + turn) % 20)));
            pair.set_faults(Faults::NONE);
        }
        pair.finish(Duration::from_secs(600));
        assert_eq!(pair.oracle.stored_count(), 2_000);
    }
}
