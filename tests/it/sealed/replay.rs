//! Every datagram of a conversation comes again: to the same session, to a later one, from other addresses, to a gateway
//! that restarted. Nothing that was stored, delivered or known changes.

use super::{COMMANDS, LIMIT, SEALED, STRANGER, answers, at_rest, path_of, recorded, setup, state, talk};
use firmware_sim::faults::Faults;
use firmware_sim::link::{below, rng};
use whimbrel_core::wire::{LongHeader, LongType};
use whimbrel_core::{ChannelId, Duration, PathId, Protection};
use whimbrel_tests::{CHANNEL, World};

/// A conversation with all that belongs to it: loss, two addresses, and a gateway and a device that once forgot each other.
fn busy(seed: u64, protection: Protection) -> World {
    let faults = Faults { loss: 0.1, reorder: 0.2, duplicate: 0.1, ..Faults::NONE };
    let mut world = setup(seed, protection).faults(faults).build();
    world.recording = true;
    talk(&mut world, 60);
    world.devices[0].path = PathId(2);
    talk(&mut world, 60);
    world.gateway.reboot();
    talk_later(&mut world);
    world.devices[0].lose_counter(None);
    world.devices[0].reboot();
    talk(&mut world, 60);
    world.set_faults(Faults::NONE);
    talk(&mut world, 60);
    world
}

/// The gateway knows nobody: the device speaks first.
fn talk_later(world: &mut World) {
    world.load(CHANNEL, 1);
    assert!(world.run_until(LIMIT, |world| world.backlog() == 0 && world.gateway.peers[0].live.is_some()));
    talk(world, 60);
}

/// All that was ever sent, to both ends at once, from these addresses. What the gateway says to it goes nowhere.
fn play(world: &mut World, paths: &[PathId]) -> usize {
    let (ups, downs) = (recorded(world, false), recorded(world, true));
    for path in paths {
        for datagram in &ups {
            world.gateway.handle_datagram(world.now, *path, datagram.clone());
            answers(world);
        }
        for datagram in &downs {
            world.to_device(0, *path, datagram);
        }
    }
    ups.len() + downs.len()
}

fn changes_nothing(world: &mut World, paths: &[PathId], case: &str) {
    let (before, place) = (state(world), path_of(world));
    let after_path = state(world);
    assert_ne!(before, after_path, "a command arrived");
    let played = play(world, paths);
    assert!(played > 100, "{played}");
    assert_eq!(state(world), after_path, "{case}, {}", world.place());
    // Nor later, when both ends have done whatever they were made to do.
    world.run_for(Duration::from_secs(10));
    assert_eq!(state(world), after_path, "{case}, {}", world.place());
    assert_eq!(path_of(world), place, "{case}, {}", world.place());
    talk(world, 5);
}

#[test]
fn to_the_same_session_and_to_later_ones() {
    for (seed, protection) in (0..6).zip(SEALED.into_iter().cycle()) {
        let mut world = busy(seed, protection);
        changes_nothing(&mut world, &[STRANGER, PathId(1), PathId(2)], "the same session");
        world.reboot_device();
        talk(&mut world, 5);
        changes_nothing(&mut world, &[STRANGER, PathId(1)], "after the device's reboot");
        world.devices[0].path = PathId(3);
        talk_later(&mut world);
        changes_nothing(&mut world, &[STRANGER, PathId(1), PathId(2)], "after it moved");
        world.gateway.reboot();
        talk_later(&mut world);
        changes_nothing(&mut world, &[STRANGER], "after the gateway's reboot");
    }
}

