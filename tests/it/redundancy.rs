//! Repeats in later packets: a lost datagram costs a sending interval, not a round trip.

use whimbrel_core::{ChannelConfig, Duration, Instant, Redundancy, SchemaId};
use whimbrel_tests::load::Source;
use whimbrel_tests::{CHANNEL, Setup, World};

const EVERY: Duration = Duration::from_millis(10);
const MESSAGES: u32 = 1_000;

fn run(seed: u64, loss: f64, redundancy: Redundancy) -> World {
    let channel = ChannelConfig::ordered(CHANNEL, SchemaId::named("test/1")).with_redundancy(redundancy);
    let mut world = Setup::new(seed).loss(loss).channels(&[channel]).build();
    assert!(world.run_until(Duration::from_secs(60), |world| world.devices[0].session.is_established()));
    let source = Source::greedy(CHANNEL, MESSAGES, (32, 32)).periodic(1, EVERY, world.now);
    world.devices[0].load.sources.push(source);
    world.finish(Duration::from_secs(120));
    assert!(world.now > Instant::ZERO + Duration::from_secs(9));
    world
}

#[test]
fn repeats_take_the_place_of_retransmissions() {
    let retransmitted = |redundancy| -> u32 {
        let world = |seed| run(seed, 0.1, redundancy);
        (0..5).map(|seed| world(seed).devices[0].session.stats().tx_retransmitted).sum()
    };
    let (none, fixed, adaptive) =
        (retransmitted(Redundancy::None), retransmitted(Redundancy::Fixed(2)), retransmitted(Redundancy::Adaptive));
    assert!(fixed * 4 < none && adaptive * 2 < none, "{none} without, {fixed} with two, {adaptive} adaptive");
}

#[test]
fn a_link_that_loses_nothing_calls_for_no_repeats() {
    let repeated = |redundancy| run(1, 0.0, redundancy).devices[0].session.stats().tx_repeated;
    assert_eq!((repeated(Redundancy::None), repeated(Redundancy::Adaptive)), (0, 0));
    assert!(repeated(Redundancy::Fixed(2)) > 0);
}
