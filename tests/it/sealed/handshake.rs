//! HELLO and ACCEPT lost, doubled, late, in every combination: one session, opened once.

use super::{LIMIT, SEALED, setup, talk};
use firmware_sim::faults::Faults;
use whimbrel_core::{Duration, Event, PathId};
use whimbrel_tests::network::Fate;
use whimbrel_tests::{CHANNEL, World};

/// Late: after the next HELLO, which follows within a second or so.
const FATES: [Fate; 4] = [Fate::Pass, Fate::Lose, Fate::Twice, Fate::Late(Duration::from_millis(1_500))];

fn opened_once(world: &World) {
    let (device, gateway) = (&world.devices[0], &world.gateway);
    let established = device.events.iter().filter(|event| **event == Event::Established).count();
    assert_eq!((established, gateway.turned.opened), (1, 1), "{}: {:?}", world.place(), gateway.turned);
    assert_eq!(gateway.peers[0].sink.epochs(CHANNEL.live()), 1, "{}", world.place());
    assert_eq!((device.reconnects(), device.flash.epoch), (0, Some(1)), "{}", world.place());
    assert!(gateway.peers[0].pending.is_empty(), "{}", world.place());
}

#[test]
fn every_fate_of_the_first_datagrams() {
    for pattern in SEALED {
        for case in 0..256u64 {
            let fate = |shift: u64| FATES[(case >> shift & 3) as usize];
            let mut world = setup(case, pattern).build();
            world.network.fates_up = [fate(0), fate(2)].into();
            world.network.fates_down = [fate(4), fate(6)].into();
            talk(&mut world, 5);
            opened_once(&world);
        }
    }
}

#[test]
fn on_a_bad_link() {
    let faults = Faults { loss: 0.4, reorder: 0.3, duplicate: 0.3, corrupt: 0.1, ..Faults::NONE };
    for pattern in SEALED {
        for seed in 0..40 {
            let mut world = setup(seed, pattern).faults(faults).build();
            talk(&mut world, 5);
            opened_once(&world);
        }
    }
}

/// As long as nothing comes back, nothing but the one HELLO goes out.
#[test]
fn a_device_that_hears_nothing_repeats_one_hello() {
    let mut world = setup(1, SEALED[0]).build();
    world.network.down[0].set_faults(Faults::BLACKOUT);
    world.recording = true;
    world.run_for(Duration::from_secs(3_600));
    let hellos: Vec<_> = super::recorded(&world, false);
    assert!(hellos.len() > 10 && hellos.iter().all(|hello| *hello == hellos[0]), "{}", hellos.len());
    let accepts = super::recorded(&world, true);
    assert!(accepts.len() > 10 && accepts.iter().all(|accept| *accept == accepts[0]), "{}", accepts.len());
    assert_eq!(world.gateway.turned.opened, 1);
    world.set_faults(Faults::NONE);
    talk(&mut world, 5);
    opened_once(&world);
}

/// The address changes in the middle of the handshake: the answer follows the last HELLO.
#[test]
fn a_device_that_moves_while_it_opens_its_session() {
    for pattern in SEALED {
        for fates in
            [[Fate::Lose, Fate::Pass], [Fate::Pass, Fate::Lose], [Fate::Late(Duration::from_secs(2)), Fate::Pass]]
        {
            let mut world = setup(3, pattern).build();
            world.network.fates_down = fates.into();
            world.run_for(Duration::from_millis(7));
            world.devices[0].path = PathId(2);
            assert!(world.run_until(LIMIT, |world| world.devices[0].session.is_established()), "{fates:?}");
            talk(&mut world, 5);
            opened_once(&world);
        }
    }
}
