//! How much one device may send, and how much of it may wait.

use super::*;
use crate::event::Reading;
use crate::limits::Rate;

const TOTAL: usize = 2000;

/// Lets the device send all that it can, until everything is stored. Returns how many milliseconds it took.
fn until_stored(world: &mut World, device: &mut [Device], total: usize) -> u64 {
    for millis in 0..120_000 {
        device.iter_mut().for_each(|device| device.send(world.now, total));
        world.run(1, device);
        if world.stored("honest") == total {
            return millis;
        }
    }
    panic!("{} of {total} stored: {:?}", world.stored("honest"), world.stats());
}

fn honest() -> [Device; 1] {
    [Device::sealed("honest", 1, from([10, 0, 0, 1], 1))]
}

#[test]
fn too_many_messages_are_pushed_back_and_none_is_lost() {
    let unlimited = until_stored(&mut World::sealed(Limits::default()), &mut honest(), TOTAL);
    let rate = Rate::per_second(200).with_burst(50);
    let mut world = World::sealed(Limits { device_messages: Some(rate), ..Limits::default() });
    let millis = until_stored(&mut world, &mut honest(), TOTAL);
    // (2000 - 50) / 200 s.
    assert!((9_700..12_000).contains(&millis) && unlimited < millis / 2, "{millis} ms, {unlimited} without the limit");
    let stats = world.stats();
    assert!(stats.readings_limited > 0, "{stats:?}");
    assert_eq!(stats.session_rx_limited, 0, "a device that heeds its credit is heard");
}

#[test]
fn too_many_bytes_are_pushed_back_and_nothing_is_lost() {
    let rate = Rate::per_second(100_000);
    let mut world = World::sealed(Limits { device_bytes: Some(rate), ..Limits::default() });
    // The burst is 128 KiB whatever is asked for; this is more than twice that.
    let total = 5000;
    let millis = until_stored(&mut world, &mut honest(), total);
    let bytes = total as u64 * payload(0).len() as u64;
    let least = (bytes - u64::from(Limits::DEVICE_BYTES_BURST_MIN) - (64 << 10)) / 100;
    assert!(millis >= least, "{millis} ms instead of {least}");
    assert!(world.stats().readings_limited > 0, "{:?}", world.stats());
}

#[test]
fn forged_packets_cost_a_device_nothing() {
    let rate = Rate::per_second(Limits::DEVICE_BYTES_BURST_MIN);
    let mut world = World::sealed(Limits { device_bytes: Some(rate), ..Limits::default() });
    let mut device = honest();
    until_stored(&mut world, &mut device, 1);
    let mut packets = Vec::new();
    device[0].send(world.now, 2);
    device[0].transmit(world.now, &mut packets);
    let (at, packet) = packets.pop().expect("a reading leaves");
    world.turn(vec![(at, packet.clone())]);
    let mut forged = packet.clone();
    forged.resize(1200, 0x55);
    // Ten times what the device may send.
    world.run_with(1000, &mut device, |_| vec![(at, forged.clone()), (at, packet.clone())]);
    device[0].send(world.now, 50);
    world.run(1000, &mut device);
    assert_eq!(world.stored("honest"), 50);
    let stats = world.stats();
    assert!(stats.session_rx_unauthentic >= 1000 && stats.session_rx_replayed >= 1000, "{stats:?}");
    assert_eq!((stats.session_rx_limited, stats.readings_limited), (0, 0));
}

#[test]
fn one_device_cannot_fill_what_waits_for_the_application() {
    let each = size_of::<Reading>() + payload(0).len();
    let mut world = World::sealed(Limits { device_waiting: 20 * each, ..Limits::default() });
    world.devices.change(name("other"), |_| {});
    let mut devices =
        [Device::sealed("honest", 1, from([10, 0, 0, 1], 1)), Device::sealed("other", 1, from([10, 0, 0, 2], 2))];
    world.run(200, &mut devices);
    world.awake = false;
    for _ in 0..2000 {
        devices[0].send(world.now, TOTAL);
        world.run(1, &mut devices);
    }
    // What it may have at once, and what came in the turn that filled it.
    let taken = world.stats().readings;
    assert!((20..60).contains(&taken) && world.stats().readings_waiting > 0, "{taken}, {:?}", world.stats());
    devices[1].send(world.now, 10);
    world.run(500, &mut devices);
    assert_eq!(world.stats().readings, taken + 10, "another device's messages find room");
    world.awake = true;
    until_stored(&mut world, &mut devices[..1], TOTAL);
    assert_eq!(world.stored("other"), 10);
}

#[test]
fn a_batch_has_so_many_bytes() {
    let mut world = World::sealed(Limits { device_bytes: None, device_messages: None, ..Limits::default() });
    for number in 0..40 {
        world.devices.change(name(&format!("{number}")), |_| {});
    }
    let mut devices: Vec<_> = (0..40).map(|i| Device::sealed(&format!("{i}"), 1, from([10, 0, 0, 1], 1 + i))).collect();
    world.run(500, &mut devices);
    world.awake = false;
    let long = vec![0x77; 8000];
    for device in &mut devices {
        for _ in 0..2 {
            let _ = device.session.send(world.now, channel(), &long);
        }
    }
    world.run(4000, &mut devices);
    let mut most = 0;
    while let Some(event) = world.events.try_recv() {
        if let GatewayEvent::Readings(readings) = event {
            most = most.max(readings.iter().map(|reading| reading.payload.len()).sum::<usize>());
        }
    }
    assert!(most > 0 && most <= EndpointConfig::READINGS_BYTES_MAX + long.len(), "{most}");
}
