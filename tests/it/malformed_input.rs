//! Bytes that nobody meant: dropped, counted by reason, and nothing delivered.

use firmware_sim::faults::Faults;
use firmware_sim::link::{below, flip_bits, rng};
use rand::RngCore;
use whimbrel_core::{Dropped, Duration, PathId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Setup, World};

const STRANGER: PathId = PathId(99);

/// Both ends talked, and have nothing more to say.
fn at_rest(seed: u64) -> World {
    let mut world = Setup::new(seed).build();
    world.load(CHANNEL, 50);
    world.finish(Duration::from_secs(60));
    world.run_for(Duration::from_secs(10));
    world
}

fn gateway_dropped(world: &World) -> Dropped {
    world.gateway.peers[0].live.as_ref().unwrap().stats().rx_dropped
}

/// Hands a datagram to the gateway's session itself, past the demultiplexing.
fn to_gateway_session(world: &mut World, datagram: &[u8]) {
    let (now, mut datagram) = (world.now, datagram.to_vec());
    let session = world.gateway.peers[0].live.as_mut().unwrap();
    assert!(session.handle_datagram(now, STRANGER, &mut datagram).next().is_none(), "delivered {datagram:02x?}");
}

/// A packet with one message from the device, as it was sent, which the gateway never got.
fn lost_packet(world: &mut World) -> Vec<u8> {
    let now = world.now;
    let id = world.devices[0].session.send(now, CHANNEL, b"lost").unwrap();
    world.devices[0].oracle.accepted(id, b"lost", None).unwrap();
    let mut buf = [0; 1200];
    let sent = world.devices[0].session.poll_transmit(now, &mut buf).unwrap();
    buf[..sent.len].to_vec()
}

/// After all that was done to it, the session still works, and what reached it was in order.
fn still_works(mut world: World) {
    let before = world.devices[0].session.stats().reconnects;
    world.load(CHANNEL, 50);
    world.finish(Duration::from_secs(60));
    assert_eq!(world.devices[0].session.stats().reconnects, before, "the session survived");
}

#[test]
fn random_bytes() {
    let mut world = at_rest(1);
    let mut rng = rng(1, 30);
    let (device, gateway) = (world.devices[0].session.stats().rx_dropped.total(), gateway_dropped(&world).total());
    let received = world.devices[0].received.len();
    for _ in 0..5_000 {
        let mut datagram = vec![0; below(&mut rng, 1_300) as usize];
        rng.fill_bytes(&mut datagram);
        world.to_device(0, STRANGER, &datagram);
        to_gateway_session(&mut world, &datagram);
        world.gateway.handle_datagram(world.now, STRANGER, datagram);
    }
    assert_eq!(world.devices[0].session.stats().rx_dropped.total() - device, 5_000);
    assert_eq!(gateway_dropped(&world).total() - gateway, 5_000);
    assert_eq!(world.gateway.undecodable + world.gateway.strangers, 5_000);
    assert_eq!(world.devices[0].received.len(), received);
    still_works(world);
}

#[test]
fn truncated_packets() {
    let mut world = at_rest(2);
    let packet = lost_packet(&mut world);
    let before = gateway_dropped(&world);
    for len in 0..packet.len() {
        to_gateway_session(&mut world, &packet[..len]);
    }
    let after = gateway_dropped(&world);
    assert_eq!((after.total() - before.total()) as usize, packet.len());
    assert!(after.truncated > before.truncated && after.unauthentic > before.unauthentic, "{after:?}");
    assert_eq!(after.malformed, before.malformed);
    still_works(world);
}

#[test]
fn oversized_datagrams() {
    let mut world = at_rest(3);
    let before = (world.devices[0].session.stats().rx_dropped, gateway_dropped(&world));
    for len in [1_201, 1_452, 9_000, 65_507] {
        to_gateway_session(&mut world, &vec![0; len]);
        world.to_device(0, STRANGER, &vec![0; len]);
    }
    assert_eq!(world.devices[0].session.stats().rx_dropped.oversized - before.0.oversized, 4);
    assert_eq!(gateway_dropped(&world).oversized - before.1.oversized, 4);
    still_works(world);
}

#[test]
fn every_single_flipped_bit() {
    let mut world = at_rest(4);
    let packet = lost_packet(&mut world);
    let before = gateway_dropped(&world);
    for bit in 0..packet.len() * 8 {
        let mut spoilt = packet.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        to_gateway_session(&mut world, &spoilt);
    }
    let after = gateway_dropped(&world);
    assert_eq!((after.total() - before.total()) as usize, packet.len() * 8);
    assert_eq!((after.replayed, after.no_room), (before.replayed, before.no_room), "CRC-32 finds each of them");
    still_works(world);
}

