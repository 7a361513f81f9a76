//! What a session does with a peer or a network that is not kind to it.

extern crate std;

use super::*;
use crate::memory::Inline;
use crate::seal::{Direction, Keys, PlainKeys};
use crate::wire::{RESET_LEN, ShortHeader, Writer};
use crate::{DeviceId, Hello, PacketNumber, SchemaId};
use std::vec::Vec;

type Mem = Inline<2, 1, 16, 32, 960, 8, 16, 8, 2, 256, 0>;

const NOW: Instant = Instant::from_millis(5);
const PATH: PathId = PathId(0);

fn channel() -> ChannelId {
    ChannelId::new(1).unwrap()
}

fn device(config: ChannelConfig) -> Session<Mem> {
    let identity = Identity::insecure_plain(DeviceId::new(b"d").unwrap(), 0);
    Session::connect(&Config::default(), identity, &[config], [1; 32], Mem::new()).unwrap()
}

/// Everything that there is to send; a session that never stops fails the test.
fn sent(session: &mut Session<Mem>, now: Instant) -> Vec<Vec<u8>> {
    let mut buf = [0; 1500];
    let packets = core::iter::from_fn(|| {
        let len = session.poll_transmit(now, &mut buf)?.len;
        Some(buf[..len].to_vec())
    });
    let packets: Vec<_> = packets.take(100).collect();
    assert!(packets.len() < 100, "never silent");
    packets
}

fn accept(hello: &[u8], next: u64) -> Session<Mem> {
    let hello = Hello::parse(hello).unwrap().plain().unwrap();
    let epoch = StreamEpoch::new(1).unwrap();
    let streams = [StreamAdmission { id: channel().live(), epoch, next: SeqNo::new(next) }];
    let admission = Admission { streams: &streams };
    let cid = ConnectionId::new(&[1, 2, 3, 4]).unwrap();
    Session::accept(&Config::default(), &hello, &admission, cid, &[], [2; 32], Mem::new(), NOW, PATH).unwrap()
}

fn hand(session: &mut Session<Mem>, datagram: &[u8]) -> usize {
    let mut datagram = datagram.to_vec();
    let mut received = session.handle_datagram(NOW, PATH, &mut datagram);
    core::iter::from_fn(|| received.next().map(|_| ())).count()
}

fn connected(config: ChannelConfig) -> (Session<Mem>, Session<Mem>) {
    let mut device = device(config);
    let mut gateway = accept(&sent(&mut device, NOW)[0], 0);
    for datagram in sent(&mut gateway, NOW) {
        hand(&mut device, &datagram);
    }
    assert!(device.is_established());
    (device, gateway)
}

/// The keys that the gateway has.
fn keys(gateway: &Session<Mem>) -> PlainKeys {
    match gateway.state.keys {
        Keys::Plain(keys) => keys,
        _ => panic!("{:?}", gateway.state.keys),
    }
}

/// A packet of the device, made by hand.
fn forge(gateway: &Session<Mem>, pn: u64, frames: &[u8]) -> Vec<u8> {
    let mut buf = [0; 256];
    let mut w = Writer::new(&mut buf);
    let pn = PacketNumber::new(pn);
    ShortHeader::new(gateway.local_cid(), pn, None).emit(&mut w).unwrap();
    w.put(frames).unwrap();
    let mut packet = w.written().to_vec();
    packet.extend([0; 4]);
    assert!(Keys::Plain(keys(gateway)).seal(Direction::ToGateway, pn, 0, &mut packet));
    packet
}

// Section 7.2: a packet that could not be kept is not reported, however often it comes.
#[test]
fn a_doubled_packet_that_was_not_kept_is_not_answered() {
    let (_, mut gateway) = connected(ChannelConfig::ordered(channel(), SchemaId(1)));
    // Message 200 lies beyond any credit.
    let packet = forge(&gateway, 0, &[0x80, 1, 200, 0, 9]);
    hand(&mut gateway, &packet);
    hand(&mut gateway, &packet);
    assert_eq!(gateway.stats().rx_dropped.replayed, 1);
    assert!(sent(&mut gateway, NOW).is_empty());
    assert_eq!(gateway.poll_timeout(), None);
}

