//! Sources that are not heard: by the lists, or for their strikes.

use super::*;
use crate::limits::{AccessLists, StrikeLimits};
use core::time;

const BAD: [u8; 4] = [192, 0, 2, 66];

fn strict() -> Limits {
    let strikes = StrikeLimits { strikes: 5, block: time::Duration::from_secs(10), ..StrikeLimits::default() };
    Limits { strikes, ..Limits::default() }
}

/// Nobody honest sends that.
fn junk(count: usize) -> Vec<Mail> {
    (0..count).map(|_| (from(BAD, 6), vec![0xff; 40])).collect()
}

/// A packet of a connection that is not there, which is answered.
fn unknown() -> Vec<Mail> {
    vec![(from(BAD, 7), [&[0x10, 1, 2, 3, 4][..], &[0; 40]].concat())]
}

#[test]
fn a_blocked_source_is_dropped_unseen_until_its_time_is_over() {
    for mut world in [World::sealed(strict()), World::plain(strict())] {
        world.turn(junk(6));
        let stats = world.stats();
        assert_eq!((stats.strikes, stats.sources_blocked, stats.rx_malformed), (6, 1, 6));
        world.turn(junk(100));
        let stats = world.stats();
        assert_eq!((stats.strikes, stats.rx_blocked, stats.rx_malformed), (6, 100, 6));
        let (bad, neighbour) = (vec![0xff; 40], from([192, 0, 2, 67], 6));
        world.turn(vec![(neighbour, bad)]);
        assert_eq!(world.stats().rx_malformed, 7, "its neighbour is heard");
        world.run(10_000, &mut []);
        world.turn(junk(1));
        assert_eq!((world.stats().rx_malformed, world.stats().rx_blocked), (8, 100));
    }
}

#[test]
fn a_blocked_source_gets_few_answers_and_takes_none_from_others() {
    let config = EndpointConfig { resets_per_second: 50, limits: strict(), ..EndpointConfig::default() };
    let mut world = World::new(config, true);
    world.turn(junk(6));
    let packet = unknown().pop().unwrap().1;
    let flood = |world: &mut World, source: [u8; 4]| {
        world.turn((0..100).map(|_| (from(source, 7), packet.clone())).collect()).len()
    };
    assert_eq!((flood(&mut world, BAD), world.stats().rx_blocked), (5, 95));
    assert_eq!((flood(&mut world, [192, 0, 2, 67]), world.stats().resets_limited), (50, 50));
}

#[test]
fn a_block_does_not_hurt_a_session_whose_address_was_forged() {
    for sealed in [true, false] {
        let mut world = World::new(EndpointConfig { limits: strict(), ..EndpointConfig::default() }, sealed);
        let at = from(BAD, 1);
        let mut device = [if sealed { Device::sealed("honest", 1, at) } else { Device::plain("honest", at) }];
        device[0].send(world.now, 10);
        world.run(500, &mut device);
        assert_eq!(world.stored("honest"), 10);
        for total in [20, 30, 40] {
            world.turn(junk(100));
            device[0].send(world.now, total);
            world.run(1000, &mut device);
            assert_eq!(world.stored("honest"), total);
        }
        assert!(world.stats().sources_blocked > 0 && world.stats().rx_blocked > 0);
    }
}

#[test]
fn a_device_with_its_key_gets_a_session_from_a_blocked_source() {
    let mut world = World::sealed(strict());
    let mut device = [Device::sealed("honest", 1, from(BAD, 1))];
    // The block goes on, for the junk does.
    world.run_with(20_000, &mut [], |_| junk(1));
    assert!(world.stats().sources_blocked >= 1);
    device[0].send(world.now, 10);
    world.run_with(2000, &mut device, |_| junk(1));
    assert_eq!(world.stored("honest"), 10);
}

#[test]
fn forged_requests_from_a_blocked_source_are_not_even_counted_as_strikes() {
    let mut world = World::sealed(strict());
    let request = hello(Device::sealed("stranger", 1, from(BAD, 1)));
    world.turn((0..100).map(|_| (from(BAD, 1), request.clone())).collect());
    let stats = world.stats();
    assert_eq!((stats.strikes, stats.sources_blocked, stats.hello_unknown_device), (6, 1, 100));
    let limits = Limits { blocked_hello_macs: Some(crate::limits::Rate::per_second(10)), ..strict() };
    let mut world = World::sealed(limits);
    world.turn(junk(6));
    world.turn((0..100).map(|_| (from(BAD, 1), request.clone())).collect());
    assert_eq!((world.stats().hello_unknown_device, world.stats().hello_unseen), (10, 90));
}

#[test]
fn in_the_plain_mode_a_blocked_source_begins_no_session_until_the_block_ends() {
    let mut world = World::plain(strict());
    world.turn(junk(6));
    let mut device = [Device::plain("honest", from(BAD, 1))];
    device[0].send(world.now, 10);
    world.run(9_000, &mut device);
    assert_eq!((world.stored("honest"), world.stats().sessions), (0, 0));
    world.run(5_000, &mut device);
    assert_eq!(world.stored("honest"), 10);
}

#[test]
fn the_packets_of_a_forger_on_the_way_are_strikes() {
    let mut world = World::sealed(strict());
    let mut device = [Device::sealed("honest", 1, from([10, 0, 0, 1], 1))];
    world.run(500, &mut device);
    let mut packets = Vec::new();
    device[0].send(world.now, 1);
    device[0].transmit(world.now, &mut packets);
    let (_, mut packet) = packets.pop().unwrap();
    *packet.last_mut().unwrap() ^= 1;
    world.turn((0..6).map(|_| (from(BAD, 1), packet.clone())).collect());
    assert_eq!((world.stats().session_rx_unauthentic, world.stats().sources_blocked), (6, 1));
    world.run(2000, &mut device);
    assert_eq!(world.stored("honest"), 1);
}

#[test]
fn the_lists_can_be_changed_while_sessions_are_open() {
    let mut world = World::sealed(Limits::default());
    let mut device = [Device::sealed("honest", 1, from([10, 0, 0, 1], 1))];
    let deny = |list: &[&str]| AccessLists {
        deny: list.iter().map(|net| net.parse().unwrap()).collect(),
        ..AccessLists::default()
    };
    let set = |world: &World, lists: &AccessLists| world.shard.links.mailbox.set_access(Arc::new(Access::new(lists)));
    device[0].send(world.now, 10);
    world.run(500, &mut device);
    set(&world, &deny(&["10.0.0.0/8"]));
    device[0].send(world.now, 20);
    world.run(3000, &mut device);
    assert_eq!(world.stored("honest"), 10);
    assert!(world.stats().rx_denied > 0);
    // From another address the session goes on.
    device[0].at = from([192, 0, 2, 1], 1);
    world.run(3000, &mut device);
    assert_eq!(world.stored("honest"), 20);
    let allow = AccessLists { allow: vec!["10.0.0.0/8".parse().unwrap()], ..AccessLists::default() };
    set(&world, &allow);
    device[0].send(world.now, 30);
    world.run(3000, &mut device);
    assert_eq!(world.stored("honest"), 20);
    set(&world, &AccessLists::default());
    world.run(3000, &mut device);
    assert_eq!(world.stored("honest"), 30);
}
