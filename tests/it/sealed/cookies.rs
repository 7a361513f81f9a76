//! A gateway under load: addresses are proved before anything is opened.

use super::{LIMIT, SEALED, STRANGER, answers, recorded, setup, talk};
use firmware_sim::faults::Faults;
use whimbrel_core::wire::{LongHeader, LongType};
use whimbrel_core::{Duration, PathId, Protection};
use whimbrel_tests::{CHANNEL, World};

fn under_load(seed: u64, protection: Protection) -> World {
    let mut world = setup(seed, protection).build();
    world.recording = true;
    world.gateway.demands_cookies = true;
    world
}

fn is_established(world: &mut World) -> bool {
    world.devices[0].session.is_established()
}

#[test]
fn a_cookie_costs_one_round_trip() {
    for protection in SEALED {
        let mut world = under_load(1, protection);
        assert!(world.run_until(Duration::from_millis(20), is_established), "{}", world.place());
        assert_eq!(world.now.as_micros(), 20_000, "HELLO, COOKIE, HELLO, ACCEPT: four ways of 5 ms");
        talk(&mut world, 20);
        let turned = world.gateway.turned;
        assert_eq!((turned.cookies, turned.opened), (1, 1), "{turned:?}");
    }
}

#[test]
fn on_a_bad_link() {
    let faults = Faults { loss: 0.4, reorder: 0.3, duplicate: 0.3, corrupt: 0.1, ..Faults::NONE };
    for protection in SEALED {
        for seed in 0..40 {
            let mut world = under_load(seed, protection);
            world.set_faults(faults);
            talk(&mut world, 5);
            assert_eq!((world.gateway.turned.opened, world.devices[0].reconnects()), (1, 0), "{}", world.place());
        }
    }
}

/// A cookie is of one address.
#[test]
fn a_device_that_moves_proves_its_address_again() {
    for protection in SEALED {
        let mut world = under_load(2, protection);
        world.run_for(Duration::from_millis(12));
        assert_eq!(world.gateway.turned.cookies, 1);
        // The HELLO with the cookie is on its way; what answers it goes to an address that was left.
        world.devices[0].path = PathId(2);
        assert!(world.run_until(LIMIT, is_established), "{}", world.place());
        // The first HELLO was taken; the same from another address needs no cookie, for the answer costs nothing.
        assert_eq!((world.gateway.turned.opened, world.gateway.turned.cookies), (1, 1));
        world.gateway.reboot();
        world.devices[0].path = PathId(3);
        world.load(CHANNEL, 1);
        assert!(world.run_until(LIMIT, |world| world.backlog() == 0 && world.devices[0].session.queued() == 0));
        assert_eq!((world.gateway.turned.opened, world.gateway.turned.cookies), (2, 2));
    }
}

/// The last 8 bytes of a HELLO with a cookie, taken by another address, prove nothing there.
#[test]
fn a_cookie_of_another_address_is_none() {
    for protection in SEALED {
        let mut world = under_load(3, protection);
        world.run_for(Duration::from_millis(14));
        let hello = recorded(&world, false).pop().unwrap();
        assert_eq!(recorded(&world, false).len(), 2);
        for number in 0..20 {
            world.gateway.handle_datagram(world.now, PathId(STRANGER.0 + number), hello.clone());
            let answers = answers(&mut world);
            assert!(answers.len() == 1 && answers[0].len() < hello.len());
            assert!(matches!(LongHeader::parse(&answers[0]), Ok((LongHeader { kind: LongType::Cookie, .. }, _))));
        }
        assert_eq!(world.gateway.turned.opened, 0);
        talk(&mut world, 5);
        assert_eq!(world.gateway.turned.opened, 1);
    }
}

/// A cookie grows old on the way, and is no cookie of a gateway that restarted: the device gets another.
#[test]
fn old_cookies() {
    for protection in SEALED {
        for restarts in [false, true] {
            let mut world = under_load(4, protection);
            world.run_for(Duration::from_millis(6));
            world.network.up[0].set_faults(Faults::BLACKOUT);
            world.run_for(Duration::from_secs(if restarts { 1 } else { 300 }));
            assert_eq!((world.gateway.turned.opened, world.gateway.turned.cookies), (0, 1));
            if restarts {
                world.gateway.reboot();
            }
            world.set_faults(Faults::NONE);
            talk(&mut world, 5);
            assert_eq!((world.gateway.turned.opened, world.gateway.turned.cookies), (1, 2), "{}", world.place());
        }
    }
}

/// Load comes and goes.
#[test]
fn load_that_ends_in_the_middle() {
    for protection in SEALED {
        for millis in 0..25 {
            let mut world = setup(5, protection).build();
            world.gateway.demands_cookies = millis % 2 == 0;
            world.run_for(Duration::from_millis(millis));
            world.gateway.demands_cookies = millis % 2 == 1;
            talk(&mut world, 5);
            assert_eq!(world.gateway.turned.opened, 1);
        }
    }
}
