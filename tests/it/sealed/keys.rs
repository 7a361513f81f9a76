//! Keys change in the middle of a session, begun by either end or by both at once; nothing is lost, and nothing old is
//! taken for new.

use super::{COMMANDS, LIMIT, SEALED, recorded, talk};
use firmware_sim::faults::Faults;
use firmware_sim::link::{below, rng};
use whimbrel_core::{Config, Duration, PathId, Protection};
use whimbrel_tests::{CHANNEL, Setup, World};

/// One message a packet: keys change after a number of packets.
fn setup(seed: u64, protection: Protection) -> Setup {
    super::setup(seed, protection).sizes(80, 100).config(Config { max_datagram: 160, ack_every: 1, ..Config::new() })
}

fn update(world: &mut World, by_device: bool) -> bool {
    let now = world.now;
    match &mut world.gateway.peers[0].live {
        _ if by_device => world.devices[0].session.update_keys(now),
        Some(session) => session.update_keys(now),
        None => false,
    }
}

/// Talks until the keys may change: both ends must have sent as many packets as the replay window holds.
fn update_at_last(world: &mut World, by_device: bool) {
    for _ in 0..20 {
        talk(world, 50);
        if update(world, by_device) {
            return;
        }
    }
    panic!("{}: the keys never change", world.place());
}

#[test]
fn again_and_again_on_a_bad_link() {
    let faults = Faults { loss: 0.2, reorder: 0.3, duplicate: 0.2, corrupt: 0.02, ..Faults::NONE };
    for (seed, protection) in (0..10).zip(SEALED.into_iter().cycle()) {
        let mut world = setup(seed, protection).faults(faults).build();
        let (mut rng, mut updates) = (rng(seed, 64), 0);
        talk(&mut world, 1);
        world.load(CHANNEL, 2_500);
        world.gateway.peers[0].load.add(COMMANDS, 2_000, (40, 60));
        while world.backlog() > 0 || world.devices[0].session.queued() > 0 || world.devices[0].received.len() < 2_001 {
            world.run_for(Duration::from_millis(below(&mut rng, 60)));
            assert!(world.now.as_micros() < LIMIT.as_micros(), "{}", world.place());
            match below(&mut rng, 3) {
                // At the same moment, before either knows of the other's.
                0 => updates += u32::from(update(&mut world, true)) + u32::from(update(&mut world, false)),
                end => updates += u32::from(update(&mut world, end == 1)),
            }
        }
        talk(&mut world, 5);
        assert!(updates > 5, "{}: {updates}", world.place());
        assert_eq!((world.gateway.turned.opened, world.devices[0].reconnects()), (1, 0), "{}", world.place());
    }
}

/// Nothing of former keys is taken, though their bits of the key phase come round again.
#[test]
fn packets_of_former_keys_come_again() {
    for protection in SEALED {
        let mut world = setup(1, protection).build();
        world.recording = true;
        for turn in 0..5 {
            update_at_last(&mut world, turn % 2 == 0);
            talk(&mut world, 3);
            let before = super::state(&mut world);
            for datagram in recorded(&world, false) {
                world.gateway.handle_datagram(world.now, PathId(1), datagram);
            }
            for datagram in recorded(&world, true) {
                world.to_device(0, PathId(1), &datagram);
            }
            assert_eq!(super::state(&mut world), before, "turn {turn}");
            world.run_for(Duration::from_secs(5));
            assert_eq!(super::state(&mut world), before, "turn {turn}");
        }
    }
}

/// The bit of the key phase flips at the next packet, in both directions.
#[test]
fn the_phase_bit_follows() {
    let phases = |world: &World| {
        let last = |by_gateway| {
            let packets = recorded(world, by_gateway).into_iter().rev();
            packets.map(|datagram| datagram[0]).find(|first| first & 0x80 == 0).map(|first| first & 0x40 != 0)
        };
        (last(false), last(true))
    };
    let mut world = setup(2, SEALED[0]).build();
    world.recording = true;
    let mut expected = false;
    for turn in 0..6 {
        talk(&mut world, 2);
        assert_eq!(phases(&world), (Some(expected), Some(expected)), "turn {turn}");
        update_at_last(&mut world, turn < 3);
        expected = !expected;
    }
}
