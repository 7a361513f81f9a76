//! The vectors of `docs/PROTOCOL.md` against this implementation, so that text and code cannot
//! drift apart. Three kinds of fenced block are read:
//!
//! ```text
//! vector NAME      hexadecimal bytes, comments after #
//! reject KIND      one case a line: bytes | error      KIND: datagram, frames
//! numbers KIND     one case a line, hexadecimal         KIND: packet, message
//! ```

extern crate std;
use std::{collections::BTreeMap, format, string::String, vec, vec::Vec};

use super::*;
use crate::{
    CloseReason, ConnectionId, DecodeError, Delivery, DeviceId, Duration, PacketNumber, SchemaId, SeqNo, StreamEpoch,
    StreamId, stream,
};

/// What [`crate::session`]'s sealed vectors check.
pub(crate) const SEALED: [&str; 9] = [
    "sealed-hello",
    "sealed-hello-cookie",
    "sealed-accept",
    "sealed-ping",
    "sealed-ping-next-phase",
    "sealed-refuse",
    "counter-low",
    "cookie",
    "sealed-reset",
];

const TEXT: &str = include_str!("../../../docs/PROTOCOL.md");

const DEVICE_NONCE: u64 = 0x1122_3344_5566_7788;
const GATEWAY_NONCE: u64 = 0x99aa_bbcc_ddee_ff00;

/// The lines of every fenced block of a kind, by the name after the kind.
fn blocks(kind: &str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut lines = TEXT.lines();
    while let Some(line) = lines.next() {
        let Some(("```", name)) = line.split_once(kind).map(|(fence, name)| (fence, name.trim())) else {
            continue;
        };
        let body = lines.by_ref().take_while(|line| *line != "```");
        let body = body.map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty());
        assert!(found.insert(name, body.collect()).is_none(), "{kind} {name} stands there twice");
    }
    found
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

pub(crate) fn vector(name: &str) -> Vec<u8> {
    bytes(&blocks("vector").get(name).unwrap_or_else(|| panic!("no vector {name}")).join(" "))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}

fn id(number: u8) -> StreamId {
    StreamId::from_wire(number).unwrap()
}

pub(crate) fn limits(max_datagram: u16) -> Limits {
    Limits { max_datagram, max_message: 1024, max_slot: 256, ack_reach: 255, max_ack_delay: Duration::from_millis(25) }
}

pub(crate) fn offer(
    number: u8,
    delivery: Delivery,
    durable: bool,
    schema: u64,
    epoch: u32,
    base: u64,
    next: u64,
) -> OfferedStream {
    OfferedStream {
        id: id(number),
        delivery,
        durable,
        schema: SchemaId(schema),
        epoch: StreamEpoch::new(epoch),
        base: SeqNo::new(base),
        next: SeqNo::new(next),
    }
}