// Section 7.2: a packet that is not ack-eliciting is never a reason to send an ACK, not even twice.
#[test]
fn a_doubled_acknowledgement_is_not_answered_but_doubled_data_is() {
    let (mut device, mut gateway) = connected(ChannelConfig::ordered(channel(), SchemaId(1)));
    device.send(NOW, channel(), b"x").unwrap();
    let data = sent(&mut device, NOW);
    data.iter().for_each(|datagram| _ = hand(&mut gateway, datagram));
    let later = NOW + Config::default().max_ack_delay;
    let acks = sent(&mut gateway, later);
    assert_eq!(acks.len(), 1);
    hand(&mut device, &acks[0]);
    hand(&mut device, &acks[0]);
    assert_eq!(device.stats().rx_dropped.replayed, 1);
    assert!(sent(&mut device, later).is_empty());
    hand(&mut gateway, &data[0]);
    assert_eq!(sent(&mut gateway, later).len(), 1);
}

// Section 8: frames must name streams that the session has, or none of the packet takes effect.
#[test]
fn control_of_an_unknown_stream_is_malformed() {
    for frame in [&[0x03, 9, 5][..], &[0x04, 9, 5], &[0x02, 9, 0, 0, 0]] {
        let (_, mut gateway) = connected(ChannelConfig::ordered(channel(), SchemaId(1)));
        let packet = forge(&gateway, 0, frame);
        hand(&mut gateway, &packet);
        assert_eq!(gateway.stats().rx_dropped.malformed, 1, "{frame:?}");
        assert!(!gateway.is_established());
    }
}

fn reset(cause: &[u8]) -> Vec<u8> {
    let mut buf = [0; 64];
    let len = crate::wire::reset(cause, &mut buf).unwrap();
    buf[..len].to_vec()
}

// Section 7.7: a RESET must name a packet sent on this session.
#[test]
fn a_reset_that_names_no_packet_of_the_session_is_dropped() {
    let (mut device, _) = connected(ChannelConfig::durable(channel(), SchemaId(1)));
    hand(&mut device, &reset(&[0; 20]));
    assert_eq!(device.stats().rx_dropped.unexpected, 1);
    let last = sent(&mut device, NOW).pop().unwrap();
    let late = reset(&last);
    hand(&mut device, &late);
    let hello = sent(&mut device, NOW);
    let mut gateway = accept(&hello[0], 0);
    sent(&mut gateway, NOW).iter().for_each(|datagram| _ = hand(&mut device, datagram));
    assert_eq!(device.stats().reconnects, 1);
    // The same once more, late: the session that it speaks of is gone.
    hand(&mut device, &late);
    assert_eq!(device.stats().rx_dropped.unexpected, 2);
}

// The gateway would wait for a message that the device let go of: neither end could ever go on.
#[test]
fn an_answer_that_reaches_back_is_asked_for_anew() {
    let (mut device, mut old) = connected(ChannelConfig::durable(channel(), SchemaId(1)));
    device.send(NOW, channel(), b"x").unwrap();
    let data = sent(&mut device, NOW);
    hand(&mut device, &reset(data.last().unwrap()));
    let mut new = accept(&sent(&mut device, NOW)[0], 0);
    // But the old session is well, and commits.
    assert_eq!(data.iter().map(|datagram| hand(&mut old, datagram)).sum::<usize>(), 1);
    old.commit(NOW, channel().live(), SeqNo::new(1));
    sent(&mut old, NOW).iter().for_each(|datagram| _ = hand(&mut device, datagram));
    assert_eq!(device.queued(), 0);
    sent(&mut new, NOW).iter().for_each(|datagram| _ = hand(&mut device, datagram));
    assert_eq!(device.stats().reconnects, 0);
    let later = NOW + crate::Duration::from_secs(9);
    let hello = sent(&mut device, later).into_iter().find(|datagram| datagram[0] == 0x80).unwrap();
    let mut newest = accept(&hello, 1);
    sent(&mut newest, later).iter().for_each(|datagram| _ = hand(&mut device, datagram));
    assert_eq!(device.stats().reconnects, 1);
    device.send(later, channel(), b"y").unwrap();
    let messages: usize = sent(&mut device, later).iter().map(|datagram| hand(&mut newest, datagram)).sum();
    assert_eq!(messages, 1);
}

// Section 7.9: an end that received CLOSE sends nothing more, not even a HELLO that was under way.
#[test]
fn nothing_is_sent_after_a_close() {
    let (mut device, mut gateway) = connected(ChannelConfig::durable(channel(), SchemaId(1)));
    let first = sent(&mut device, NOW);
    first.iter().for_each(|datagram| _ = hand(&mut gateway, datagram));
    gateway.close(NOW, CloseReason::Done);
    gateway.repeat_accept(NOW, PATH);
    let last = sent(&mut gateway, NOW);
    assert_eq!(last.len(), 1);
    hand(&mut device, &reset(&first[0]));
    hand(&mut device, &last[0]);
    assert!(device.is_closed());
    assert!(sent(&mut device, NOW + crate::Duration::from_secs(9)).is_empty());
}

