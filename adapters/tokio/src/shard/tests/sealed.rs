//! The gate: who gets a session, who gets an answer, who gets none.

use super::*;
use crate::limits::Rate;

const HERE: [u8; 4] = [10, 0, 0, 1];

fn established(world: &mut World, device: Device) -> bool {
    let mut device = [device];
    let before = world.stats().sessions_established;
    world.run(3000, &mut device);
    world.stats().sessions_established > before && device[0].session.is_established()
}

#[test]
fn only_who_has_the_key_gets_a_session_and_nobody_else_an_answer() {
    let mut world = World::sealed(Limits::default());
    let strangers = [
        Device::sealed("unknown", 1, from(HERE, 1)),
        Device::new(identity("honest", 1, 2), from(HERE, 2)),
        Device::plain("honest", from(HERE, 3)),
    ];
    for stranger in strangers {
        assert_eq!(world.turn(vec![(stranger.at, hello(stranger))]), []);
    }
    assert_eq!(world.turn(Vec::new()), []);
    let stats = world.stats();
    assert_eq!((stats.hello_unknown_device, stats.hello_unauthentic, stats.hello_protection), (1, 1, 1));
    assert_eq!((stats.handshakes, stats.strikes), (0, 3));
    assert!(established(&mut world, Device::sealed("honest", 1, from(HERE, 4))));
}

#[test]
fn a_plain_endpoint_takes_no_sealed_request() {
    let mut world = World::plain(Limits::default());
    assert!(!established(&mut world, Device::sealed("honest", 1, from(HERE, 1))));
    assert!(world.stats().hello_protection > 0);
}

#[test]
fn a_request_is_good_once() {
    let mut world = World::sealed(Limits::default());
    let old = hello(Device::sealed("honest", 1, from(HERE, 1)));
    // The same bytes, for the same seed and counter.
    assert!(established(&mut world, Device::sealed("honest", 1, from(HERE, 1))));
    let request = |world: &mut World| world.turn(vec![(from([192, 0, 2, 1], 1), old.clone())]);
    assert_eq!(request(&mut world), [], "its session is open, and has nothing to say there");
    assert_eq!(world.stats().hello_repeated, 1);
    assert!(established(&mut world, Device::sealed("honest", 2, from(HERE, 1))));
    let answers = request(&mut world);
    assert!(answers.len() == 1 && answers[0].1.len() < old.len());
    assert_eq!((world.stats().hello_counter_low, world.proofs.len()), (1, 2));
    // After a restart too, for the directory knows.
    let devices = Arc::clone(&world.devices);
    let mut world = World::sealed(Limits::default());
    *world.devices.0.lock().unwrap() = devices.0.lock().unwrap().clone();
    request(&mut world);
    assert_eq!((world.stats().hello_counter_low, world.proofs.len()), (1, 0));
}

#[test]
fn a_counter_that_the_directory_has_not_learnt_is_known_as_long_as_the_session() {
    let mut world = World::sealed(Limits::default());
    let old = hello(Device::sealed("honest", 1, from(HERE, 1)));
    assert!(established(&mut world, Device::sealed("honest", 2, from(HERE, 1))));
    world.devices.change(name("honest"), |record| record.counter = None);
    world.turn(vec![(from(HERE, 9), old)]);
    assert_eq!((world.stats().hello_counter_low, world.proofs.len()), (1, 1));
}

#[test]
fn a_device_that_lost_count_is_told_and_stores_what_it_is_told() {
    let mut world = World::sealed(Limits::default());
    world.devices.change(name("honest"), |record| record.counter = Some(7 << 32 | 3));
    let mut device = [Device::sealed("honest", 2, from(HERE, 1))];
    device[0].send(world.now, 5);
    let mut mail = Vec::new();
    device[0].transmit(world.now, &mut mail);
    for (_, mut answer) in world.turn(mail) {
        device[0].receive(world.now, &mut answer);
    }
    let raised = core::iter::from_fn(|| device[0].session.poll_event());
    assert!(raised.into_iter().any(|event| matches!(event, Event::BootEpochRaised { epoch: 7.. })));
    device[0].session.boot_epoch_stored(world.now);
    world.run(3000, &mut device);
    assert_eq!(world.stored("honest"), 5);
}

