//! What somebody on the path, a buggy peer or a power cut may not bring about.

extern crate std;
use std::format;

use super::sealed_tests::*;
use super::*;
use crate::Duration;
use crate::seal::Pattern;

/// Does what is due until nothing is, or `end` comes; what was sent, and where to.
fn run(session: &mut Session<Mem>, end: Instant) -> std::vec::Vec<(Instant, PathId)> {
    let mut sent = std::vec::Vec::new();
    let mut now = session.state.now;
    for turn in 0.. {
        assert!(turn < 10_000, "it never rests");
        let mut buf = [0; 1200];
        while let Some(packet) = session.poll_transmit(now, &mut buf) {
            sent.push((now, packet.path));
        }
        match session.poll_timeout() {
            Some(at) if at <= end => now = now.max(at),
            _ => break,
        }
        session.handle_timeout(now);
    }
    sent
}

// Somebody copies one short packet and is faster than the original; the challenge to the device's own address is
// lost. Nothing more may be sent to him, and yet the gateway must not wait there.
/// Writes an answer to an authentic HELLO, and says how long it is.
trait Answering: Fn(crate::gate::Authentic<'_>, u64, &mut [u8]) -> usize {}

impl<F: Fn(crate::gate::Authentic<'_>, u64, &mut [u8]) -> usize> Answering for F {}

#[test]
fn a_path_that_is_never_proved_is_left_in_time() {
    for padding in [0, 20, 40, 120] {
        let (mut device, mut gateway) = connected(Pattern::NkPsk0);
        exchange(&mut device, &mut gateway);
        device.send(NOW, channel(), &[7; 120][..padding]).unwrap();
        let mut packet = all(&mut device, NOW).pop().unwrap();
        drop(gateway.handle_datagram(NOW, PathId(1), &mut packet));
        assert_eq!(gateway.state.paths.current(), PathId(1));
        let sent = run(&mut gateway, NOW + Duration::from_secs(60));
        assert!(sent.iter().filter(|(_, path)| *path == PathId(1)).count() <= 4, "{sent:?}");
        assert_eq!(gateway.state.paths.current(), PATH, "{padding}");
    }
}

// What sleeps is not told again: credit that the gateway waits for, a key that it heard was taken, a boot epoch.
#[test]
fn no_session_falls_asleep_over_what_it_owes() {
    let awake = || {
        let (mut device, mut gateway) = connected(Pattern::NkPsk0);
        exchange(&mut device, &mut gateway);
        for packet in all(&mut gateway, NOW + Duration::from_secs(2)) {
            hand(&mut device, &packet);
        }
        (device, gateway)
    };
    let busy = Err(SuspendError::Busy);
    assert!(awake().0.suspend().is_ok());

    let (mut device, _) = awake();
    device.state.receive_len = 1;
    device.memory.parts().receive.first_mut().unwrap().credit_due = true;
    assert_eq!(device.suspend(), busy);

    let (mut device, mut gateway) = awake();
    while device.poll_event().is_some() {}
    gateway.announce_key(NOW, crate::GatewaySecret::new([10; 32]).public());
    exchange(&mut device, &mut gateway);
    assert_eq!(device.suspend(), busy);
    assert!(matches!(device.poll_event(), Some(Event::GatewayKey { .. })));
    assert!(device.suspend().is_ok());

    let (mut device, _) = awake();
    while device.poll_event().is_some() {}
    device.state.hello.raise_counter(2 << 32);
    assert_eq!(device.suspend(), busy);
    assert_eq!(device.poll_event(), Some(Event::BootEpochRaised { epoch: 2 }));
    // Raised once more before the application was done.
    device.state.hello.raise_counter(3 << 32);
    device.boot_epoch_stored(NOW);
    assert_eq!(device.suspend(), busy);
    assert_eq!(device.poll_event(), Some(Event::BootEpochRaised { epoch: 3 }));
    device.boot_epoch_stored(NOW);
    assert!(device.suspend().is_ok());
}

#[test]
fn a_session_that_is_printed_shows_no_key() {
    let mut device = device(Pattern::NkPsk0);
    let hello = all(&mut device, NOW).pop().unwrap();
    let mut gateway = accept(&hello, Pattern::NkPsk0);
    let answering = format!("{:?}", gateway.state);
    hand(&mut device, &all(&mut gateway, NOW).pop().unwrap());
    let reset = crate::seal::mac::reset_key(&[5; 32], gateway.local_cid().as_bytes());
    for text in [answering, format!("{:?}", device.state)] {
        assert!(!text.contains(&format!("{reset:?}")), "the key of its RESETs");
        assert!(!text.contains("7, 7, 7, 7") && !text.contains("9, 9, 9, 9"), "{text}");
    }
}

// A gateway with many downlink channels, and a device that takes short datagrams: silence would be for ever.
#[test]
fn an_accept_that_the_device_cannot_take_is_not_sent() {
    let hello = all(&mut device(Pattern::NkPsk0), NOW).pop().unwrap();
    for (longest, sent) in [(1200, 1), (127, 0)] {
        let mut gateway = accept(&hello, Pattern::NkPsk0);
        gateway.state.send_len = 2;
        gateway.state.peer.max_datagram = longest;
        for (stream, id) in gateway.memory.parts().send.iter_mut().zip(1..) {
            (stream.id, stream.epoch) = (ChannelId::new(id).unwrap().live(), StreamEpoch::new(1));
        }
        let packets = all(&mut gateway, NOW);
        assert_eq!(packets.len(), sent);
        assert_eq!(gateway.is_closed(), sent == 0);
    }
}

// Message numbers and epochs can outgrow what a datagram has room for.
#[test]
fn a_hello_that_finds_no_room_does_not_keep_the_clock_busy() {
    let mut device = device(Pattern::NkPsk0);
    for _ in 0..100 {
        let now = device.poll_timeout().unwrap();
        assert!(device.poll_transmit(now, &mut [0; 60]).is_none());
        assert!(device.poll_timeout().unwrap() > now, "due for ever");
    }
    let now = device.poll_timeout().unwrap();
    assert_eq!(all(&mut device, now).len(), 1);
}

// Keys are right, sense is not: whatever the gateway answers, a device does not send without end.
#[test]
fn no_answer_keeps_a_device_sending() {
    let key = key();
    let answers: [&dyn Answering; 2] = [
        &|hello, _, buf| match hello.weigh(NOW, hello.counter() + 1, None, buf) {
            Some(crate::gate::Weighed::Answer { len, .. }) => len,
            other => panic!("{other:?}"),
        },
        &|hello, turn, buf| {
            let (cookies, source) = (crate::Cookies::new([3; 32]), turn.to_le_bytes());
            match hello.weigh(NOW, 0, Some(crate::gate::Load { cookies: &cookies, source: &source }), buf) {
                Some(crate::gate::Weighed::Answer { len, .. }) => len,
                other => panic!("{other:?}"),
            }
        },
    ];
    for answer in answers {
        let mut device = device(Pattern::NkPsk0);
        let mut sent = 0;
        for turn in 0..100 {
            let Some(hello) = all(&mut device, NOW).pop() else { break };
            sent += 1;
            let mut buf = [0; 100];
            let hello = crate::Hello::parse(&hello).unwrap();
            let len = answer(hello.claim().authenticate(&key).unwrap(), turn, &mut buf);
            assert!(!hand(&mut device, &buf[..len]).1);
        }
        assert!((3..10).contains(&sent), "{sent}");
        // Its time comes, and all is as before.
        let now = device.poll_timeout().unwrap();
        assert!(now > NOW);
        assert_eq!(all(&mut device, now).len(), 1);
    }
}

// One pair of keys in 256: the short id tells which are meant, not which it is.
#[test]
#[cfg_attr(miri, ignore = "hundreds of scalar multiplications")]
fn two_gateway_keys_of_one_id_both_open() {
    let id = gateway_secret().public().id();
    let mut others = (0u32..).map(|n| {
        let mut bytes = [3; 32];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        crate::GatewaySecret::new(bytes)
    });
    let other = others.find(|other| other.public().id() == id).unwrap();
    let hello = all(&mut device(Pattern::NkPsk0), NOW).pop().unwrap();
    let key = key();
    let authentic = crate::Hello::parse(&hello).unwrap().claim().authenticate(&key).unwrap();
    for (first, second) in [(other.clone(), gateway_secret()), (gateway_secret(), other)] {
        let keys = crate::GatewayKeys::new(first, [5; 32]).with_second(second);
        assert!(authentic.open(Pattern::NkPsk0, &keys, &mut [0; 1200]).is_ok());
    }
}
