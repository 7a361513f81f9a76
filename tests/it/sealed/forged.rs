//! Answers that the gateway did not give, or gave to something else: RESET, REFUSE, COOKIE, COUNTER_LOW, ACCEPT. Whoever
//! sends them has seen every datagram, and has keys of other devices; the device goes on as if nothing had come, to the
//! byte.

use super::{LIMIT, SEALED, STRANGER, answers, at_rest, recorded, setup, talk};
use firmware_sim::faults::Faults;
use firmware_sim::link::{below, rng};
use rand::RngCore;
use whimbrel_core::gate::{self, Load, Weighed};
use whimbrel_core::wire::{LongHeader, LongType};
use whimbrel_core::{CloseReason, Cookies, Duration, Hello, Offer, PathId, Protection};
use whimbrel_tests::keys::{device_key, gateway_keys, pattern};
use whimbrel_tests::{CHANNEL, World};

fn kind(datagram: &[u8]) -> Option<LongType> {
    LongHeader::parse(datagram).ok().map(|(header, _)| header.kind)
}

/// Every answer that a gateway can give to this HELLO, right in all but what the caller gets wrong.
fn every_answer(hello: &[u8], seed: u64, number: u32, protection: Protection) -> Vec<Vec<u8>> {
    let (key, keys) = (device_key(seed, number), gateway_keys(seed, 0));
    let hello = Hello::parse(hello).unwrap();
    let Some(authentic) = hello.claim().authenticate(&key) else { return Vec::new() };
    let (mut buf, mut answers) = ([0; 1_452], Vec::new());
    let cookies = Cookies::new([1; 32]);
    for (lowest, load) in [(u64::MAX / 2, None), (0, Some(Load { cookies: &cookies, source: b"here" }))] {
        let Some(Weighed::Answer { len, .. }) = authentic.weigh(whimbrel_core::Instant::ZERO, lowest, load, &mut buf)
        else {
            panic!("it was taken")
        };
        answers.push(buf[..len].to_vec());
    }
    let mut terms = [0; 1_452];
    let (opened, len) = authentic.open(pattern(protection).unwrap(), &keys, &mut terms).unwrap();
    let offer = Offer::new(opened, &terms[..len]).unwrap();
    for reason in [CloseReason::Refused, CloseReason::Version, CloseReason::GoingAway] {
        let len = gate::refuse(&offer, reason, &mut buf).unwrap();
        answers.push(buf[..len].to_vec());
    }
    answers
}

/// Datagrams that look like answers to `hello`, by somebody without the device's key. `genuine`: answers that were
/// given to other HELLOs.
fn forgeries(hello: &[u8], genuine: &[Vec<u8>], seed: u64) -> Vec<Vec<u8>> {
    let mut rng = rng(seed, 60);
    let mac1 = hello.len() - 24;
    let echo = &hello[mac1..mac1 + 8];
    let mut forged = Vec::new();
    for answer in genuine {
        forged.push(answer.clone());
        // The same, made out to this HELLO.
        let mut readdressed = answer.clone();
        readdressed[2..10].copy_from_slice(echo);
        forged.push(readdressed.clone());
        let (_, mac) = readdressed.split_at_mut(answer.len() - 16);
        rng.fill_bytes(mac);
        forged.push(readdressed);
    }
    // Of every kind and length, with and without the right echo.
    for kind in 0..8u8 {
        for len in [2, 10, 11, 22, 26, 29, 34, 42, 60, 80, 112, 200] {
            for right in [false, true] {
                let mut datagram = vec![0; len];
                rng.fill_bytes(&mut datagram);
                (datagram[0], datagram[1]) = (0x80 | kind << 4, 1);
                if right && len >= 10 {
                    datagram[2..10].copy_from_slice(echo);
                }
                forged.push(datagram);
            }
        }
    }
    forged
}

/// RESETs that quote the device's last packet, or that the gateway gave, but not for that.
fn resets(packet: &[u8], seed: u64) -> Vec<Vec<u8>> {
    let (ours, strange, mut buf) = (gateway_keys(seed, 0), gateway_keys(seed + 1, 0), [0; 64]);
    let mut forged = Vec::new();
    let mut make = |cause: &[u8], keys| {
        let len = gate::reset(cause, keys, &mut buf).unwrap();
        forged.push(buf[..len].to_vec());
    };
    // Of a gateway with another secret.
    make(packet, &strange);
    // Of our gateway, for another connection that ends in the same bytes.
    let mut other = packet.to_vec();
    other[1] ^= 2;
    make(&other, &ours);
    // Of our gateway, for this connection, but caused by what somebody else made up.
    for end in 0..=255u8 {
        let mut made_up = packet.to_vec();
        made_up.iter_mut().rev().take(4).for_each(|byte| *byte = byte.wrapping_add(end | 1));
        make(&made_up, &ours);
    }
    // Of nobody, with the right quotation.
    let mut rng = rng(seed, 61);
    for _ in 0..100 {
        let mut datagram = vec![0xa0, 1];
        datagram.extend(&packet[packet.len() - 4..]);
        datagram.extend((0..16).map(|_| below(&mut rng, 256) as u8));
        forged.push(datagram);
    }
    forged
}

