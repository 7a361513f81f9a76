//! Sealed sessions, from the HELLO on.

extern crate std;

use super::*;
use crate::gate::{Load, Weighed};
use crate::memory::Inline;
use crate::{
    BootEpoch, Cookies, Credentials, DeviceId, DeviceKey, Duration, GatewayKeys, GatewaySecret, Hello, Pattern,
    SchemaId,
};
use std::vec::Vec;

pub(super) type Mem = Inline<2, 1, 16, 32, 960, 8, 16, 8, 2, 256, 0>;

pub(super) const NOW: Instant = Instant::ZERO;
pub(super) const PATH: PathId = PathId(0);

pub(super) fn channel() -> ChannelId {
    ChannelId::new(1).unwrap()
}

pub(super) fn key() -> DeviceKey {
    DeviceKey::new([7; 32])
}

pub(super) fn gateway_secret() -> GatewaySecret {
    GatewaySecret::new([9; 32])
}

pub(super) fn gateway_keys() -> GatewayKeys {
    GatewayKeys::new(gateway_secret(), [5; 32])
}

/// What a device can be told here, the default first.
#[cfg(feature = "nk")]
const PATTERNS: &[Pattern] = &[Pattern::NkPsk0, Pattern::NnPsk0];
#[cfg(not(feature = "nk"))]
const PATTERNS: &[Pattern] = &[Pattern::NnPsk0];
const PATTERN: Pattern = PATTERNS[0];

fn credentials(pattern: Pattern) -> Credentials {
    match pattern {
        #[cfg(feature = "nk")]
        Pattern::NkPsk0 => Credentials::nk(key(), gateway_secret().public()),
        _ => Credentials::nn(key()),
    }
}

pub(super) fn device_of(pattern: Pattern, boot: u32, random: [u8; 32]) -> Session<Mem> {
    let identity = Identity::sealed(DeviceId::new(b"d").unwrap(), BootEpoch::unstored(boot), credentials(pattern));
    let channels = [ChannelConfig::ordered(channel(), SchemaId(1))];
    Session::connect(&Config::default(), identity, &channels, random, Mem::new()).unwrap()
}

pub(super) fn device(pattern: Pattern) -> Session<Mem> {
    device_of(pattern, 1, [1; 32])
}

pub(super) fn all(session: &mut Session<Mem>, now: Instant) -> Vec<Vec<u8>> {
    let mut buf = [0; 1200];
    let mut packets = Vec::new();
    while let Some(sent) = session.poll_transmit(now, &mut buf) {
        packets.push(buf[..sent.len].to_vec());
    }
    packets
}

pub(super) fn accept(hello: &[u8], pattern: Pattern) -> Session<Mem> {
    let hello = Hello::parse(hello).unwrap();
    let key = key();
    let authentic = hello.claim().authenticate(&key).unwrap();
    let mut terms = [0; 1200];
    let (opened, len) = authentic.open(pattern, &gateway_keys(), &mut terms).unwrap();
    let offer = Offer::new(opened, &terms[..len]).unwrap();
    let admission = [StreamAdmission { id: channel().live(), epoch: StreamEpoch::new(1).unwrap(), next: SeqNo::ZERO }];
    let admission = Admission { streams: &admission };
    let cid = ConnectionId::new(&[1, 2, 3, 4]).unwrap();
    Session::accept(&Config::default(), &offer, &admission, cid, &[], [2; 32], Mem::new(), NOW, PATH).unwrap()
}

/// Hands a datagram in; what came out of it, and whether it was dropped.
pub(super) fn hand(session: &mut Session<Mem>, packet: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let before = session.stats().rx_dropped.total();
    let mut packet = packet.to_vec();
    let mut taken = Vec::new();
    let mut received = session.handle_datagram(NOW, PATH, &mut packet);
    while let Some(message) = received.next() {
        taken.push(message.payload.to_vec());
    }
    drop(received);
    (taken, session.stats().rx_dropped.total() != before)
}

