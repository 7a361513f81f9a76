//! Bytes that nobody meant: dropped, counted by reason, and nothing delivered.

use firmware_sim::faults::Faults;
use firmware_sim::link::{below, flip_bits, rng};
use rand::RngCore;
use whimbrel_core::{Dropped, Duration, PathId};
use whimbrel_tests::CHANNEL;
use whimbrel_tests::{Pair, Setup};

const STRANGER: PathId = PathId(99);

/// Both ends talked, and have nothing more to say.
fn at_rest(seed: u64) -> Pair {
    let mut pair = Setup::new(seed).build();
    pair.load(CHANNEL, 50);
    pair.finish(Duration::from_secs(60));
    pair.run_for(Duration::from_secs(10));
    pair
}

fn gateway_dropped(pair: &Pair) -> Dropped {
    pair.gateway.live.as_ref().unwrap().stats().rx_dropped
}

/// Hands a datagram to the gateway's session itself, past the demultiplexing.
fn to_gateway_session(pair: &mut Pair, datagram: &[u8]) {
    let (now, mut datagram) = (pair.now, datagram.to_vec());
    let session = pair.gateway.live.as_mut().unwrap();
    assert!(session.handle_datagram(now, STRANGER, &mut datagram).next().is_none(), "delivered {datagram:02x?}");
}

/// A packet with one message from the device, as it was sent, which the gateway never got.
fn lost_packet(pair: &mut Pair) -> Vec<u8> {
    let now = pair.now;
    let id = pair.device.send(now, CHANNEL, b"lost").unwrap();
    pair.oracle.accepted(id, b"lost").unwrap();
    let mut buf = [0; 1200];
    let sent = pair.device.poll_transmit(now, &mut buf).unwrap();
    buf[..sent.len].to_vec()
}

/// After all that was done to it, the session still works, and what reached it was in order.
fn still_works(mut pair: Pair) {
    let before = pair.device.stats().reconnects;
    pair.load(CHANNEL, 50);
    pair.finish(Duration::from_secs(60));
    assert_eq!(pair.device.stats().reconnects, before, "the session survived");
}

#[test]
fn random_bytes() {
    let mut pair = at_rest(1);
    let mut rng = rng(1, 30);
    let (device, gateway) = (pair.device.stats().rx_dropped.total(), gateway_dropped(&pair).total());
    let received = pair.device_received.len();
    for _ in 0..5_000 {
        let mut datagram = vec![0; below(&mut rng, 1_300) as usize];
        rng.fill_bytes(&mut datagram);
        pair.to_device(STRANGER, &datagram);
        to_gateway_session(&mut pair, &datagram);
        pair.gateway.handle_datagram(pair.now, STRANGER, datagram);
    }
    assert_eq!(pair.device.stats().rx_dropped.total() - device, 5_000);
    assert_eq!(gateway_dropped(&pair).total() - gateway, 5_000);
    assert_eq!(pair.gateway.undecodable + pair.gateway.strangers, 5_000);
    assert_eq!(pair.device_received.len(), received);
    still_works(pair);
}

#[test]
fn truncated_packets() {
    let mut pair = at_rest(2);
    let packet = lost_packet(&mut pair);
    let before = gateway_dropped(&pair);
    for len in 0..packet.len() {
        to_gateway_session(&mut pair, &packet[..len]);
    }
    let after = gateway_dropped(&pair);
    assert_eq!((after.total() - before.total()) as usize, packet.len());
    assert!(after.truncated > before.truncated && after.unauthentic > before.unauthentic, "{after:?}");
    assert_eq!(after.malformed, before.malformed);
    still_works(pair);
}

#[test]
fn oversized_datagrams() {
    let mut pair = at_rest(3);
    let before = (pair.device.stats().rx_dropped, gateway_dropped(&pair));
    for len in [1_201, 1_452, 9_000, 65_507] {
        to_gateway_session(&mut pair, &vec![0; len]);
        pair.to_device(STRANGER, &vec![0; len]);
    }
    assert_eq!(pair.device.stats().rx_dropped.oversized - before.0.oversized, 4);
    assert_eq!(gateway_dropped(&pair).oversized - before.1.oversized, 4);
    still_works(pair);
}

#[test]
fn every_single_flipped_bit() {
    let mut pair = at_rest(4);
    let packet = lost_packet(&mut pair);
    let before = gateway_dropped(&pair);
    for bit in 0..packet.len() * 8 {
        let mut spoilt = packet.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        to_gateway_session(&mut pair, &spoilt);
    }
    let after = gateway_dropped(&pair);
    assert_eq!((after.total() - before.total()) as usize, packet.len() * 8);
    assert_eq!((after.replayed, after.no_room), (before.replayed, before.no_room), "CRC-32 finds each of them");
    still_works(pair);
}