#[test]
fn a_new_key_is_taken_beside_the_old_one_and_named() {
    let mut world = World::sealed(Limits::default());
    world.devices.change(name("honest"), |record| record.next_key = Some(key(2)));
    assert!(established(&mut world, Device::sealed("honest", 1, from(HERE, 1))));
    assert!(established(&mut world, Device::new(identity("honest", 2, 2), from(HERE, 2))));
    let used: Vec<_> = world.proofs.iter().map(|proof| (proof.counter >> 32, proof.key.clone())).collect();
    assert_eq!(used, [(1, key(1)), (2, key(2))]);
}

#[test]
fn the_gateways_key_changes_without_a_restart() {
    let mut world = World::sealed(Limits::default());
    let device = |boot, number, port| {
        let credentials = Credentials::nk(key(1), secret(number).public());
        Device::new(Identity::sealed(name("honest"), BootEpoch::unstored(boot), credentials), from(HERE, port))
    };
    assert!(!established(&mut world, device(1, 2, 1)));
    assert!(world.stats().hello_unopened > 0);
    let both = GatewayKeys::new(secret(2), [9; 32]).with_second(secret(1));
    world.shard.links.mailbox.set_keys(Arc::new(both));
    assert!(established(&mut world, device(2, 1, 2)));
    assert!(established(&mut world, device(3, 2, 3)));
    world.shard.links.mailbox.set_keys(Arc::new(GatewayKeys::new(secret(2), [9; 32])));
    assert!(!established(&mut world, device(4, 1, 4)));
}

#[test]
fn devices_are_told_of_a_new_key_and_use_it_the_next_time() {
    let mut world = World::sealed(Limits::default());
    world.devices.change(name("later"), |_| {});
    let mut devices = [Device::sealed("honest", 1, from(HERE, 1)), Device::sealed("later", 1, from(HERE, 2))];
    world.run(100, &mut devices[..1]);
    let both = GatewayKeys::new(secret(2), [9; 32]).with_second(secret(1));
    world.shard.links.mailbox.set_keys(Arc::new(both));
    world.shard.links.mailbox.announce_key(secret(2).public());
    world.run(100, &mut devices);
    assert!(devices.iter().all(|device| device.told == Some(secret(2).public())));
    // The gateway comes back with the new key alone.
    let (now, proofs) = (world.now, core::mem::take(&mut world.proofs));
    let mut world = World::sealed(Limits::default());
    world.devices.change(name("later"), |_| {});
    world.now = now;
    world.shard.links.mailbox.set_keys(Arc::new(GatewayKeys::new(secret(2), [9; 32])));
    devices.iter_mut().for_each(|device| device.send(now, 1));
    world.run(3000, &mut devices);
    assert_eq!(world.stats().sessions, 2);
    let ids = |proofs: &[Proof]| proofs.iter().map(|proof| proof.gateway_key_id).collect::<Vec<_>>();
    assert_eq!(ids(&proofs), [Some(secret(1).public().id()); 2]);
    assert_eq!(ids(&world.proofs), [Some(secret(2).public().id()); 2]);
}

#[test]
fn a_device_uses_the_pattern_that_it_was_provisioned_for() {
    let mut world = World::sealed(Limits::default());
    let identity = |boot| Identity::sealed(name("honest"), BootEpoch::unstored(boot), Credentials::nn(key(1)));
    assert!(!established(&mut world, Device::new(identity(1), from(HERE, 1))));
    assert!(world.stats().hello_unopened > 0 && world.stats().strikes == 0);
    world.devices.change(name("honest"), |record| record.pattern = Pattern::NnPsk0);
    assert!(established(&mut world, Device::new(identity(2), from(HERE, 2))));
}

