//! Any flipped bit, in any datagram, both ways: dropped, counted, and nothing else. The world goes on as if nothing had
//! come, to the byte.

use super::{LIMIT, SEALED, STRANGER, answers, setup, talk};
use whimbrel_core::wire::{LongHeader, LongType};
use whimbrel_core::{CloseReason, Duration, PathId, Protection};
use whimbrel_tests::network::Fate;
use whimbrel_tests::{CHANNEL, World};

/// Longer than any handshake takes here; the datagram under test waits for so long on its way.
const HELD: Duration = Duration::from_millis(50);

/// What the gateway has turned away or dropped, wherever it counts it.
fn dropped_by_gateway(world: &World) -> u64 {
    let sessions = world.gateway.peers[0].live.iter().chain(&world.gateway.peers[0].pending);
    let dropped: u32 = sessions.map(|session| session.stats().rx_dropped.total()).sum();
    let turned = world.gateway.turned.unknown + world.gateway.turned.unauthentic;
    u64::from(world.gateway.undecodable + world.gateway.strangers + dropped) + turned
}

/// The last datagram that was sent this way is held back on its link: before it arrives, every variant of it with one
/// bit flipped does. `spared`: bits at its end that nothing depends on.
fn flip_each(world: &mut World, by_gateway: bool, spared: usize) -> usize {
    let (_, datagram) = world.history.iter().rfind(|(from, _)| *from == by_gateway).unwrap().clone();
    let bits = datagram.len() * 8 - spared;
    for bit in 0..bits {
        let mut bad = datagram.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        if by_gateway {
            let before = world.devices[0].session.stats().rx_dropped.total();
            world.to_device(0, PathId(1), &bad);
            assert_eq!(world.devices[0].session.stats().rx_dropped.total(), before + 1, "{}, bit {bit}", world.place());
        } else {
            let before = dropped_by_gateway(world);
            world.gateway.handle_datagram(world.now, STRANGER, bad);
            assert_eq!(dropped_by_gateway(world), before + 1, "{}, bit {bit}", world.place());
            // A connection id of nobody: RESET.
            answers(world);
        }
    }
    bits
}

/// The same world twice, once with flipped bits at each of these moments; it must not tell.
fn goes_on_as_if_nothing_came(protection: Protection, run: impl Fn(&mut World, &dyn Fn(&mut World, bool, usize))) {
    let hash = |flips: bool| {
        let mut world = setup(1, protection).build();
        world.recording = true;
        let flip = |world: &mut World, by_gateway: bool, spared: usize| {
            if flips {
                assert!(flip_each(world, by_gateway, spared) > 100);
            }
        };
        run(&mut world, &flip);
        talk(&mut world, 10);
        (world.trace.hash(), world.now)
    };
    assert_eq!(hash(false), hash(true), "{protection:?}");
}

fn is(world: &World, kind: LongType) -> bool {
    LongHeader::parse(&world.history.last().unwrap().1).is_ok_and(|(header, _)| header.kind == kind)
}

/// The last 8 bytes of a HELLO that no cookie was asked of say nothing.
const NO_PROOF: usize = 8 * 8;

#[test]
fn of_the_handshake() {
    for protection in SEALED {
        goes_on_as_if_nothing_came(protection, |world, flip| {
            world.network.fates_up = [Fate::Late(HELD)].into();
            world.network.fates_down = [Fate::Late(HELD)].into();
            world.run_for(Duration::from_millis(1));
            assert!(is(world, LongType::Hello));
            flip(world, false, NO_PROOF);
            assert!(world.run_until(LIMIT, |world| is(world, LongType::Accept)));
            flip(world, true, 0);
        });
    }
}

#[test]
fn of_packets_both_ways() {
    for protection in SEALED {
        goes_on_as_if_nothing_came(protection, |world, flip| {
            for count in [1, 3, 9] {
                talk(world, count);
                world.network.fates_up = [Fate::Late(HELD)].into();
                world.load(CHANNEL, count);
                world.run_for(Duration::from_millis(1));
                flip(world, false, 0);
                world.network.fates_down = [Fate::Late(HELD)].into();
                let before = world.history.len();
                assert!(
                    world.run_until(LIMIT, |world| world.history[before..].iter().any(|(by_gateway, _)| *by_gateway))
                );
                flip(world, true, 0);
            }
        });
    }
}

/// RESET, COUNTER_LOW, COOKIE and REFUSE (of a gateway that is busy).
#[test]
fn of_the_other_answers() {
    for protection in SEALED {
        goes_on_as_if_nothing_came(protection, |world, flip| {
            let wait_for = |world: &mut World, kind: LongType| {
                world.network.fates_down = [Fate::Late(HELD)].into();
                let before = world.history.len();
                let new = |world: &mut World| world.history.len() > before && is(world, kind);
                assert!(world.run_until(LIMIT, new), "{}: no {kind:?}", world.place());
            };
            talk(world, 5);
            world.devices[0].lose_counter(None);
            world.devices[0].reboot();
            wait_for(world, LongType::CounterLow);
            flip(world, true, 0);
            talk(world, 5);
            world.gateway.reboot();
            world.gateway.demands_cookies = true;
            world.load(CHANNEL, 1);
            wait_for(world, LongType::Reset);
            flip(world, true, 0);
            wait_for(world, LongType::Cookie);
            flip(world, true, 0);
            // Now the last bytes of the HELLO prove something: without them it gets another cookie, and no session.
            world.network.fates_up = [Fate::Late(HELD)].into();
            let before = world.history.len();
            assert!(world.run_until(LIMIT, |world| world.history.len() > before && is(world, LongType::Hello)));
            flip(world, false, NO_PROOF);
            world.gateway.peers[0].refusal = Some(CloseReason::GoingAway);
            wait_for(world, LongType::Refuse);
            flip(world, true, 0);
            world.gateway.peers[0].refusal = None;
            world.gateway.demands_cookies = false;
            talk(world, 5);
        });
    }
}