#[test]
fn a_replayed_packet() {
    let mut pair = at_rest(5);
    let packet = lost_packet(&mut pair);
    let now = pair.now;
    pair.gateway.handle_datagram(now, PathId(1), packet.clone());
    pair.run_for(Duration::from_secs(5));
    let stored = pair.oracle.stored_count();
    assert_eq!(stored, 51);
    let before = gateway_dropped(&pair);
    for _ in 0..10 {
        to_gateway_session(&mut pair, &packet);
    }
    assert_eq!(gateway_dropped(&pair).replayed - before.replayed, 10);
    // Long after, its short number stands for a newer packet, which it is not.
    pair.load(CHANNEL, 3_000);
    pair.finish(Duration::from_secs(600));
    let before = gateway_dropped(&pair);
    to_gateway_session(&mut pair, &packet);
    let after = gateway_dropped(&pair);
    assert_eq!(after.total() - before.total(), 1);
    let found = |dropped: Dropped| dropped.replayed + dropped.too_old + dropped.unauthentic;
    assert_eq!(found(after) - found(before), 1, "{after:?}");
    still_works(pair);
}

#[test]
fn a_reflected_packet_and_one_of_another_session() {
    let mut pair = at_rest(6);
    let packet = lost_packet(&mut pair);
    let before = pair.device.stats().rx_dropped;
    pair.to_device(STRANGER, &packet);
    assert_eq!(pair.device.stats().rx_dropped.unauthentic - before.unauthentic, 1);
    let mut other = at_rest(7);
    let foreign = lost_packet(&mut other);
    let before = gateway_dropped(&pair);
    to_gateway_session(&mut pair, &foreign);
    assert_eq!(gateway_dropped(&pair).unauthentic - before.unauthentic, 1);
    still_works(pair);
    still_works(other);
}

#[test]
fn a_link_that_spoils_a_third_of_all_datagrams() {
    let mut pair = Setup::new(8).faults(Faults { corrupt: 0.33, ..Faults::NONE }).build();
    pair.load(CHANNEL, 1_000);
    pair.finish(Duration::from_secs(600));
    assert!(gateway_dropped(&pair).unauthentic + pair.gateway.strangers > 10);
}

/// HELLO, ACCEPT and packets, spoilt at random, into both ends while they work.
#[test]
fn spoilt_copies_of_what_was_really_sent() {
    let mut pair = Setup::new(9).loss(0.1).build();
    let mut rng = rng(9, 30);
    pair.recording = true;
    pair.load(CHANNEL, 2_000);
    let mut spoilt = 0;
    while pair.backlog() > 0 {
        pair.run_for(Duration::from_millis(3));
        for (by_gateway, mut datagram) in core::mem::take(&mut pair.history) {
            flip_bits(&mut datagram, &mut rng);
            spoilt += 1;
            match by_gateway {
                true => pair.to_device(STRANGER, &datagram),
                false => pair.gateway.handle_datagram(pair.now, STRANGER, datagram),
            }
        }
    }
    pair.finish(Duration::from_secs(600));
    assert!(spoilt > 100, "{spoilt}");
    assert!(pair.device.stats().rx_dropped.total() > 40 && gateway_dropped(&pair).total() > 20);
    assert_eq!(pair.device.stats().reconnects, 0);
}

/// A recording of a whole conversation, handshake and all, played back to both ends.
#[test]
fn everything_ever_sent_comes_again() {
    let mut pair = Setup::new(10).loss(0.1).build();
    pair.recording = true;
    pair.load(CHANNEL, 500);
    pair.finish(Duration::from_secs(600));
    pair.recording = false;
    let (received, messages) = (pair.device_received.len(), pair.gateway.live.as_ref().unwrap().stats().rx_messages);
    assert_eq!(messages, 500);
    for (by_gateway, datagram) in core::mem::take(&mut pair.history) {
        match by_gateway {
            true => pair.to_device(STRANGER, &datagram),
            false => pair.gateway.handle_datagram(pair.now, STRANGER, datagram),
        }
        pair.run_for(Duration::from_millis(1));
    }
    assert_eq!(pair.gateway.live.as_ref().unwrap().stats().rx_messages, 500);
    assert_eq!((pair.device_received.len(), pair.gateway.sink.duplicates), (received, 0));
    still_works(pair);
}
