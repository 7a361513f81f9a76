//! Somebody on the path copies what the device sends, and sends the copies from other addresses, sooner than the
//! originals arrive. He cannot hear what goes to those addresses: they are his victims'. None of them is sent more than
//! three times what came from there, at any time: [`whimbrel_tests::oracle::Sources`] sees to it at every datagram.

use super::{COMMANDS, LIMIT, setup, talk};
use firmware_sim::faults::Faults;
use firmware_sim::link::{Rng, below, rng};
use rand::RngCore;
use whimbrel_core::{ChannelId, Duration, PathId, Protection};
use whimbrel_tests::oracle::sources::AMPLIFICATION_MAX;
use whimbrel_tests::{CHANNEL, World};

/// Addresses of victims: so many from here on.
const VICTIMS: (u32, u64) = (500, 40);

/// What the attacker does with one datagram of the device, in hundredths.
#[derive(Clone, Copy, Debug)]
struct Malice {
    /// Copies of what was just sent, ahead of the original.
    race: u64,
    /// Anything that was ever sent.
    replay: u64,
    /// Bytes of his own.
    junk: u64,
    /// To how many addresses at most.
    spread: u64,
    /// Each datagram once, to one victim; a HELLO when it was answered, anything else ahead of the original.
    shadow: bool,
}

fn victim(rng: &mut Rng, spread: u64) -> PathId {
    PathId(VICTIMS.0 + below(rng, spread.clamp(1, VICTIMS.1)) as u32)
}

fn attack(world: &mut World, rng: &mut Rng, malice: Malice, seen: &mut usize) {
    if malice.shadow {
        return shadow(world, seen);
    }
    let now = world.now;
    let new: Vec<_> = world.history[*seen..].iter().filter(|(by_gateway, _)| !by_gateway).cloned().collect();
    *seen = world.history.len();
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    for (_, datagram) in new {
        // Ahead of the original, and again: a copy of a copy is a replay.
        (0..3).filter(|_| below(rng, 100) < malice.race).for_each(|_| datagrams.push(datagram.clone()));
    }
    for _ in 0..4 {
        if below(rng, 100) < malice.replay {
            let any = world.history.get(below(rng, world.history.len() as u64) as usize);
            datagrams.extend(any.map(|(_, datagram)| datagram.clone()));
        }
        if below(rng, 100) < malice.junk {
            let mut junk = vec![0; below(rng, 200) as usize];
            rng.fill_bytes(&mut junk);
            datagrams.push(junk);
        }
    }
    for datagram in datagrams {
        let path = victim(rng, malice.spread);
        world.gateway.handle_datagram(now, path, datagram);
    }
}

fn shadow(world: &mut World, seen: &mut usize) {
    let new = world.history[*seen..].to_vec();
    *seen = world.history.len();
    let mut hello: Option<Vec<u8>> = None;
    for (by_gateway, datagram) in new {
        let is_long = datagram[0] & 0x80 != 0;
        match (by_gateway, is_long) {
            (false, true) => hello = Some(datagram),
            (false, false) => world.gateway.handle_datagram(world.now, PathId(VICTIMS.0), datagram),
            // It is being answered: the last HELLO comes once more.
            (true, true) => {
                let last = || world.history.iter().rev().filter(|(by_gateway, _)| !by_gateway);
                let last = hello.take().or_else(|| last().map(|(_, sent)| sent).find(|sent| sent[0] == 0x80).cloned());
                last.into_iter().for_each(|hello| world.gateway.handle_datagram(world.now, PathId(VICTIMS.0), hello));
            }
            (true, false) => {}
        }
    }
}

fn war(seed: u64, protection: Protection) {
    let mut rng = rng(seed, 63);
    let mut percent = |most: u64| below(&mut rng, most + 1);
    let (race, replay, junk, spread) = (percent(100), percent(60), percent(30), 1 + percent(39));
    let malice = Malice { race, replay, junk, spread, shadow: seed % 4 == 3 };
    let faults = Faults { loss: percent(20) as f64 / 100.0, ..Faults::NONE };
    let mut world = setup(seed, protection).faults(faults).build();
    world.recording = true;
    let other = ChannelId::new(2).unwrap();
    let mut seen = 0;
    for step in 0..600 {
        if step % 20 == 0 {
            world.load(CHANNEL, 5);
            world.load(other, 3);
            // So that there is something to flood victims with.
            world.gateway.peers[0].load.add(COMMANDS, 20, (40, 64));
        }
        match below(&mut rng, 200) {
            0 => world.gateway.reboot(),
            1 => world.reboot_device(),
            2 | 3 => world.gateway.demands_cookies = !world.gateway.demands_cookies,
            4..=6 => world.devices[0].path = PathId(world.devices[0].path.0 + 1),
            _ => {}
        }
        attack(&mut world, &mut rng, malice, &mut seen);
        world.run_for(Duration::from_millis(if below(&mut rng, 10) == 0 { 300 } else { 4 }));
    }
    for victim in 0..VICTIMS.1 as u32 {
        let source = world.gateway.sources.of(PathId(VICTIMS.0 + victim));
        assert!(!source.proved && source.sent <= AMPLIFICATION_MAX * source.received, "seed {seed}: {source:?}");
    }
    // The attacker gone, all is as it was.
    world.set_faults(Faults::NONE);
    world.gateway.demands_cookies = false;
    world.load(CHANNEL, 1);
    let quiet = |world: &mut World| {
        let peer = &mut world.gateway.peers[0];
        let said = peer.load.left() == 0 && peer.live.as_mut().is_some_and(|session| session.ledger().in_flight == 0);
        said && world.backlog() == 0 && world.devices[0].session.queued() == 0
    };
    assert!(world.run_until(LIMIT, quiet), "{}", world.place());
    talk(&mut world, 5);
}

#[test]
fn victims_of_copied_datagrams() {
    for seed in 0..super::super::random::worlds() {
        let protection = if seed % 3 == 2 { Protection::NnPsk0 } else { Protection::NkPsk0 };
        war(seed, protection);
    }
}

/// The whole handshake comes from a victim's address first: HELLO once more when the device's own was answered, and then
/// its first packet, ahead of the original. Whoever answers ACCEPT has got it, but not necessarily there.
#[test]
fn a_handshake_that_is_copied() {
    for protection in super::SEALED {
        for late in [false, true] {
            let mut world = setup(1, protection).build();
            world.recording = true;
            world.gateway.peers[0].load.add(COMMANDS, 200, (40, 64));
            let victim = PathId(VICTIMS.0);
            // The device's HELLO arrives, and is answered; ACCEPT is on its way.
            world.run_for(Duration::from_millis(if late { 9 } else { 6 }));
            let (_, hello) = world.history[0].clone();
            world.gateway.handle_datagram(world.now, victim, hello);
            world.run_for(Duration::from_millis(if late { 1 } else { 4 }));
            let (by_gateway, first) = world.history.last().unwrap().clone();
            assert!(!by_gateway && world.devices[0].session.is_established());
            world.gateway.handle_datagram(world.now, victim, first);
            world.run_for(Duration::from_secs(5));
            let source = world.gateway.sources.of(victim);
            assert!(source.received > 0 && !source.proved, "{source:?}");
            assert!(world.run_until(LIMIT, |world| world.devices[0].received.len() == 200), "{}", world.place());
        }
    }
}
