//! The gateway's key changes: two are in use for a while, devices are told under seal, and nobody is visited.

use super::{LIMIT, setup, talk};
use whimbrel_core::{Credentials, Duration, Event, Protection};
use whimbrel_tests::keys::{device_key, gateway_keys, gateway_secret};
use whimbrel_tests::{CHANNEL, World};

const SEED: u64 = 1;

/// From the first key alone, by way of both, to the second alone.
fn rotate(world: &mut World, stage: u32) {
    let (old, new) = (gateway_secret(SEED, 0), gateway_secret(SEED, 1));
    world.gateway.keys = match stage {
        0 => gateway_keys(SEED, 0),
        1 => gateway_keys(SEED, 0).with_second(new),
        2 => gateway_keys(SEED, 1).with_second(old),
        _ => gateway_keys(SEED, 1),
    };
}

fn announce(world: &mut World) {
    let (now, key) = (world.now, gateway_secret(SEED, 1).public());
    world.gateway.peers[0].live.as_mut().unwrap().announce_key(now, key);
}

#[test]
fn a_device_is_told_and_uses_the_new_key_from_then_on() {
    for loss in [0.0, 0.3] {
        let mut world = setup(SEED, Protection::NkPsk0).loss(loss).build();
        talk(&mut world, 5);
        rotate(&mut world, 1);
        announce(&mut world);
        let key = gateway_secret(SEED, 1).public();
        let told = |world: &mut World| world.devices[0].events.contains(&Event::GatewayKey { key });
        assert!(world.run_until(LIMIT, told), "{}", world.place());
        // The session goes on; the next one is under the new key, whether the device forgets the session or the gateway.
        talk(&mut world, 5);
        rotate(&mut world, 3);
        world.gateway.reboot();
        world.load(CHANNEL, 1);
        talk_again(&mut world);
        world.reboot_device();
        talk(&mut world, 5);
        // Where nothing is lost it has no reason to try the former one.
        assert!(loss > 0.0 || world.gateway.turned.unopened == 0);
        // Told once more, it has no news.
        announce(&mut world);
        talk(&mut world, 5);
        let news = world.devices[0].events.iter().filter(|event| matches!(event, Event::GatewayKey { .. })).count();
        assert_eq!(news, 1);
    }
}

fn talk_again(world: &mut World) {
    let done = |world: &mut World| world.backlog() == 0 && world.devices[0].session.queued() == 0;
    assert!(world.run_until(LIMIT, done), "{}", world.place());
}

/// Whatever the gateway has at each stage, a device that knows either key, or both in either order, gets in as long as the
/// gateway has one that it knows.
#[test]
fn every_device_at_every_stage() {
    let public = |generation| gateway_secret(SEED, generation).public();
    let key = || device_key(SEED, 0);
    let devices = [
        (Credentials::nk(key(), public(0)), [true, true, true, false]),
        (Credentials::nk(key(), public(1)), [false, true, true, true]),
        (Credentials::nk(key(), public(0)).with_second(public(1)), [true; 4]),
        (Credentials::nk(key(), public(1)).with_second(public(0)), [true; 4]),
    ];
    for (number, (credentials, gets_in)) in devices.into_iter().enumerate() {
        for (stage, gets_in) in (0..).zip(gets_in) {
            let mut world = setup(SEED, Protection::NkPsk0).build();
            rotate(&mut world, stage);
            world.devices[0].credentials = Some(credentials.clone());
            world.reboot_device();
            let established = |world: &mut World| world.devices[0].session.is_established();
            let got_in = world.run_until(Duration::from_secs(300), established);
            assert_eq!(got_in, gets_in, "device {number} at stage {stage}");
            if got_in {
                talk(&mut world, 5);
            } else {
                assert!(world.gateway.turned.unopened > 3 && world.gateway.turned.opened == 0);
            }
        }
    }
}

/// A fleet is told on a bad link, and comes back under the new key when the old one is gone.
#[test]
fn a_fleet_that_is_told_while_it_works() {
    let mut world = setup(SEED, Protection::NkPsk0).loss(0.1).count(8).build();
    world.run_for(Duration::from_secs(10));
    rotate(&mut world, 1);
    for at in 0..8 {
        let key = gateway_secret(SEED, 1).public();
        let now = world.now;
        let Some(live) = world.gateway.peers[at].live.as_mut() else { panic!("device {at} is not there") };
        live.announce_key(now, key);
    }
    world.run_for(Duration::from_secs(10));
    for stage in [2, 3] {
        rotate(&mut world, stage);
        for at in 0..8 {
            world.devices[at].reboot();
        }
        world.run_for(Duration::from_secs(60));
        assert!(world.devices.iter().all(|device| device.session.is_established()), "stage {stage}");
    }
    assert_eq!(world.gateway.turned.unopened, 0);
}