/// Hands all of it to the device, which drops and counts each.
fn hand_all(world: &mut World, forged: &[Vec<u8>]) {
    for datagram in forged {
        let before = world.devices[0].session.stats().rx_dropped.total();
        world.to_device(0, STRANGER, datagram);
        let after = world.devices[0].session.stats().rx_dropped.total();
        assert_eq!(after, before + 1, "{}: {:?} {datagram:02x?}", world.place(), kind(datagram));
    }
}

/// The same world with and without forgeries.
fn does_not_tell(seed: u64, protection: Protection, run: impl Fn(&mut World, bool)) {
    let hash = |forge: bool| {
        let mut world = setup(seed, protection).count(2).build();
        world.recording = true;
        run(&mut world, forge);
        world.set_faults(Faults::NONE);
        talk(&mut world, 10);
        (world.trace.hash(), world.now)
    };
    assert_eq!(hash(false), hash(true), "{protection:?}");
}

/// The device's HELLOs are recorded first, and another device's.
fn hellos(world: &World) -> Vec<Vec<u8>> {
    let mut hellos: Vec<_> = recorded(world, false);
    hellos.retain(|datagram| kind(datagram) == Some(LongType::Hello));
    hellos.dedup();
    hellos
}

#[test]
fn answers_to_the_first_hello() {
    for protection in SEALED {
        does_not_tell(5, protection, |world, forge| {
            world.set_faults(Faults::BLACKOUT);
            world.run_for(Duration::from_secs(5));
            let ours = hellos(world).into_iter().find(|hello| hello[4..10] == *b"sensor" && hello[3] == 6).unwrap();
            let theirs = hellos(world).into_iter().find(|hello| hello[3] == 7).unwrap();
            let genuine = every_answer(&theirs, 5, 1, protection);
            assert_eq!(genuine.len(), 5);
            if forge {
                hand_all(world, &forgeries(&ours, &genuine, 5));
            }
            world.run_for(Duration::from_secs(30));
        });
    }
}

/// Answers to the device's own earlier HELLOs come while it opens another session, and when it does not.
#[test]
fn answers_to_an_earlier_hello() {
    for protection in SEALED {
        does_not_tell(6, protection, |world, forge| {
            talk(world, 5);
            let first = hellos(world).into_iter().find(|hello| hello[3] == 6).unwrap();
            let mut genuine = every_answer(&first, 6, 0, protection);
            genuine
                .extend(recorded(world, true).into_iter().filter(|datagram| kind(datagram) == Some(LongType::Accept)));
            assert!(genuine.len() >= 6);
            if forge {
                hand_all(world, &forgeries(&first, &genuine, 6));
            }
            world.gateway.reboot();
            world.set_faults(Faults::BLACKOUT);
            world.load(CHANNEL, 1);
            world.run_for(Duration::from_secs(1));
            // It needs to be told that its session is gone.
            let (_, packet) = world.history.last().unwrap().clone();
            let mut buf = [0; 64];
            let len = gate::reset(&packet, &gateway_keys(6, 0), &mut buf).unwrap();
            world.to_device(0, PathId(1), &buf[..len]);
            world.run_for(Duration::from_secs(3));
            let second = hellos(world).pop().unwrap();
            assert_ne!(first, second);
            if forge {
                hand_all(world, &forgeries(&second, &genuine, 7));
            }
            world.run_for(Duration::from_secs(30));
        });
    }
}

#[test]
fn resets_of_a_live_session() {
    for protection in SEALED {
        does_not_tell(7, protection, |world, forge| {
            talk(world, 5);
            world.load(CHANNEL, 1);
            world.run_for(Duration::from_millis(1));
            let (_, packet) = world.history.last().unwrap().clone();
            if forge {
                hand_all(world, &resets(&packet, 7));
            }
            let sent = world.devices[0].session.stats().tx_datagrams;
            (0..10).for_each(|_| talk(world, 3));
            assert!(world.devices[0].session.stats().tx_datagrams > sent + 8);
            if forge {
                // A right one, for a packet long past.
                let mut buf = [0; 64];
                let len = gate::reset(&packet, &gateway_keys(7, 0), &mut buf).unwrap();
                hand_all(world, &[buf[..len].to_vec()]);
            }
        });
    }
}

/// A stranger who makes the gateway speak: nothing that it says to him is of use against the device.
#[test]
fn what_the_gateway_says_to_a_stranger() {
    for protection in SEALED {
        let mut world = at_rest(8, protection);
        let (ups, mut said) = (recorded(&world, false), Vec::new());
        for restarted in [false, true] {
            if restarted {
                world.gateway.reboot();
            }
            for datagram in &ups {
                let mut junk = datagram.clone();
                let last = junk.len() - 1;
                junk[last] ^= 1;
                for datagram in [datagram.clone(), junk] {
                    world.gateway.handle_datagram(world.now, STRANGER, datagram);
                    said.extend(answers(&mut world));
                }
            }
        }
        assert!(said.len() > 10, "{}", said.len());
        let before = super::state(&mut world).device_part();
        for datagram in said {
            world.to_device(0, STRANGER, &datagram);
        }
        assert_eq!(super::state(&mut world).device_part(), before);
        assert!(world.run_until(LIMIT, |world| world.backlog() == 0));
        talk(&mut world, 5);
    }
}