#[test]
fn under_load_a_device_shows_that_it_is_where_it_says() {
    let limits = Limits { handshakes_without_cookie: Some(Rate::per_second(1)), ..Limits::default() };
    let mut world = World::sealed(limits);
    for number in 0..20 {
        world.devices.change(name(&format!("{number}")), |_| {});
    }
    let mut devices: Vec<_> = (0..20).map(|i| Device::sealed(&format!("{i}"), 1, from([10, 0, 0, 2], 1 + i))).collect();
    world.run(10, &mut devices);
    let stats = world.stats();
    assert_eq!((stats.sessions, stats.hello_cookies), (20, 19), "one round trip more, and all are in");
    // A request that somebody sends from elsewhere is asked for a cookie, and costs nothing more.
    let request = hello(Device::sealed("honest", 1, from(HERE, 1)));
    for port in 1..100 {
        let answers = world.turn(vec![(from([192, 0, 2, 1], port), request.clone())]);
        assert!(answers.iter().all(|(_, answer)| answer.len() < request.len()));
    }
    assert_eq!((world.stats().hello_cookies, world.proofs.len()), (19 + 99, 20));
}

#[test]
fn a_disconnected_device_is_told_and_gone_at_once() {
    let mut world = World::sealed(Limits::default());
    let mut device = [Device::sealed("honest", 1, from(HERE, 1))];
    device[0].send(world.now, 10);
    world.run(500, &mut device);
    world.devices.0.lock().unwrap().clear();
    world.shard.links.mailbox.disconnect(name("honest"));
    device[0].send(world.now, 20);
    world.run(1, &mut device);
    assert_eq!((world.stats().sessions, world.stats().sessions_disconnected), (0, 1));
    world.run(5000, &mut device);
    assert_eq!(world.stored("honest"), 10);
    assert!(device[0].refused && device[0].session.is_closed());
    assert!(!established(&mut world, Device::sealed("honest", 2, from(HERE, 2))));
}

#[test]
fn a_handshake_that_awaits_the_application_is_dropped_with_its_device() {
    let mut world = World::sealed(Limits::default());
    world.awake = false;
    world.turn(vec![(from(HERE, 1), hello(Device::sealed("honest", 1, from(HERE, 1))))]);
    assert_eq!(world.stats().handshakes, 1);
    world.shard.links.mailbox.disconnect(name("honest"));
    world.turn(Vec::new());
    assert_eq!(world.stats().handshakes, 0);
    world.awake = true;
    world.run(10, &mut []);
    assert_eq!((world.stats().handshakes, world.stats().sessions), (0, 0), "the answer comes too late");
}

#[test]
fn a_restarted_gateway_tells_devices_within_a_round_trip() {
    let mut world = World::sealed(Limits::default());
    let mut device = [Device::sealed("honest", 1, from(HERE, 1))];
    device[0].send(world.now, 10);
    world.run(500, &mut device);
    let (now, stored) = (world.now, core::mem::take(&mut world.stored));
    let devices = Arc::clone(&world.devices);
    let mut world = World::sealed(Limits::default());
    *world.devices.0.lock().unwrap() = devices.0.lock().unwrap().clone();
    (world.now, world.stored) = (now, stored);
    device[0].send(world.now, 20);
    world.run(20, &mut device);
    assert_eq!(world.stats().resets_sent, 1);
    assert_eq!(world.stored("honest"), 20);
}

#[test]
fn a_refused_device_is_told_so_under_seal() {
    let mut world = World::sealed(Limits::default());
    let mut device = [Device::sealed("honest", 1, from(HERE, 1))];
    world.awake = false;
    world.run(1, &mut device);
    let Some(GatewayEvent::Hello(request)) = world.events.try_recv() else { panic!("a request") };
    request.refuse(CloseReason::Refused);
    world.run(5, &mut device);
    assert!(device[0].refused);
    assert_eq!(world.stats().handshakes_refused, 1);
}
