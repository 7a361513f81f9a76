//! Messages longer than a datagram, in bounded memory at both ends.

use firmware_sim::faults::Faults;
use whimbrel_core::{ChannelConfig, ChannelId, Config, Duration, SchemaId, SendError};
use whimbrel_tests::{CHANNEL, Preset, Setup};

const LIMIT: Duration = Duration::from_secs(3_600);

fn setup(seed: u64, longest: usize) -> Setup {
    let setup = Setup::new(seed).presets(Preset::Large, Preset::Large).sizes(1, longest);
    setup.config(Config { max_datagram: 200, ..Config::new() })
}

#[test]
fn long_messages_arrive_whole_and_in_order() {
    let faults = Faults { loss: 0.1, reorder: 0.2, duplicate: 0.1, corrupt: 0.02, ..Faults::NONE };
    for seed in 0..10 {
        let mut world = setup(seed, 1_500).faults(faults).build();
        world.load(CHANNEL, 100);
        world.finish(LIMIT);
    }
}

/// One long message at a time: those of two channels take turns, and short ones pass between.
#[test]
fn two_channels_share_the_one_place() {
    let other = ChannelId::new(2).unwrap();
    for seed in 0..10 {
        let mut setup = setup(seed, 1_000).loss(0.1);
        setup.devices[0].channels.push(ChannelConfig::reliable(other, SchemaId::named("test/2")));
        let mut world = setup.build();
        world.load(CHANNEL, 50);
        world.load(other, 50);
        world.finish(LIMIT);
    }
}

#[test]
fn a_gateway_that_dies_in_the_middle() {
    for seed in 0..10 {
        let mut world = setup(seed, 1_500).loss(0.05).build();
        world.load(CHANNEL, 60);
        for _ in 0..5 {
            world.run_for(Duration::from_millis(150 + 37 * seed));
            world.gateway.reboot();
        }
        world.finish(LIMIT);
    }
}

#[test]
fn what_is_longer_than_the_peer_takes_is_refused() {
    let mut world = setup(1, 10).build();
    world.load(CHANNEL, 1);
    world.finish(LIMIT);
    let (now, max) = (world.device_now(), world.devices[0].session.max_message());
    assert_eq!(max, Preset::Large.assembled());
    let refused = world.devices[0].session.send(now, CHANNEL, &vec![0; max + 1]);
    assert_eq!(refused, Err(SendError::TooLong { max }));
}

/// The outbox of a small device holds no such message, empty or not: waiting would be in vain.
#[test]
fn what_would_never_fit_is_too_long() {
    let mut world = setup(1, 10).presets(Preset::Small, Preset::Large).build();
    let now = world.device_now();
    let refused = world.devices[0].session.send(now, CHANNEL, &[0; 256]);
    let Err(SendError::TooLong { max: first }) = refused else { panic!("{refused:?}") };
    world.load(CHANNEL, 1);
    world.finish(LIMIT);
    let now = world.device_now();
    let refused = world.devices[0].session.send(now, CHANNEL, &[0; 2_000]);
    let Err(SendError::TooLong { max }) = refused else { panic!("{refused:?}") };
    assert!(max >= first);
    // And the longest that is not refused is taken.
    let payload = vec![7; max];
    let id = world.devices[0].session.send(now, CHANNEL, &payload).unwrap();
    world.devices[0].oracle.accepted(id, &payload, None).unwrap();
    world.finish(LIMIT);
}
