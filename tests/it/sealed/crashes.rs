//! Either end dies, at every step of a session's life. Beside what must arrive, the oracle sees to it that no key says
//! two things: no HELLO, no ACCEPT, no packet.

use super::{COMMANDS, LIMIT, SEALED, setup};
use whimbrel_core::{ChannelId, Duration, Event, PathId, Protection};
use whimbrel_tests::load::Source;
use whimbrel_tests::{CHANNEL, World};

/// Who dies, and what is lost with him.
#[derive(Clone, Copy, Debug)]
enum Death {
    Gateway,
    Device,
    Both,
    /// The device's flash is erased.
    Erased,
    /// The device's flash goes back by one boot.
    SetBack,
}

fn strike(world: &mut World, death: Death) {
    let (back, epoch) = (world.devices[0].flash.epoch.and_then(|epoch| epoch.checked_sub(1)), &mut world.devices[0]);
    match death {
        Death::Gateway => world.gateway.reboot(),
        Death::Device => epoch.reboot(),
        Death::Both => {
            epoch.reboot();
            world.gateway.reboot();
        }
        Death::Erased => {
            epoch.lose_counter(None);
            epoch.reboot();
        }
        Death::SetBack => {
            epoch.lose_counter(back);
            epoch.reboot();
        }
    }
}

fn world(seed: u64, protection: Protection) -> World {
    let mut world = setup(seed, protection).loss(0.1).build();
    let other = ChannelId::new(2).unwrap();
    for (channel, count, every) in [(CHANNEL, 8, 11), (other, 4, 23)] {
        let source = Source::greedy(channel, count, (0, 64)).periodic(1, Duration::from_millis(every), world.now);
        world.devices[0].load.sources.push(source);
    }
    let commands = Source::greedy(COMMANDS, 4, (0, 64)).periodic(1, Duration::from_millis(17), world.now);
    world.gateway.peers[0].load.sources.push(commands);
    world
}

/// The world after so many instants, or `None` when it comes to rest before.
fn after(mut world: World, steps: usize) -> Option<World> {
    let mut count = 0;
    let reached = world.run_until(LIMIT, |_| {
        count += 1;
        count > steps
    });
    reached.then_some(world)
}

fn comes_right(mut world: World, case: &str) {
    world.load(CHANNEL, 4);
    let done = |world: &mut World| world.backlog() == 0 && world.devices[0].session.ledger().in_flight == 0;
    assert!(world.run_until(LIMIT, done), "{case}, {}", world.place());
    let device = &world.devices[0];
    assert!(device.packets.count() > 0, "{case}: the oracle saw nothing");
    assert_eq!(world.gateway.peers[0].sink.duplicates, 0, "{case}");
}

#[test]
fn at_every_step() {
    for protection in SEALED {
        for death in [Death::Gateway, Death::Device, Death::Both, Death::Erased, Death::SetBack] {
            for step in 0.. {
                let Some(mut world) = after(world(1, protection), step) else {
                    assert!(step > 20, "{step} steps only");
                    break;
                };
                strike(&mut world, death);
                comes_right(world, &format!("{protection:?}, {death:?} at step {step}"));
            }
        }
    }
}

#[test]
fn twice_within_a_few_steps() {
    for (seed, death) in (0..12).zip([Death::Gateway, Death::Device, Death::Erased, Death::SetBack].into_iter().cycle())
    {
        for step in 0..8 {
            let Some(mut world) = after(world(seed, SEALED[0]), step) else { break };
            strike(&mut world, death);
            for next in 1..6 {
                let mut count = 0;
                world.run_until(LIMIT, |_| {
                    count += 1;
                    count > next
                });
                strike(&mut world, if next % 2 == 0 { Death::Gateway } else { death });
            }
            comes_right(world, &format!("seed {seed}, {death:?} from step {step} on"));
        }
    }
}

/// Counter and epochs are stored, and the gateway dies before ACCEPT leaves it: the same HELLO is a replay then, and the
/// device is told.
#[test]
fn between_the_storage_and_the_answer() {
    for protection in SEALED {
        let mut world = world(2, protection);
        world.set_faults(firmware_sim::faults::Faults::BLACKOUT);
        world.recording = true;
        world.run_for(Duration::from_millis(1));
        let (_, hello) = world.history[0].clone();
        world.gateway.handle_datagram(world.now, PathId(1), hello);
        assert_eq!(world.gateway.turned.opened, 1);
        world.gateway.reboot();
        world.set_faults(firmware_sim::faults::Faults::NONE);
        comes_right(world, "no ACCEPT");
    }
}

/// The raised boot epoch is not stored, and nothing is sent. Then power is lost, and it begins anew.
#[test]
fn before_a_raised_epoch_is_stored() {
    let mut world = world(3, SEALED[0]);
    for _ in 0..3 {
        world.run_for(Duration::from_secs(60));
        world.reboot_device();
    }
    world.run_for(Duration::from_secs(60));
    for _ in 0..3 {
        world.devices[0].lose_counter(None);
        world.devices[0].reboot();
        world.devices[0].flash.stuck = true;
        world.devices[0].events.clear();
        world.run_for(Duration::from_secs(600));
        assert!(world.devices[0].events.contains(&Event::BootEpochRaised { epoch: 4 }), "{}", world.place());
        assert!(!world.devices[0].session.is_established());
        let sent = world.devices[0].session.stats().tx_datagrams;
        world.run_for(Duration::from_secs(3_600));
        assert_eq!(world.devices[0].session.stats().tx_datagrams, sent, "it has no counter to send with");
        world.devices[0].flash.stuck = false;
    }
    world.reboot_device();
    comes_right(world, "stuck flash");
}