// Section 7.5: PING with backoff, although each is answered at once; section 7.3: at most ack reach apart.
#[test]
fn a_sink_that_is_slow_is_asked_less_and_less_often() {
    let (mut device, mut gateway) = connected(ChannelConfig::durable(channel(), SchemaId(1)));
    device.send(NOW, channel(), b"x").unwrap();
    let mut now = NOW;
    let mut asked = Vec::new();
    while now < NOW + crate::Duration::from_secs(120) {
        device.handle_timeout(now);
        gateway.handle_timeout(now);
        for mut datagram in sent(&mut device, now) {
            asked.push(now);
            while gateway.handle_datagram(now, PATH, &mut datagram).next().is_some() {}
        }
        for mut datagram in sent(&mut gateway, now) {
            device.handle_datagram(now, PATH, &mut datagram);
        }
        assert!(sent(&mut device, now).is_empty());
        now = [device.poll_timeout(), gateway.poll_timeout()].into_iter().flatten().min().expect("a commit is owed");
    }
    assert_eq!(device.queued(), 1);
    assert!((4..25).contains(&asked.len()), "{}", asked.len());
}

// A datagram of the smallest size has no room for an ACK beside the longest message: no PING in its place.
#[test]
fn a_message_without_room_waits_for_the_next_packet() {
    let small = Config { max_datagram: Config::MIN_DATAGRAM, ..Config::default() };
    let (mut device, mut gateway) = connected(ChannelConfig::ordered(channel(), SchemaId(1)));
    sent(&mut device, NOW).iter().for_each(|datagram| _ = hand(&mut gateway, datagram));
    device.state.config = small;
    let longest = [7; 127 - 21];
    let longest = &longest[..device.max_message()];
    device.send(NOW, channel(), longest).unwrap();
    device.state.recovery.ack.on_duplicate(NOW);
    // Every second packet of many: an ACK with a bitmap.
    for pn in (0..40).step_by(2).map(PacketNumber::new) {
        device.state.recovery.received.see(pn);
        device.state.recovery.received.accept(pn);
    }
    let packets = sent(&mut device, NOW);
    assert_eq!(packets.len(), 2);
    assert_eq!(device.state.recovery.in_flight, 2, "the first PING, and the message");
}

// Section 7.6: COMMIT says what is stored; nothing new is no reason for another one.
#[test]
fn a_commit_beyond_what_was_handed_on_is_said_once() {
    let (mut device, mut gateway) = connected(ChannelConfig::durable(channel(), SchemaId(1)));
    device.send(NOW, channel(), b"x").unwrap();
    sent(&mut device, NOW).iter().for_each(|datagram| _ = hand(&mut gateway, datagram));
    gateway.commit(NOW, channel().live(), SeqNo::new(9));
    sent(&mut gateway, NOW).iter().for_each(|datagram| _ = hand(&mut device, datagram));
    assert_eq!(device.queued(), 0);
    gateway.commit(NOW, channel().live(), SeqNo::new(9));
    assert!(sent(&mut gateway, NOW).is_empty());
}

// Section 7.7: RESET is shorter than its cause. Credit alone must be longer, or a device that only listens
// could ask a gateway that lost it for ever.
#[test]
fn credit_alone_is_long_enough_to_be_answered_by_a_reset() {
    let mut device = device(ChannelConfig::ordered(channel(), SchemaId(1)));
    let hello = sent(&mut device, NOW);
    let hello = Hello::parse(&hello[0]).unwrap().plain().unwrap();
    let streams = [StreamAdmission { id: channel().live(), epoch: StreamEpoch::new(1).unwrap(), next: SeqNo::ZERO }];
    let (admission, cid) = (Admission { streams: &streams }, ConnectionId::new(&[1, 2, 3, 4]).unwrap());
    let down = [ChannelConfig::ordered(channel(), SchemaId(1))];
    let gateway = Session::accept(&Config::default(), &hello, &admission, cid, &down, [2; 32], Mem::new(), NOW, PATH);
    sent(&mut gateway.unwrap(), NOW).iter().for_each(|datagram| _ = hand(&mut device, datagram));
    let packets = sent(&mut device, NOW);
    assert_eq!(packets.len(), 1);
    assert!(packets[0].len() > RESET_LEN);
    let len = crate::wire::reset(&packets[0], &mut [0; 64]);
    assert_eq!(len, Some(RESET_LEN));
}

