//! Deep sleep: one datagram on waking, no handshake, and no number twice.

use super::{COMMANDS, LIMIT, SEALED, at_rest, setup, talk};
use whimbrel_core::{Duration, Event, PathId, SuspendError};
use whimbrel_tests::device::Naps;
use whimbrel_tests::load::Source;
use whimbrel_tests::{CHANNEL, Setup, World};

fn sleep(world: &mut World, time: Duration) {
    world.devices[0].hibernate().unwrap();
    world.devices[0].asleep_until = Some(world.now + time);
    world.run_for(time);
    assert!(world.devices[0].is_awake());
}

#[test]
fn a_reading_after_sleep_is_one_datagram() {
    for (seed, protection) in (0..).zip(SEALED) {
        let mut world = at_rest(seed, protection);
        let (opened, id) = (world.gateway.turned.opened, world.devices[0].session_id());
        for night in 0..20 {
            if night == 10 {
                world.devices[0].path = PathId(7);
            }
            sleep(&mut world, Duration::from_secs(3_600));
            let stored = world.devices[0].oracle.stored_count();
            world.load(CHANNEL, 1);
            let soon = Duration::from_millis(5);
            assert!(
                world.run_until(soon, |world| world.devices[0].oracle.stored_count() > stored),
                "{}",
                world.place()
            );
            assert_eq!(world.devices[0].session.stats().tx_datagrams, 1);
            world.run_for(Duration::from_secs(1));
        }
        talk(&mut world, 20);
        assert_eq!((world.gateway.turned.opened, world.devices[0].session_id()), (opened, id));
    }
}

/// What the gateway had for it waits.
#[test]
fn commands_wait_for_a_device_in_deep_sleep() {
    for (seed, protection) in (0..10).zip(SEALED.into_iter().cycle()) {
        let mut world = setup(seed, protection).loss(0.2).build();
        let naps =
            Naps { awake: Duration::from_secs(2), asleep: Duration::from_secs(20), tells: seed % 4 < 2, deep: true };
        (world.devices[0].naps, world.devices[0].next_nap) = (Some(naps), Some(world.now + naps.awake));
        let readings = Source::greedy(CHANNEL, 100, (0, 64)).periodic(1, Duration::from_secs(7), world.now);
        world.devices[0].load.sources.push(readings);
        let commands = Source::greedy(COMMANDS, 40, (0, 64)).periodic(1, Duration::from_secs(13), world.now);
        world.gateway.peers[0].load.sources.push(commands);
        let all =
            |world: &mut World| world.devices[0].oracle.stored_count() == 100 && world.devices[0].received.len() == 40;
        assert!(world.run_until(Duration::from_secs(7_200), all), "{}", world.place());
        assert!(world.tally.hibernations > 5, "{}: {:?}", world.place(), world.tally);
        assert_eq!((world.gateway.turned.opened, world.devices[0].reconnects()), (1, 0), "{}", world.place());
    }
}

/// It wakes at another address with nothing to say: what the gateway had for it comes all the same.
#[test]
fn a_device_that_wakes_says_where_it_is() {
    for (seed, protection) in (0..).zip(SEALED) {
        let mut world = at_rest(seed, protection);
        world.devices[0].hibernate().unwrap();
        world.devices[0].asleep_until = Some(world.now + Duration::from_secs(60));
        world.gateway.peers[0].load.sources.push(Source::greedy(COMMANDS, 1, (8, 8)));
        world.run_for(Duration::from_secs(30));
        world.devices[0].path = PathId(7);
        world.run_for(Duration::from_secs(30));
        world.devices[0].session.wake(world.now);
        let before = world.devices[0].received.len();
        let told = |world: &mut World| world.devices[0].received.len() > before;
        assert!(world.run_until(Duration::from_secs(5), told), "{}", world.place());
    }
}

/// The gateway restarts meanwhile: the first datagram is answered with a RESET that is believed.
#[test]
fn a_gateway_that_restarts_meanwhile() {
    for (seed, protection) in (0..).zip(SEALED) {
        let mut world = at_rest(seed, protection);
        world.devices[0].hibernate().unwrap();
        world.devices[0].asleep_until = Some(world.now + Duration::from_secs(60));
        world.gateway.reboot();
        world.run_for(Duration::from_secs(60));
        world.devices[0].events.clear();
        let stored = world.devices[0].oracle.stored_count();
        world.load(CHANNEL, 1);
        let bound = Duration::from_millis(25);
        assert!(world.run_until(bound, |world| world.devices[0].oracle.stored_count() > stored), "{}", world.place());
        assert!(world.devices[0].events.contains(&Event::PeerRestarted));
        talk(&mut world, 20);
        assert_eq!(world.devices[0].session.stats().reconnects, 1);
    }
}

/// Power is lost while it is awake after a sleep: it finds that its snapshot is spent, and counts up.
#[test]
fn power_cuts_around_a_sleep() {
    for (seed, protection) in (0..).zip(SEALED) {
        let mut world = at_rest(seed, protection);
        for cut in 0..6 {
            sleep(&mut world, Duration::from_secs(60));
            world.load(CHANNEL, 2);
            world.run_for(Duration::from_millis(cut * 3));
            world.reboot_device();
            assert_eq!(world.devices[0].flash.epoch, Some(cut as u32 + 2));
            talk(&mut world, 5);
        }
        assert_eq!(world.gateway.turned.counter_low, 0);
    }
}

/// While anything is queued or owed there is no sleep.
#[test]
fn no_sleep_with_work_to_do() {
    let mut world = Setup::new(1).build();
    assert_eq!(world.devices[0].hibernate(), Err(SuspendError::NotEstablished));
    talk_up(&mut world);
    world.load(CHANNEL, 1);
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.devices[0].hibernate(), Err(SuspendError::Busy));
    talk_up(&mut world);
    assert_eq!(world.devices[0].hibernate(), Ok(()));
}

fn talk_up(world: &mut World) {
    world.load(CHANNEL, 1);
    world.finish(LIMIT);
    world.run_for(Duration::from_secs(1));
}

/// The oracle of nonces would notice a snapshot that is used twice.
#[test]
#[should_panic(expected = "under the key of")]
fn a_snapshot_that_is_used_twice_is_noticed() {
    let mut world = at_rest(1, SEALED[0]);
    world.devices[0].hibernate().unwrap();
    let snapshot = world.devices[0].flash.snapshot.clone();
    for _ in 0..2 {
        world.devices[0].flash.snapshot.clone_from(&snapshot);
        world.devices[0].asleep_until = Some(world.now);
        // It acknowledges, each time with the same number.
        world.gateway.peers[0].load.add(COMMANDS, 1, (8, 8));
        world.run_for(Duration::from_secs(1));
    }
}
