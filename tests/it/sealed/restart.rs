//! Somebody forgot something: how soon the other knows.

use super::{SEALED, at_rest, talk};
use whimbrel_core::{Duration, Event};
use whimbrel_tests::{CHANNEL, World};

/// The links take 5 ms each way.
const ROUND_TRIP: Duration = Duration::from_millis(10);

fn heard(world: &World, event: Event) -> bool {
    world.devices[0].events.contains(&event)
}

/// Whatever the device says, the gateway can answer: the RESET is back after one round trip, and a session, stored, after
/// two and a half.
#[test]
fn a_gateway_that_restarted_says_so_within_one_round_trip() {
    for (seed, protection) in SEALED.into_iter().enumerate() {
        for len in [0, 1, 2, 10, 64] {
            let mut world = at_rest(seed as u64, protection);
            world.gateway.reboot();
            world.devices[0].events.clear();
            let (begun, stored) = (world.now, world.devices[0].oracle.stored_count());
            world.devices[0].load.add(CHANNEL, 1, (len, len));
            assert!(world.run_until(ROUND_TRIP, |world| heard(world, Event::PeerRestarted)), "{len} bytes");
            assert!(world.devices[0].session.is_established(), "the old one stays until there is a new one");
            let all = |world: &mut World| world.devices[0].oracle.stored_count() > stored;
            let bound = Duration::from_millis(25);
            assert!(world.run_until(bound, all), "{} {len} bytes", world.place());
            assert!(world.now <= begun + bound, "{} {len} bytes", world.place());
            talk(&mut world, 20);
            assert_eq!(world.devices[0].reconnects(), 1);
        }
    }
}

#[test]
fn an_acknowledgement_alone_is_no_cause() {
    let mut world = at_rest(1, SEALED[0]);
    world.gateway.reboot();
    // Shorter than a RESET, or as long: who answered it could be made to answer answers. The id is of a sealed session.
    for len in 0..30 {
        let packet = [&[0x10], &[0x11; 29][..]].concat();
        world.gateway.handle_datagram(world.now, super::STRANGER, packet[..len].to_vec());
        assert_eq!(super::answers(&mut world).len(), usize::from(len > 22), "{len} bytes");
    }
}

/// An erased counter costs one round trip, and storing the boot epoch that the gateway names.
#[test]
fn a_device_that_lost_its_counter_gets_back() {
    for protection in SEALED {
        for (boots, back) in [(1, None), (5, None), (5, Some(2)), (5, Some(3))] {
            let mut world = at_rest(2, protection);
            for _ in 1..boots {
                world.reboot_device();
                talk(&mut world, 3);
            }
            assert_eq!(world.devices[0].flash.epoch, Some(boots));
            let counter = world.gateway.peers[0].sink.lowest_counter();
            world.devices[0].lose_counter(back);
            world.devices[0].reboot();
            world.devices[0].events.clear();
            let bound = Duration::from_millis(20);
            assert!(world.run_until(bound, |world| world.devices[0].session.is_established()), "{}", world.place());
            // In the first boot the epoch is the same: the next attempt will do.
            assert_eq!(heard(&world, Event::BootEpochRaised { epoch: boots }), boots > 1);
            assert_eq!((world.devices[0].flash.epoch, world.gateway.turned.counter_low), (Some(boots), 1));
            assert_eq!(world.gateway.peers[0].sink.lowest_counter(), counter + 1);
            talk(&mut world, 20);
            world.reboot_device();
            talk(&mut world, 20);
            assert_eq!((world.devices[0].flash.epoch, world.gateway.turned.counter_low), (Some(boots + 1), 1));
        }
    }
}