pub(super) fn connected(pattern: Pattern) -> (Session<Mem>, Session<Mem>) {
    let mut device = device(pattern);
    let hello = all(&mut device, NOW).pop().unwrap();
    let mut gateway = accept(&hello, pattern);
    for packet in all(&mut gateway, NOW) {
        assert!(!hand(&mut device, &packet).1);
    }
    assert!(device.is_established());
    for packet in all(&mut device, NOW) {
        assert!(!hand(&mut gateway, &packet).1);
    }
    assert!(gateway.is_established());
    (device, gateway)
}

#[test]
fn both_patterns_carry_messages() {
    for &pattern in PATTERNS {
        let (mut device, mut gateway) = connected(pattern);
        device.send(NOW, channel(), b"21.5").unwrap();
        let packets = all(&mut device, NOW);
        let taken: Vec<_> = packets.iter().flat_map(|packet| hand(&mut gateway, packet).0).collect();
        assert_eq!(taken, [b"21.5"]);
        assert!(!packets.iter().any(|packet| packet.windows(4).any(|window| window == b"21.5")));
        // Flags, connection id, number, tag: what a packet costs beside its frames.
        assert!(packets.iter().all(|packet| packet.len() <= 24 + 5 + 4 + 4), "{packets:?}");
    }
}

// Any bit, in any packet, of either direction.
#[test]
fn a_flipped_bit_is_rejected_and_counted() {
    let (mut device, mut gateway) = connected(PATTERN);
    device.send(NOW, channel(), b"21.5").unwrap();
    for packet in all(&mut device, NOW) {
        for bit in 0..packet.len() * 8 {
            let mut bad = packet.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(hand(&mut gateway, &bad), (Vec::new(), true), "bit {bit}");
        }
        hand(&mut gateway, &packet);
    }
    for packet in all(&mut gateway, NOW) {
        for bit in 0..packet.len() * 8 {
            let mut bad = packet.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(hand(&mut device, &bad).1, "bit {bit}");
        }
    }
}

#[test]
fn a_flipped_bit_of_the_handshake_is_rejected_and_counted() {
    for &pattern in PATTERNS {
        let mut device = device(pattern);
        let hello = all(&mut device, NOW).pop().unwrap();
        // The last 8 bytes are the proof of an address that nobody asked for.
        for bit in 0..(hello.len() - 8) * 8 {
            let mut bad = hello.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let key = key();
            let refused =
                Hello::parse(&bad).is_err() || Hello::parse(&bad).unwrap().claim().authenticate(&key).is_none();
            assert!(refused, "bit {bit}");
        }
        let answer = all(&mut accept(&hello, pattern), NOW).pop().unwrap();
        for bit in 0..answer.len() * 8 {
            let mut bad = answer.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(hand(&mut device, &bad).1, "bit {bit}");
            assert!(!device.is_established());
        }
        assert!(!hand(&mut device, &answer).1);
        assert!(device.is_established());
    }
}

#[test]
fn hello_and_accept_are_sent_again_byte_for_byte() {
    let mut device = device(PATTERN);
    let hello = all(&mut device, NOW).pop().unwrap();
    // What happens meanwhile changes nothing.
    device.send(NOW, channel(), b"21.5").unwrap();
    let later = NOW + Duration::from_secs(2);
    assert_eq!(all(&mut device, later), core::slice::from_ref(&hello));
    let mut gateway = accept(&hello, PATTERN);
    let answer = all(&mut gateway, NOW);
    gateway.repeat_accept(later, PATH);
    assert_eq!(all(&mut gateway, later), answer);
    assert!(answer[0].len() <= 3 * hello.len());
}

#[test]
fn two_attempts_share_nothing_even_when_the_random_source_does() {
    let hellos: Vec<_> = (1..3).map(|boot| all(&mut device_of(PATTERN, boot, [1; 32]), NOW).pop().unwrap()).collect();
    let key = key();
    let counters: Vec<_> =
        hellos.iter().map(|hello| Hello::parse(hello).unwrap().claim().authenticate(&key).unwrap().counter()).collect();
    assert_eq!(counters, [1 << 32, 2 << 32]);
    // The same ephemeral key, and yet other bytes under it.
    let front = 2 + 1 + 2 + 8 + 1 + 32;
    assert_eq!(hellos[0][front - 32..front], hellos[1][front - 32..front]);
    assert!(hellos[0][front..].iter().zip(&hellos[1][front..]).filter(|(a, b)| a == b).count() < 20);
}