// Section 6.4: a request goes with an acknowledgement. Before there is one to send it must not keep the clock due.
#[test]
fn a_gap_in_a_packet_that_was_not_kept_leaves_no_timer_behind() {
    let (_, mut gateway) = connected(ChannelConfig::ordered(channel(), SchemaId(1)));
    // Messages 1 to 3 without message 0: a third one finds no slot.
    let packet = forge(&gateway, 0, &[0xc0, 1, 1, 0, 1, 9, 0xc1, 1, 9, 0x81, 9]);
    hand(&mut gateway, &packet);
    assert_eq!(gateway.stats().rx_dropped.no_room, 1);
    assert!(sent(&mut gateway, NOW).is_empty());
    assert_eq!(gateway.poll_timeout(), None);
}

/// `connected`, with datagrams of 127 bytes, between memories of two streams.
fn pair(channels: &[ChannelConfig]) -> (Session<Two>, Session<Two>) {
    let config = Config { max_datagram: Config::MIN_DATAGRAM, ..Config::default() };
    let identity = Identity::insecure_plain(DeviceId::new(b"d").unwrap(), 0);
    let mut device = Session::connect(&config, identity, channels, [1; 32], Two::new()).unwrap();
    let mut buf = [0; 127];
    let len = device.poll_transmit(NOW, &mut buf).unwrap().len;
    let hello = Hello::parse(&buf[..len]).unwrap().plain().unwrap();
    let epoch = StreamEpoch::new(1).unwrap();
    let streams: Vec<_> =
        channels.iter().map(|channel| StreamAdmission { id: channel.id.live(), epoch, next: SeqNo::ZERO }).collect();
    let (admission, cid) = (Admission { streams: &streams }, ConnectionId::new(&[1, 2, 3, 4]).unwrap());
    let mut gateway = Session::accept(&config, &hello, &admission, cid, &[], [2; 32], Two::new(), NOW, PATH).unwrap();
    let len = gateway.poll_transmit(NOW, &mut buf).unwrap().len;
    device.handle_datagram(NOW, PATH, &mut buf[..len]);
    (device, gateway)
}

type Two = Inline<2, 2, 16, 32, 960, 8, 16, 16, 4, 512, 0>;

/// A datagram from one to the other, if there is one; the messages in it by channel.
fn carry(from: &mut Session<Two>, to: &mut Session<Two>, now: Instant) -> Option<Vec<u8>> {
    let mut buf = [0; 127];
    from.handle_timeout(now);
    let len = from.poll_transmit(now, &mut buf)?.len;
    let mut received = to.handle_datagram(now, PATH, &mut buf[..len]);
    Some(core::iter::from_fn(|| received.next().map(|message| message.channel().number())).collect())
}

// Two channels of one priority take turns, although their messages never fit into one packet.
#[test]
fn a_message_that_finds_no_room_has_its_turn() {
    let other = ChannelId::new(2).unwrap();
    let channels = [ChannelConfig::ordered(channel(), SchemaId(1)), ChannelConfig::ordered(other, SchemaId(1))];
    let (mut device, mut gateway) = pair(&channels);
    for _ in 0..4 {
        device.send(NOW, channel(), &[7; 60]).unwrap();
        device.send(NOW, other, &[7; 90]).unwrap();
    }
    let mut arrived = Vec::new();
    while arrived.len() < 8 {
        arrived.extend(carry(&mut device, &mut gateway, NOW).expect("more to send"));
        while carry(&mut gateway, &mut device, NOW).is_some() {}
    }
    assert!(arrived.windows(2).all(|two| two[0] != two[1]), "{arrived:?}");
}

// Section 6.2: a peer that puts nothing together gets no fragments, also of what is too long only with a lifetime.
#[test]
fn what_is_too_long_with_its_lifetime_is_refused() {
    let (mut device, mut gateway) = pair(&[ChannelConfig::reliable(channel(), SchemaId(1))]);
    let options = SendOptions { lifetime: Some(crate::Duration::from_secs(9)), ..SendOptions::default() };
    let longest = device.max_message();
    let mut arrived = 0;
    for len in [longest - 5, longest - 4, longest] {
        let sent = device.send_with(NOW, channel(), options, &[7; 127][..len]);
        assert_eq!(sent.is_ok(), len == longest - 5, "{sent:?}");
        while let Some(messages) = carry(&mut device, &mut gateway, NOW) {
            arrived += messages.len();
        }
        while carry(&mut gateway, &mut device, NOW).is_some() {}
    }
    assert_eq!((arrived, gateway.stats().rx_dropped.malformed), (1, 0));
}

