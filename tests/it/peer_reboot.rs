//! Either end loses its memory; the sink keeps its own.

use whimbrel_core::{Duration, Event, PathId, Route, reset, route, wire};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn a_device_reboots_and_gets_a_new_epoch() {
    let mut pair = Setup::new(1).loss(0.1).build();
    pair.load(CHANNEL, 1_000);
    for boot in 1..=5 {
        let some = |pair: &mut whimbrel_tests::Pair| pair.oracle.stored_count() >= 50;
        assert!(pair.run_until(Duration::from_secs(60), some), "{}", pair.place());
        pair.reboot_device();
        assert_eq!(pair.gateway.sink.epochs(CHANNEL.live()), boot);
    }
    pair.finish(Duration::from_secs(600));
    assert_eq!(pair.device.epoch(CHANNEL).unwrap().number(), 6);
    assert!(pair.oracle.stored_ever() >= 250 + pair.oracle.stored_count());
}

#[test]
fn a_gateway_reboots_and_a_reset_brings_the_device_back_at_once() {
    let mut pair = Setup::new(2).build();
    pair.load(CHANNEL, 200);
    pair.finish(Duration::from_secs(60));
    pair.run_for(Duration::from_secs(60));
    pair.gateway.reboot();
    pair.events.clear();
    pair.load(CHANNEL, 200);
    // Packet and RESET, HELLO and ACCEPT, and then the first packet: five ways of 5 ms, not one timeout.
    let quickly = Duration::from_millis(30);
    assert!(pair.run_until(quickly, |pair| pair.oracle.stored_count() > 200), "{}", pair.place());
    pair.finish(Duration::from_secs(60));
    assert!(pair.events.contains(&Event::PeerRestarted) && pair.events.contains(&Event::Established));
    assert_eq!(pair.device.stats().reconnects, 1);
    assert_eq!(pair.device.epoch(CHANNEL).unwrap().number(), 1, "the stream goes on");
}

#[test]
fn a_gateway_reboots_again_and_again_on_a_bad_link() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        // What was received and not stored dies with the gateway.
        setup.store_delay = Duration::from_millis(40);
        let mut pair = setup.build();
        pair.load(CHANNEL, 1_000);
        for _ in 0..10 {
            let before = pair.oracle.stored_count();
            let more = |pair: &mut whimbrel_tests::Pair| pair.oracle.stored_count() > before + 30;
            assert!(pair.run_until(Duration::from_secs(120), more), "{}", pair.place());
            pair.gateway.reboot();
        }
        pair.finish(Duration::from_secs(600));
        assert_eq!(pair.oracle.stored_count(), 1_000);
        assert!(pair.device.stats().reconnects >= 10);
    }
}

#[test]
fn both_ends_reboot_at_random() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        setup.store_delay = Duration::from_millis(20);
        let mut pair = setup.build();
        pair.load(CHANNEL, 600);
        for turn in 0..10 {
            pair.run_for(Duration::from_millis(300 + 170 * ((seed + turn) % 7)));
            if (seed + turn) % 3 == 0 { pair.reboot_device() } else { pair.gateway.reboot() }
        }
        pair.finish(Duration::from_secs(600));
    }
}

#[test]
fn a_reset_that_quotes_nothing_of_ours_is_ignored() {
    let mut pair = Setup::new(3).build();
    pair.load(CHANNEL, 50);
    pair.finish(Duration::from_secs(60));
    let cause = [0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24];
    assert!(matches!(route(&cause), Ok(Route::Session(_))));
    let mut buf = [0; wire::RESET_LEN];
    let len = reset(&cause, &mut buf).unwrap();
    assert!(len < cause.len(), "an answer shorter than its cause amplifies nothing");
    let before = pair.device.stats().rx_dropped.unexpected;
    pair.to_device(PathId(1), &buf[..len]);
    assert_eq!(pair.device.stats().rx_dropped.unexpected, before + 1);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.device.stats().reconnects, 0);
}