#[test]
fn a_counter_that_was_lost_is_raised_and_stored_first() {
    let mut device = device(PATTERN);
    let hello = all(&mut device, NOW).pop().unwrap();
    let key = key();
    let authentic = Hello::parse(&hello).unwrap().claim().authenticate(&key).unwrap();
    let mut buf = [0; 64];
    let lowest = 9 << 32 | 4;
    let Some(Weighed::Answer { len, counter_low: true }) = authentic.weigh(NOW, lowest, None, &mut buf) else {
        panic!("it was taken")
    };
    assert!(len < hello.len());
    assert!(!hand(&mut device, &buf[..len]).1);
    assert!(hand(&mut device, &buf[..len]).1, "the same again");
    assert_eq!(all(&mut device, NOW), [[0u8; 0]; 0]);
    assert_eq!(device.poll_event(), Some(Event::BootEpochRaised { epoch: 9 }));
    assert_eq!(device.poll_event(), None);
    assert_eq!(device.poll_timeout(), None);
    device.boot_epoch_stored(NOW);
    let hello = all(&mut device, NOW).pop().unwrap();
    let authentic = Hello::parse(&hello).unwrap().claim().authenticate(&key).unwrap();
    assert_eq!(authentic.counter(), lowest);
    assert_eq!(authentic.weigh(NOW, lowest, None, &mut buf), Some(Weighed::Open));
}

#[test]
fn under_load_an_address_is_proved() {
    let mut device = device(PATTERN);
    let hello = all(&mut device, NOW).pop().unwrap();
    let (key, cookies) = (key(), Cookies::new([3; 32]));
    let load = |source: &'static [u8]| Some(Load { cookies: &cookies, source });
    let mut buf = [0; 64];
    let authentic = Hello::parse(&hello).unwrap().claim().authenticate(&key).unwrap();
    let Some(Weighed::Answer { len, counter_low: false }) = authentic.weigh(NOW, 0, load(b"here"), &mut buf) else {
        panic!("it was taken")
    };
    assert!(!hand(&mut device, &buf[..len]).1);
    let again = all(&mut device, NOW).pop().unwrap();
    assert_eq!(again[..again.len() - 8], hello[..hello.len() - 8]);
    let authentic = Hello::parse(&again).unwrap().claim().authenticate(&key).unwrap();
    assert!(matches!(authentic.weigh(NOW, 0, load(b"there"), &mut buf), Some(Weighed::Answer { .. })));
    for (minutes, taken) in [(0, true), (2, true), (5, false)] {
        let later = NOW + Duration::from_secs(60 * minutes);
        assert_eq!(authentic.weigh(later, 0, load(b"here"), &mut buf) == Some(Weighed::Open), taken, "{minutes}");
    }
}

#[test]
fn a_restarted_gateway_tells_in_one_datagram() {
    let (mut device, _) = connected(PATTERN);
    device.send(NOW, channel(), b"1").unwrap();
    let packet = all(&mut device, NOW).pop().unwrap();
    let mut buf = [0; 64];
    let strange = GatewayKeys::new(gateway_secret(), [6; 32]);
    let len = crate::gate::reset(&packet, &strange, &mut buf).unwrap();
    assert!(hand(&mut device, &buf[..len]).1, "of another gateway");
    let len = crate::gate::reset(&packet, &gateway_keys(), &mut buf).unwrap();
    assert!(len < packet.len());
    assert!(!hand(&mut device, &buf[..len]).1);
    assert_eq!(device.poll_event(), Some(Event::PeerRestarted));
    let hello = all(&mut device, NOW).pop().unwrap();
    assert!(Hello::parse(&hello).is_ok());
    assert!(device.is_established(), "the session stays until there is another");
}

