//! Either end loses its memory; the sink keeps its own.

use whimbrel_core::{Duration, Event, PathId, Protection, Route, reset, route, wire};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::Setup;

#[test]
fn a_device_reboots_and_gets_a_new_epoch() {
    let mut world = Setup::new(1).loss(0.1).build();
    world.load(CHANNEL, 1_000);
    for boot in 1..=5 {
        let some = |world: &mut whimbrel_tests::World| world.devices[0].oracle.stored_count() >= 50;
        assert!(world.run_until(Duration::from_secs(60), some), "{}", world.place());
        world.reboot_device();
        assert_eq!(world.gateway.peers[0].sink.epochs(CHANNEL.live()), boot);
    }
    world.finish(Duration::from_secs(600));
    assert_eq!(world.devices[0].session.epoch(CHANNEL).unwrap().number(), 6);
    assert!(world.devices[0].oracle.stored_ever() >= 250 + world.devices[0].oracle.stored_count());
}

#[test]
fn a_gateway_reboots_and_a_reset_brings_the_device_back_at_once() {
    let mut world = Setup::new(2).build();
    world.load(CHANNEL, 200);
    world.finish(Duration::from_secs(60));
    world.run_for(Duration::from_secs(60));
    world.gateway.reboot();
    world.devices[0].events.clear();
    world.load(CHANNEL, 200);
    // Packet and RESET, HELLO and ACCEPT, and then the first packet: five ways of 5 ms, not one timeout.
    let quickly = Duration::from_millis(30);
    assert!(world.run_until(quickly, |world| world.devices[0].oracle.stored_count() > 200), "{}", world.place());
    world.finish(Duration::from_secs(60));
    assert!(
        world.devices[0].events.contains(&Event::PeerRestarted)
            && world.devices[0].events.contains(&Event::Established)
    );
    assert_eq!(world.devices[0].session.stats().reconnects, 1);
    assert_eq!(world.devices[0].session.epoch(CHANNEL).unwrap().number(), 1, "the stream goes on");
}

#[test]
fn a_gateway_reboots_again_and_again_on_a_bad_link() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        // What was received and not stored dies with the gateway.
        setup.store_delay = Duration::from_millis(40);
        let mut world = setup.build();
        world.load(CHANNEL, 1_000);
        for _ in 0..10 {
            let before = world.devices[0].oracle.stored_count();
            let more = |world: &mut whimbrel_tests::World| world.devices[0].oracle.stored_count() > before + 30;
            assert!(world.run_until(Duration::from_secs(120), more), "{}", world.place());
            world.gateway.reboot();
        }
        world.finish(Duration::from_secs(600));
        assert_eq!(world.devices[0].oracle.stored_count(), 1_000);
        assert!(world.devices[0].session.stats().reconnects >= 10);
    }
}

#[test]
fn both_ends_reboot_at_random() {
    for seed in 0..20 {
        let mut setup = Setup::new(seed).loss(0.2);
        setup.store_delay = Duration::from_millis(20);
        let mut world = setup.build();
        world.load(CHANNEL, 600);
        for turn in 0..10 {
            world.run_for(Duration::from_millis(300 + 170 * ((seed + turn) % 7)));
            if (seed + turn) % 3 == 0 { world.reboot_device() } else { world.gateway.reboot() }
        }
        world.finish(Duration::from_secs(600));
    }
}

#[test]
fn a_reset_that_quotes_nothing_of_ours_is_ignored() {
    let mut world = Setup::new(3).protection(Protection::Plain).build();
    world.load(CHANNEL, 50);
    world.finish(Duration::from_secs(60));
    let cause = [0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24];
    assert!(matches!(route(&cause), Ok(Route::Session(_))));
    let mut buf = [0; wire::RESET_LEN];
    let len = reset(&cause, &mut buf).unwrap();
    assert!(len < cause.len(), "an answer shorter than its cause amplifies nothing");
    let before = world.devices[0].session.stats().rx_dropped.unexpected;
    world.to_device(0, PathId(1), &buf[..len]);
    assert_eq!(world.devices[0].session.stats().rx_dropped.unexpected, before + 1);
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.devices[0].session.stats().reconnects, 0);
}
