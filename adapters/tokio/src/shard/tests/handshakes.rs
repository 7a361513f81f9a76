//! How many may begin: of a network, in all, at a time.

use super::*;
use crate::limits::Rate;

/// Plain devices, each at a port of its own.
fn devices(network: [u8; 3], count: usize) -> Vec<Device> {
    let [a, b, c] = network;
    (0..count).map(|i| Device::plain(&format!("{c}.{i}"), from([a, b, c, 1 + i as u8], 1000 + i as u16))).collect()
}

fn sessions(limits: Limits, devices: &mut [Device], millis: u64) -> (usize, EndpointStats) {
    let mut world = World::plain(limits);
    world.run(millis, devices);
    (world.stats().sessions as usize, world.stats())
}

#[test]
fn a_network_has_so_many_sessions_and_others_have_theirs() {
    let limits = Limits { sessions_per_prefix: 3, ..Limits::default() };
    let mut all = devices([10, 0, 1], 5);
    all.extend(devices([10, 0, 2], 2));
    let (count, stats) = sessions(limits, &mut all, 3000);
    assert_eq!(count, 5);
    assert!(stats.hello_prefix_full > 0 && stats.hello_prefix_full == stats.rx_dropped(), "{stats:?}");
}

#[test]
fn a_device_may_come_again_though_its_network_is_full() {
    let mut world = World::plain(Limits { sessions_per_prefix: 1, ..Limits::default() });
    let mut first = devices([10, 0, 1], 1);
    world.run(100, &mut first);
    let mut again = [Device::plain("1.0", from([10, 0, 1, 1], 2000))];
    world.run(100, &mut again);
    assert_eq!((world.stats().sessions, world.stats().sessions_superseded), (1, 1));
    // Its former place is free: no place is lost or gained.
    world.shard.links.mailbox.disconnect(name("1.0"));
    world.run(100, &mut []);
    let mut other = [Device::plain("other", from([10, 0, 1, 2], 3000))];
    world.run(100, &mut other);
    assert_eq!(world.stats().sessions, 1);
}

#[test]
fn a_network_begins_so_many_a_second_and_the_rest_later() {
    let rate = Some(Rate::per_second(2).with_burst(3));
    let limits = Limits { handshakes_per_prefix: rate, ..Limits::default() };
    let mut all = devices([10, 0, 1], 20);
    all.extend(devices([10, 0, 2], 1));
    let (count, stats) = sessions(limits.clone(), &mut all, 1);
    assert_eq!(count, 0, "the first packet of a session comes later");
    assert_eq!((stats.handshakes, stats.hello_prefix_limited), (3 + 1, 17));
    let mut all = devices([10, 0, 1], 20);
    assert_eq!(sessions(limits, &mut all, 30_000).0, 20);
}

#[test]
fn all_together_begin_so_many_a_second() {
    let limits = Limits { handshakes: Some(Rate::per_second(4)), ..Limits::default() };
    let mut all: Vec<_> = (0..20).flat_map(|c| devices([10, 0, c], 1)).collect();
    let (count, stats) = sessions(limits, &mut all, 30_000);
    assert_eq!(count, 20);
    assert!(stats.hello_limited >= 16, "{stats:?}");
}

#[test]
fn an_answer_once_more_costs_no_handshake_and_comes_seldom() {
    let mut world = World::sealed(Limits { handshakes: Some(Rate::per_second(1)), ..Limits::default() });
    let request = hello(Device::sealed("honest", 1, from([10, 0, 0, 1], 1)));
    let source = from([192, 0, 2, 1], 7);
    let ask = |world: &mut World| world.turn(vec![(source, request.clone())]);
    ask(&mut world);
    assert_eq!(world.turn(Vec::new()).len(), 1, "the answer");
    let mut answers = 0;
    for _ in 0..1000 {
        world.now = world.now + whimbrel_core::Duration::from_millis(1);
        let sent = ask(&mut world);
        assert!(sent.iter().all(|(to, answer)| *to == source && answer.len() <= 3 * request.len()));
        answers += sent.len();
    }
    assert_eq!((answers, world.stats().hello_repeated), (5, 1000));
    assert_eq!(world.proofs.len(), 1, "asked once");
    assert_eq!(world.stats().hello_limited, 0);
}