// A RESET may never come: its rate is limited.
#[test]
fn a_gateway_that_is_silent_for_long_is_asked_anew_beside_the_session() {
    let (mut device, mut gateway) = connected(PATTERN);
    device.send(NOW, channel(), b"1").unwrap();
    let mut packets = Vec::new();
    let mut now = NOW;
    while !packets.iter().any(|packet: &Vec<u8>| Hello::parse(packet).is_ok()) {
        packets.extend(all(&mut device, now));
        now = device.poll_timeout().unwrap();
        device.handle_timeout(now);
    }
    assert!(now > NOW + Duration::from_secs(300), "{now:?}");
    // It was only the network: the session goes on, and nothing is in doubt.
    for packet in &packets {
        hand(&mut gateway, packet);
    }
    for packet in all(&mut gateway, NOW) {
        hand(&mut device, &packet);
    }
    assert_eq!((device.queued(), device.ledger().in_doubt), (0, 0));
    assert_eq!(device.poll_timeout(), None);
}

#[cfg(feature = "nk")]
#[test]
fn keys_that_are_none_are_said_so() {
    let credentials = Credentials::nk(key(), crate::GatewayPublic::new([0; 32]));
    let identity = Identity::sealed(DeviceId::new(b"d").unwrap(), BootEpoch::unstored(1), credentials.clone());
    let mut device: Session<Mem> = Session::connect(&Config::default(), identity, &[], [1; 32], Mem::new()).unwrap();
    assert_eq!(all(&mut device, NOW), [[0u8; 0]; 0]);
    assert_eq!(device.poll_event(), Some(Event::Closed { reason: CloseReason::Keys }));
    // One that is will do.
    let credentials = credentials.with_second(gateway_secret().public());
    let identity = Identity::sealed(DeviceId::new(b"d").unwrap(), BootEpoch::unstored(1), credentials);
    let mut device: Session<Mem> = Session::connect(&Config::default(), identity, &[], [1; 32], Mem::new()).unwrap();
    assert_eq!(all(&mut device, NOW).len(), 1);
}

#[cfg(feature = "nk")]
#[test]
fn only_the_pattern_that_was_provisioned_is_opened() {
    use crate::gate::OpenError;
    let hello = all(&mut device(Pattern::NnPsk0), NOW).pop().unwrap();
    let key = key();
    let authentic = Hello::parse(&hello).unwrap().claim().authenticate(&key).unwrap();
    let open = |keys: &GatewayKeys| authentic.open(Pattern::NkPsk0, keys, &mut [0; 1200]).err();
    assert_eq!(open(&gateway_keys()), Some(OpenError::Pattern));
    let hello = all(&mut device(Pattern::NkPsk0), NOW).pop().unwrap();
    let authentic = Hello::parse(&hello).unwrap().claim().authenticate(&key).unwrap();
    let other = GatewayKeys::new(GatewaySecret::new([8; 32]), [5; 32]);
    assert_eq!(authentic.open(Pattern::NkPsk0, &other, &mut [0; 1200]).err(), Some(OpenError::GatewayKey));
    assert!(authentic.open(Pattern::NkPsk0, &other.with_second(gateway_secret()), &mut [0; 1200]).is_ok());
}