/// Each datagram is replayed right after it was sent, and often before it arrives: then the copy counts, and the
/// original is dropped.
#[test]
fn beside_the_originals() {
    for (seed, protection) in (0..10).zip(SEALED.into_iter().cycle()) {
        let mut world = setup(seed, protection).loss(0.05).build();
        world.recording = true;
        let mut rng = rng(seed, 62);
        world.load(CHANNEL, 300);
        world.load(ChannelId::new(2).unwrap(), 100);
        world.gateway.peers[0].load.add(COMMANDS, 100, (0, 64));
        let mut seen = 0;
        while world.backlog() > 0 || world.devices[0].session.queued() > 0 || world.devices[0].received.len() < 100 {
            world.run_for(Duration::from_millis(3));
            assert!(world.now.as_micros() < LIMIT.as_micros(), "{}", world.place());
            let new = world.history[seen..].to_vec();
            // The new ones, and some of all.
            let old = (0..3).filter_map(|_| world.history.get(below(&mut rng, world.history.len() as u64) as usize));
            let all: Vec<_> = new.into_iter().chain(old.cloned()).collect();
            seen = world.history.len();
            for (by_gateway, datagram) in all {
                match by_gateway {
                    true => world.to_device(0, STRANGER, &datagram),
                    false => world.gateway.handle_datagram(world.now, PathId(1), datagram),
                }
            }
        }
        talk(&mut world, 5);
        assert_eq!((world.gateway.turned.opened, world.devices[0].reconnects()), (1, 0), "{}", world.place());
        assert_eq!(world.gateway.peers[0].sink.duplicates, 0);
    }
}

/// A gateway that restarted gets everything before it hears from the device: it opens nothing, and stores nothing.
#[test]
fn to_a_gateway_that_restarted() {
    for (seed, protection) in (0..6).zip(SEALED.into_iter().cycle()) {
        let mut world = busy(seed, protection);
        world.gateway.reboot();
        let (before, turned) = (state(&mut world), world.gateway.turned);
        for datagram in recorded(&world, false) {
            world.gateway.handle_datagram(world.now, STRANGER, datagram);
            answers(&mut world);
        }
        assert_eq!(state(&mut world), before, "{}", world.place());
        assert!(before.gateway.is_none() && before.pending.is_empty());
        let hellos = recorded(&world, false).iter().filter(|datagram| is_hello(datagram)).count() as u64;
        assert_eq!(world.gateway.turned.counter_low, turned.counter_low + hellos);
        talk_later(&mut world);
    }
}

fn is_hello(datagram: &[u8]) -> bool {
    LongHeader::parse(datagram).is_ok_and(|(header, _)| header.kind == LongType::Hello)
}

/// HELLOs of sessions past, again and again, while a newer session works: it is neither replaced nor disturbed, to the
/// byte.
#[test]
fn an_old_hello_after_a_newer_session() {
    for protection in SEALED {
        let run = |replay: bool| {
            let mut world = at_rest(3, protection);
            for _ in 0..3 {
                world.gateway.peers[0].forget();
                talk_later(&mut world);
            }
            let hellos: Vec<_> = recorded(&world, false).into_iter().filter(|datagram| is_hello(datagram)).collect();
            assert!(hellos.len() >= 4);
            let live = world.gateway.peers[0].live.as_ref().unwrap().hello_id();
            world.load(CHANNEL, 200);
            for _ in 0..200 {
                world.run_for(Duration::from_millis(1));
                for hello in hellos.iter().filter(|_| replay) {
                    for path in [STRANGER, PathId(1)] {
                        world.gateway.handle_datagram(world.now, path, hello.clone());
                        answers(&mut world);
                    }
                }
            }
            talk(&mut world, 60);
            let peer = &world.gateway.peers[0];
            assert!(peer.pending.is_empty());
            assert_eq!(peer.live.as_ref().unwrap().hello_id(), live);
            (world.trace.hash(), world.now)
        };
        assert_eq!(run(false), run(true), "{protection:?}");
    }
}

/// While a device opens a session, its HELLO comes again from everywhere: one session, for the device.
#[test]
fn a_hello_that_is_being_answered() {
    for protection in SEALED {
        let mut world = setup(4, protection).build();
        world.recording = true;
        world.network.down[0].set_faults(Faults::BLACKOUT);
        world.run_for(Duration::from_secs(1));
        let hello = recorded(&world, false).remove(0);
        for number in 0..1_000 {
            world.gateway.handle_datagram(world.now, PathId(STRANGER.0 + number % 50), hello.clone());
            world.run_for(Duration::from_micros(100));
        }
        assert_eq!((world.gateway.turned.opened, world.gateway.peers[0].pending.len()), (1, 1));
        world.set_faults(Faults::NONE);
        talk(&mut world, 5);
        assert_eq!(world.gateway.turned.opened, 1);
        assert_eq!(path_of(&mut world), PathId(1));
    }
}