// Section 7.3: no packet beyond the peer's reach. One that can report nothing must not be sent to without end.
#[test]
fn a_peer_of_no_reach_is_sent_to_in_its_own_time() {
    for reach in 0..3 {
        let (mut device, mut gateway) = pair(&[ChannelConfig::ordered(channel(), SchemaId(1))]);
        while carry(&mut device, &mut gateway, NOW).is_some() {}
        while carry(&mut gateway, &mut device, NOW).is_some() {}
        device.state.peer.ack_reach = reach;
        for _ in 0..6 {
            device.send(NOW, channel(), &[7; 90]).unwrap();
        }
        let (mut now, mut arrived, mut packets) = (NOW, 0, 0);
        while arrived < 6 {
            while let Some(messages) = carry(&mut device, &mut gateway, now) {
                arrived += messages.len();
                packets += 1;
                assert!(packets < 50, "{arrived} messages arrived");
            }
            while carry(&mut gateway, &mut device, now).is_some() {}
            now = [device.poll_timeout(), gateway.poll_timeout()].into_iter().flatten().min().unwrap_or(now).max(now);
        }
    }
}

// An application that was told `Full` is told when there is room, whoever sees first that a deadline passed.
#[test]
fn room_made_by_a_deadline_is_reported() {
    let soon = SendOptions { lifetime: Some(crate::Duration::from_millis(10)), ..SendOptions::default() };
    for (expiring, by_timer) in [(1, true), (6, true), (1, false), (6, false)] {
        let (mut device, _) = connected(ChannelConfig::reliable(channel(), SchemaId(1)));
        for at in 0..6 {
            let options = if at < expiring { soon } else { SendOptions::default() };
            device.send_with(NOW, channel(), options, &[7; 128]).unwrap();
        }
        assert_eq!(device.send(NOW, channel(), &[7; 128]), Err(SendError::Full));
        while device.poll_event().is_some() {}
        let later = NOW + crate::Duration::from_millis(10);
        if by_timer {
            device.handle_timeout(later);
        } else {
            sent(&mut device, later);
        }
        let events: Vec<_> = core::iter::from_fn(|| device.poll_event()).collect();
        assert!(events.contains(&Event::QueueFreed), "{expiring} {by_timer}: {events:?}");
        device.send(later, channel(), &[7; 128]).unwrap();
    }
}

// With nothing owed the radio may sleep: the deadline of a message that arrived is none.
#[test]
fn a_lifetime_that_is_not_needed_keeps_nobody_awake() {
    let (mut device, mut gateway) = connected(ChannelConfig::reliable(channel(), SchemaId(1)));
    let options = SendOptions { lifetime: Some(crate::Duration::from_secs(9)), ..SendOptions::default() };
    device.send_with(NOW, channel(), options, b"x").unwrap();
    sent(&mut device, NOW).iter().for_each(|datagram| _ = hand(&mut gateway, datagram));
    sent(&mut gateway, NOW).iter().for_each(|datagram| _ = hand(&mut device, datagram));
    assert!(sent(&mut device, NOW).is_empty());
    assert_eq!((device.queued(), device.poll_timeout()), (0, None));
}

// Repeats go beside a new message, not in its place: neither in the ring of what is in flight, nor in a datagram
// kept short because urgent ones could wait behind it.
#[test]
fn repeats_leave_a_place_for_what_is_new() {
    for (priority, len) in [(crate::Priority::Normal, 1), (crate::Priority::High, 120)] {
        let config = ChannelConfig::ordered(channel(), SchemaId(1)).with_redundancy(crate::Redundancy::Fixed(9));
        let (mut device, _) = connected(config.with_priority(priority));
        for at in 0..6 {
            device.send(NOW, channel(), &[7; 120][..len]).unwrap();
            let packets = sent(&mut device, NOW).len();
            assert_eq!((packets, device.stats().tx_messages), (1, at + 1), "{priority:?}");
        }
    }
}

// Section 7.4: what is skipped is skipped before what follows is handed on, and the application sees where.
#[test]
fn what_was_given_up_is_said_with_what_follows() {
    let (_, mut gateway) = connected(ChannelConfig::ordered(channel(), SchemaId(1)));
    let mut seen = Vec::new();
    // DATA 0; then FORWARD to 3, and DATA 3.
    for (pn, frames) in [(0, &[0x80, 1, 0, 0, 9][..]), (1, &[0x10, 1, 3, 0x80, 1, 3, 0, 9])] {
        let mut datagram = forge(&gateway, pn, frames);
        let mut received = gateway.handle_datagram(NOW, PATH, &mut datagram);
        while let Some(message) = received.next() {
            seen.push((message.seq.value(), message.after.value()));
        }
    }
    assert_eq!(seen, [(0, 0), (3, 1)]);
    assert_eq!(gateway.received_ledger().skipped, 2);
}