/// A frame, or what `write` makes of 200 bytes.
fn written(write: impl FnOnce(&mut Writer<'_>) -> Result<(), crate::BufferTooSmall>) -> Vec<u8> {
    let mut buf = [0; 200];
    let mut w = Writer::new(&mut buf);
    write(&mut w).unwrap();
    w.written().to_vec()
}

fn hello() -> Vec<u8> {
    let fields = HelloFields {
        device: DeviceId::new(b"sim-0").unwrap(),
        nonce: DEVICE_NONCE,
        boot_epoch: 3,
        reply_cid: ConnectionId::EMPTY,
        limits: limits(1200),
    };
    let streams = [
        offer(1, Delivery::Ordered, true, 0x0123_4567_89ab_cdef, 0, 0, 7),
        offer(2, Delivery::BestEffort, false, 2, 4, 300, 300),
    ];
    let mut buf = [0; 200];
    let len = emit_hello(&fields, streams.into_iter(), &mut buf).unwrap();
    buf[..len].to_vec()
}

fn gateway_cid() -> ConnectionId {
    ConnectionId::new(&[10, 11, 12, 13]).unwrap()
}

fn accept() -> Vec<u8> {
    let fields = AcceptFields { echo: DEVICE_NONCE, nonce: GATEWAY_NONCE, cid: gateway_cid(), limits: limits(1452) };
    let accepted = [(1, 5, 0, 64), (2, 4, 300, u64::MAX)].map(|(number, epoch, next, credit)| AcceptedStream {
        id: id(number),
        epoch: StreamEpoch::new(epoch).unwrap(),
        next: SeqNo::new(next),
        credit: SeqNo::new(credit),
    });
    let offered = [offer(3, Delivery::Ordered, false, 3, 9, 0, 0)];
    let mut buf = [0; 200];
    let len = emit_accept(&fields, accepted.into_iter(), offered.into_iter(), &mut buf).unwrap();
    buf[..len].to_vec()
}

/// A packet in plain protection, its trailer made as the text says.
fn short(header: &ShortHeader, pn: u64, direction: u8, frames: &[u8]) -> Vec<u8> {
    let mut packet = written(|w| header.emit(w).and_then(|()| w.put(frames)));
    let mut check = crc::Crc32::new();
    check.update(&DEVICE_NONCE.to_le_bytes());
    check.update(&GATEWAY_NONCE.to_le_bytes());
    check.update(&[direction]);
    check.update(&pn.to_le_bytes());
    check.update(&packet);
    packet.extend(check.finish().to_le_bytes());
    packet
}

fn short_data() -> Vec<u8> {
    let frames = written(|w| {
        DataHead::new(id(1), 0).emit(false, Some(2), w)?;
        w.put(b"hi")?;
        DataHead::new(id(1), 1).emit(true, None, w)?;
        w.put(b"there")
    });
    short(&ShortHeader::new(gateway_cid(), PacketNumber::new(0), None), 0, 0, &frames)
}

fn short_ack() -> Vec<u8> {
    let frames = written(|w| {
        emit_ack(PacketNumber::new(0), Duration::from_millis(1), |_| false, 255, w)?;
        emit_credit(id(1), SeqNo::new(66), w)?;
        emit_commit(id(1), SeqNo::new(2), w)
    });
    let pn = PacketNumber::new(0x1_2345);
    let header = ShortHeader::new(ConnectionId::EMPTY, pn, Some(PacketNumber::new(0x1_2200)));
    short(&header, pn.value(), 1, &frames)
}

fn full_data() -> Vec<u8> {
    let head = DataHead {
        sampled: Some(Sampled { boot_epoch: 3, uptime_us: 90_000_000 }),
        lifetime_ms: Some(1500),
        fragment: Some(Fragment { index: 1, count: 3 }),
        schema: Some(SchemaId(0x0123_4567_89ab_cdef)),
        ..DataHead::new(id(0x41), 0xfffe)
    };
    written(|w| head.emit(false, None, w).and_then(|()| w.put(&[0xaa, 0xbb])))
}

fn ack(largest: u64, delay_us: u64, received: &[u64]) -> Vec<u8> {
    let below = |k| received.contains(&(largest - k));
    written(|w| emit_ack(PacketNumber::new(largest), Duration::from_micros(delay_us), below, 255, w))
}

/// What this implementation writes. An ACK with bitmap and ranges both it never does.
fn ours() -> Vec<(&'static str, Vec<u8>)> {
    let mut refusal = [0; REFUSE_LEN];
    let hello = hello();
    refuse(&Hello::parse(&hello).unwrap().plain().unwrap(), CloseReason::Version, &mut refusal).unwrap();
    let mut reset_packet = [0; RESET_LEN];
    reset(&short_data(), &mut reset_packet).unwrap();
    let mut frame = [0; stream::encoded_len_max(3)];
    let frame_len = stream::encode(&[0x00, 0x11, 0x22], &mut frame).unwrap();
    vec![
        ("hello", hello),
        ("accept", accept()),
        ("refuse", refusal.to_vec()),
        ("reset", reset_packet.to_vec()),
        ("short-data", short_data()),
        ("short-ack", short_ack()),
        ("padding", vec![0; 3]),
        ("data-all-fields", full_data()),
        ("ack-run", ack(20, 1007, &[19, 18, 17])),
        ("ack-bitmap", ack(20, 0, &[19, 18, 17, 15, 14, 12])),
        ("ack-ranges", ack(300, 0, &[297, 296, 295, 94])),
        ("nak", written(|w| emit_nak(id(1), 0xfffe, |k| k == 1 || k == 3, w))),
        ("nak-one", written(|w| emit_nak(id(1), 7, |_| false, w))),
        ("credit", written(|w| emit_credit(id(1), SeqNo::new(300), w))),
        ("commit", written(|w| emit_commit(id(1), SeqNo::new(300), w))),
        ("commit-beyond", written(|w| emit_commit_beyond(id(1), SeqNo::new(300), |k| k == 1 || k == 3, w))),
        ("forward", written(|w| emit_forward(id(1), SeqNo::new(300), w))),
        ("forwarded", written(|w| emit_forwarded(id(1), SeqNo::new(300), 3, w))),
        ("ping", written(emit_ping)),
        ("close", written(|w| emit_close(CloseReason::GoingAway, w))),
        ("stream-frame", frame[..frame_len].to_vec()),
    ]
}

#[test]
fn every_vector_is_what_we_write() {
    let mut documented = blocks("vector");
    for (name, bytes) in ours() {
        assert!(documented.remove(name).is_some(), "the text has no vector {name}");
        assert_eq!(hex(&vector(name)), hex(&bytes), "{name}");
    }
    documented.retain(|name, _| !SEALED.contains(name));
    assert_eq!(documented.into_keys().collect::<Vec<_>>(), ["ack-both"], "vectors that nothing checks");
}

/// The frames of a short packet, when its trailer is right for this number and direction.
fn opened(packet: &[u8], largest: Option<u64>, direction: u8) -> Option<Vec<u8>> {
    let (header, len) = ShortHeader::parse(packet).unwrap();
    let pn = header.packet_number(largest.map(PacketNumber::new)).value();
    let frames = &packet[len..packet.len() - crc::LEN];
    (short(&header, pn, direction, frames) == packet).then(|| frames.to_vec())
}

#[test]
fn every_vector_says_what_the_text_says() {
    let hello = vector("hello");
    let hello = Hello::parse(&hello).unwrap().plain().unwrap();
    assert_eq!((hello.device().as_bytes(), hello.id(), hello.boot_epoch()), (&b"sim-0"[..], DEVICE_NONCE, 3));
    assert_eq!(hello.streams().map(|stream| stream.next.value()).collect::<Vec<_>>(), [7, 300]);
    let accept = vector("accept");
    let accept = Accept::parse(&accept).unwrap();
    assert_eq!((accept.echo(), accept.nonce(), accept.cid()), (DEVICE_NONCE, GATEWAY_NONCE, gateway_cid()));
    assert_eq!(accept.streams().map(|stream| stream.epoch.number()).collect::<Vec<_>>(), [5, 4]);
    assert_eq!(accept.offered().map(|stream| stream.id).collect::<Vec<_>>(), [id(3)]);
    let refusal = Refuse { echo: DEVICE_NONCE, code: RefuseCode::Version, lowest: 1, highest: 1 };
    assert_eq!(Refuse::parse(&vector("refuse")), Ok(refusal));
    assert_eq!(Reset::parse(&vector("reset")).ok(), Reset::caused_by(&vector("short-data")));

    let frames = opened(&vector("short-data"), None, 0).unwrap();
    let messages: Vec<_> = Frames::new(&frames)
        .map(|frame| match frame {
            Ok(Frame::Data(data)) => (data.stream, data.seq16, data.payload),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(messages, [(id(1), 0, &b"hi"[..]), (id(1), 1, b"there")]);
    assert!(opened(&vector("short-data"), None, 1).is_none(), "reflected");
    assert!(opened(&vector("short-ack"), Some(0x1_2300), 1).is_some());
    assert!(opened(&vector("short-ack"), Some(0x2_2300), 1).is_none(), "number rebuilt wrongly");

    for (name, arrived) in [
        ("ack-run", vec![17..=20]),
        ("ack-bitmap", vec![17..=20, 14..=15, 12..=12]),
        ("ack-ranges", vec![300..=300, 295..=297, 94..=94]),
        ("ack-both", vec![17..=20, 8..=8, 6..=6]),
    ] {
        let bytes = vector(name);
        let Some(Ok(Frame::Ack(ack))) = Frames::new(&bytes).next() else { panic!("{name}") };
        assert_eq!(ack.ranges().collect::<Vec<_>>(), arrived, "{name}");
    }
    let nak = vector("nak");
    let Some(Ok(Frame::Nak(nak))) = Frames::new(&nak).next() else { panic!("nak") };
    assert_eq!(nak.missing().collect::<Vec<_>>(), [0xfffe, 0xffff, 1]);
    let commit = vector("commit-beyond");
    let Some(Ok(Frame::Commit(commit))) = Frames::new(&commit).next() else { panic!("commit") };
    assert_eq!(commit.beyond().map(SeqNo::value).collect::<Vec<_>>(), [301, 303]);
    let mut deframer = stream::Deframer::new([0; 8]);
    assert_eq!(deframer.push(&vector("stream-frame")).1, Some(&mut [0x00, 0x11, 0x22][..]));
}

/// What is wrong with a datagram, as far as it can be told without a session.
fn datagram_error(datagram: &[u8]) -> Option<DecodeError> {
    match route(datagram) {
        Err(error) => Some(error),
        Ok(Route::Session(_)) => None,
        Ok(Route::Hello) => Hello::parse(datagram).err(),
        Ok(Route::Other) => Accept::parse(datagram).err(),
    }
}

#[test]
fn what_the_text_rejects_is_rejected() {
    let cases = blocks("reject");
    assert_eq!(cases.keys().copied().collect::<Vec<_>>(), ["datagram", "frames"]);
    for (kind, lines) in cases {
        assert!(lines.len() > 5, "{kind}");
        for line in lines {
            let (case, name) = line.split_once('|').unwrap();
            let case = bytes(case);
            let got = match kind {
                "datagram" => datagram_error(&case),
                _ => Frames::new(&case).find_map(Result::err),
            };
            let expected = match name.trim() {
                "truncated" => DecodeError::Truncated,
                "invalid" => DecodeError::Invalid,
                "not canonical" => DecodeError::NotCanonical,
                "unknown" => DecodeError::Unknown,
                "version" => DecodeError::Version,
                other => panic!("no error is called {other}"),
            };
            assert_eq!(got, Some(expected), "{line}");
        }
    }
}

#[test]
fn numbers_are_rebuilt_as_the_text_says() {
    let cases = blocks("numbers");
    let hex = |field: &str| u64::from_str_radix(field, 16).unwrap();
    let fields = |line: &'static str| line.split_whitespace().collect::<Vec<_>>();
    for line in &cases["packet"] {
        let [len, truncated, largest, full] = fields(line)[..] else { panic!("{line}") };
        let largest = (largest != "none").then(|| PacketNumber::new(hex(largest)));
        let got = PacketNumber::expand(hex(truncated) as u32, hex(len) as usize, largest);
        assert_eq!(got.value(), hex(full), "{line}");
    }
    for line in &cases["message"] {
        let [truncated, next, full] = fields(line)[..] else { panic!("{line}") };
        assert_eq!(SeqNo::expand(hex(truncated) as u16, SeqNo::new(hex(next))).value(), hex(full), "{line}");
    }
}