// The key is said until it arrived; the device uses it at the next handshake, and the one before when it must.
#[cfg(feature = "nk")]
#[test]
fn a_gateway_changes_its_key() {
    let (mut device, mut gateway) = connected(Pattern::NkPsk0);
    let next = GatewaySecret::new([10; 32]);
    gateway.announce_key(NOW, next.public());
    let lost = all(&mut gateway, NOW);
    assert!(!lost.is_empty());
    let later = NOW + Duration::from_secs(3);
    gateway.handle_timeout(later);
    for packet in all(&mut gateway, later) {
        assert!(!hand(&mut device, &packet).1);
    }
    let events: Vec<_> = core::iter::from_fn(|| device.poll_event()).collect();
    assert!(events.contains(&Event::GatewayKey { key: next.public() }), "{events:?}");
    device.state.begin_hello();
    let both = gateway_keys().with_second(GatewaySecret::new([10; 32]));
    let id_of = |device: &mut Session<Mem>, now: Instant| {
        let hello =
            core::iter::from_fn(|| all(device, now).into_iter().next()).find(|packet| Hello::parse(packet).is_ok());
        let hello = hello.unwrap();
        let key = key();
        let authentic = Hello::parse(&hello).unwrap().claim().authenticate(&key).unwrap();
        authentic.open(Pattern::NkPsk0, &both, &mut [0; 1200]).unwrap().0.gateway_key_id()
    };
    assert_eq!(id_of(&mut device, later), Some(next.public().id()));
    // Nobody answers: after four of them the former key has its turn.
    let mut ids = Vec::new();
    for minute in 1..10 {
        ids.push(id_of(&mut device, later + Duration::from_secs(80 * minute)));
    }
    let [new, old] = [next.public().id(), gateway_secret().public().id()].map(Some);
    assert_eq!(ids, [new, new, new, old, old, old, old, new, new]);
}

#[test]
fn a_session_sleeps_and_goes_on_with_one_datagram() {
    let (mut device, mut gateway) = connected(PATTERN);
    for packet in all(&mut gateway, NOW) {
        hand(&mut device, &packet);
    }
    device.send(NOW, channel(), b"1").unwrap();
    assert_eq!(device.suspend(), Err(crate::SuspendError::Busy));
    exchange(&mut device, &mut gateway);
    let snapshot = device.suspend().unwrap();
    assert!(snapshot.as_bytes().len() <= crate::Snapshot::MAX, "{snapshot:?}");
    assert!(device.is_closed() && all(&mut device, NOW).is_empty());
    let old = exchanged(&mut gateway);

    let channels = [ChannelConfig::ordered(channel(), SchemaId(1))];
    let id = DeviceId::new(b"d").unwrap();
    let resume = |bytes: &[u8], id: DeviceId, channels: &[ChannelConfig]| {
        Session::<Mem>::resume(&Config::default(), id, credentials(PATTERN), channels, bytes, [8; 32], Mem::new())
    };
    let mut device = resume(snapshot.as_bytes(), id, &channels).unwrap().stored();
    device.send(NOW, channel(), b"2").unwrap();
    let packets = all(&mut device, NOW);
    assert_eq!(packets.len(), 1);
    assert_eq!(hand(&mut gateway, &packets[0]).0, [b"2"]);
    // After the longest that an acknowledgement is held back.
    for packet in all(&mut gateway, NOW + Duration::from_secs(2)) {
        hand(&mut device, &packet);
    }
    assert_eq!(device.queued(), 0);
    for packet in old {
        assert!(hand(&mut device, &packet).1, "from before it slept");
    }
    // Of use once; and not when damaged, another device's, or for other channels.
    assert_eq!(resume(&crate::Dormant::<Mem>::REPLACEMENT, id, &channels).err(), Some(crate::ResumeError::Spent));
    let other = DeviceId::new(b"e").unwrap();
    assert_eq!(resume(snapshot.as_bytes(), other, &channels).err(), Some(crate::ResumeError::Invalid));
    assert_eq!(resume(snapshot.as_bytes(), id, &[]).err(), Some(crate::ResumeError::Channels));
    for bit in 0..snapshot.as_bytes().len() * 8 {
        let mut bad = snapshot.as_bytes().to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(resume(&bad, id, &channels).is_err());
        assert!(resume(&bad[..bit / 8], id, &channels).is_err());
    }
}

/// All that the gateway still has to say.
fn exchanged(gateway: &mut Session<Mem>) -> Vec<Vec<u8>> {
    all(gateway, NOW + Duration::from_secs(1))
}

pub(super) fn exchange(device: &mut Session<Mem>, gateway: &mut Session<Mem>) {
    for _ in 0..4 {
        for packet in all(device, NOW) {
            hand(gateway, &packet);
        }
        for packet in all(gateway, NOW) {
            hand(device, &packet);
        }
    }
}