#[test]
fn a_replayed_packet() {
    let mut world = at_rest(5);
    let packet = lost_packet(&mut world);
    let now = world.now;
    world.gateway.handle_datagram(now, PathId(1), packet.clone());
    world.run_for(Duration::from_secs(5));
    let stored = world.devices[0].oracle.stored_count();
    assert_eq!(stored, 51);
    let before = gateway_dropped(&world);
    for _ in 0..10 {
        to_gateway_session(&mut world, &packet);
    }
    assert_eq!(gateway_dropped(&world).replayed - before.replayed, 10);
    // Long after, its short number stands for a newer packet, which it is not.
    world.load(CHANNEL, 3_000);
    world.finish(Duration::from_secs(600));
    let before = gateway_dropped(&world);
    to_gateway_session(&mut world, &packet);
    let after = gateway_dropped(&world);
    assert_eq!(after.total() - before.total(), 1);
    let found = |dropped: Dropped| dropped.replayed + dropped.too_old + dropped.unauthentic;
    assert_eq!(found(after) - found(before), 1, "{after:?}");
    still_works(world);
}

#[test]
fn a_reflected_packet_and_one_of_another_session() {
    let mut world = at_rest(6);
    let packet = lost_packet(&mut world);
    let before = world.devices[0].session.stats().rx_dropped;
    world.to_device(0, STRANGER, &packet);
    assert_eq!(world.devices[0].session.stats().rx_dropped.unauthentic - before.unauthentic, 1);
    let mut other = at_rest(7);
    let foreign = lost_packet(&mut other);
    let before = gateway_dropped(&world);
    to_gateway_session(&mut world, &foreign);
    assert_eq!(gateway_dropped(&world).unauthentic - before.unauthentic, 1);
    still_works(world);
    still_works(other);
}

#[test]
fn a_link_that_spoils_a_third_of_all_datagrams() {
    let mut world = Setup::new(8).faults(Faults { corrupt: 0.33, ..Faults::NONE }).build();
    world.load(CHANNEL, 1_000);
    world.finish(Duration::from_secs(600));
    assert!(gateway_dropped(&world).unauthentic + world.gateway.strangers > 10);
}

/// HELLO, ACCEPT and packets, spoilt at random, into both ends while they work.
#[test]
fn spoilt_copies_of_what_was_really_sent() {
    let mut world = Setup::new(9).loss(0.1).build();
    let mut rng = rng(9, 30);
    world.recording = true;
    world.load(CHANNEL, 2_000);
    let mut spoilt = 0;
    while world.backlog() > 0 {
        world.run_for(Duration::from_millis(3));
        for (by_gateway, mut datagram) in core::mem::take(&mut world.history) {
            flip_bits(&mut datagram, &mut rng);
            spoilt += 1;
            match by_gateway {
                true => world.to_device(0, STRANGER, &datagram),
                false => world.gateway.handle_datagram(world.now, STRANGER, datagram),
            }
        }
    }
    world.finish(Duration::from_secs(600));
    assert!(spoilt > 100, "{spoilt}");
    assert!(world.devices[0].session.stats().rx_dropped.total() > 40 && gateway_dropped(&world).total() > 20);
    assert_eq!(world.devices[0].session.stats().reconnects, 0);
}

/// A recording of a whole conversation, handshake and all, played back to both ends.
#[test]
fn everything_ever_sent_comes_again() {
    let mut world = Setup::new(10).loss(0.1).build();
    world.recording = true;
    world.load(CHANNEL, 500);
    world.finish(Duration::from_secs(600));
    world.recording = false;
    let (received, messages) =
        (world.devices[0].received.len(), world.gateway.peers[0].live.as_ref().unwrap().stats().rx_messages);
    assert_eq!(messages, 500);
    for (by_gateway, datagram) in core::mem::take(&mut world.history) {
        match by_gateway {
            true => world.to_device(0, STRANGER, &datagram),
            false => world.gateway.handle_datagram(world.now, STRANGER, datagram),
        }
        world.run_for(Duration::from_millis(1));
    }
    assert_eq!(world.gateway.peers[0].live.as_ref().unwrap().stats().rx_messages, 500);
    assert_eq!((world.devices[0].received.len(), world.gateway.peers[0].sink.duplicates), (received, 0));
    still_works(world);
}
