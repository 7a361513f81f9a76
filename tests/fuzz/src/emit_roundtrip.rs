//! Frames drawn from the bytes, written into a packet, and read from it again.

use super::frames::head_of;
use super::source::Source;
use std::collections::BTreeSet;
use whimbrel_core::wire::{
    ACK_REACH_MAX, COMMIT_BEYOND_MAX, DATA_FRAMES_MAX, DataHead, Fragment, Frame, Frames, NAK_BEYOND_MAX, Sampled,
    Writer, drop_last_length, emit_ack, emit_close, emit_commit_beyond, emit_credit, emit_forward, emit_forwarded,
    emit_gateway_key, emit_nak, emit_path_challenge, emit_path_response, emit_ping,
};
use whimbrel_core::{BufferTooSmall, CloseReason, Duration, PacketNumber, SchemaId, SeqNo, StreamId};

/// What is to come back.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Padding,
    Ping,
    Close(CloseReason),
    Credit(StreamId, SeqNo),
    /// Largest, delay, and every packet that arrived, descending.
    Ack(u64, Duration, Vec<u64>),
    Nak(StreamId, Vec<u16>),
    Commit(StreamId, SeqNo, Vec<u64>),
    Forward(StreamId, SeqNo),
    Forwarded(StreamId, SeqNo, u64),
    GatewayKey([u8; 32]),
    PathChallenge(u64),
    PathResponse(u64),
    Data(DataHead, Vec<u8>),
}

/// All that was written comes back; what did not fit left nothing behind.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut buf = vec![0; usize::from(source.u16() % 1500)];
    let mut w = Writer::new(&mut buf);
    let (mut wanted, mut previous, mut last_data) = (Vec::new(), None, None);
    let mut data_left = DATA_FRAMES_MAX;
    while !source.is_empty() && wanted.len() < 200 {
        let before = w.len();
        let kind = source.u8() % 14;
        if kind >= 12 && data_left == 0 {
            continue;
        }
        match write(kind, &mut source, previous, &mut w) {
            Ok(frame) => {
                last_data = None;
                if let Wanted::Data(head, payload) = &frame {
                    data_left -= 1;
                    previous = Some((head.stream, head.seq16));
                    last_data = Some((before, payload.len() as u16));
                }
                wanted.push(frame);
            }
            Err(BufferTooSmall) => assert_eq!(w.len(), before, "something was left behind"),
        }
    }
    if let Some((at, len)) = last_data {
        drop_last_length(&mut w, at, len);
    }
    let frames: Vec<_> = Frames::new(w.written()).collect();
    assert_eq!(frames.iter().map(|frame| read(&frame.expect("a frame"))).collect::<Vec<_>>(), wanted);
}

fn write(
    kind: u8,
    source: &mut Source<'_>,
    previous: Option<(StreamId, u16)>,
    w: &mut Writer<'_>,
) -> Result<Wanted, BufferTooSmall> {
    let stream = StreamId::from_wire(source.u8() & 0x7f).expect("bit 7 is clear");
    match kind {
        0 => w.u8(0).map(|()| Wanted::Padding),
        1 => emit_ping(w).map(|()| Wanted::Ping),
        2 => {
            let reasons = [CloseReason::Done, CloseReason::GoingAway, CloseReason::Refused, CloseReason::Superseded];
            let reason = reasons[usize::from(source.u8() % 4)];
            emit_close(reason, w).map(|()| Wanted::Close(reason))
        }
        3 => {
            let limit = SeqNo::new(source.u64());
            emit_credit(stream, limit, w).map(|()| Wanted::Credit(stream, limit))
        }
        4 => write_ack(source, w),
        5 => {
            let base = source.u16();
            let ahead = set(source, NAK_BEYOND_MAX.into());
            emit_nak(stream, base, |k| ahead.contains(&k.into()), w)?;
            let missing = ahead.iter().map(|k| base.wrapping_add(*k as u16));
            Ok(Wanted::Nak(stream, core::iter::once(base).chain(missing).collect()))
        }
        6 => {
            let next = SeqNo::new(source.u64().min(u64::MAX - u64::from(COMMIT_BEYOND_MAX)));
            let beyond = set(source, COMMIT_BEYOND_MAX.into());
            emit_commit_beyond(stream, next, |k| beyond.contains(&k.into()), w)?;
            Ok(Wanted::Commit(stream, next, beyond.iter().map(|k| next.value() + k).collect()))
        }
        7 => {
            let next = SeqNo::new(source.u64());
            emit_forward(stream, next, w).map(|()| Wanted::Forward(stream, next))
        }
        8 => {
            let next = source.u64();
            let (lacked, next) = (source.u64().min(next), SeqNo::new(next));
            emit_forwarded(stream, next, lacked, w).map(|()| Wanted::Forwarded(stream, next, lacked))
        }
        9 => {
            let token = source.u64();
            emit_path_challenge(token, w).map(|()| Wanted::PathChallenge(token))
        }
        11 => {
            let key = [source.u8(); 32];
            emit_gateway_key(&key, w).map(|()| Wanted::GatewayKey(key))
        }
        10 => {
            let token = source.u64();
            emit_path_response(token, w).map(|()| Wanted::PathResponse(token))
        }
        _ => write_data(source, stream, previous, w),
    }
}

/// A few numbers from 1 to `max`.
fn set(source: &mut Source<'_>, max: u64) -> BTreeSet<u64> {
    let count = source.u8() % 32;
    (0..count).map(|_| 1 + u64::from(source.u8()) % max).collect()
}

fn write_ack(source: &mut Source<'_>, w: &mut Writer<'_>) -> Result<Wanted, BufferTooSmall> {
    let (largest, delay, reach) = (source.u64().min(u64::MAX - 1), source.u32(), u64::from(source.u8()));
    // What is missing, or what arrived: the one makes long runs, the other short ones.
    let (odd, missing) = (set(source, ACK_REACH_MAX), source.bool());
    let received = |k: u64| odd.contains(&k) != missing;
    emit_ack(PacketNumber::new(largest), Duration::from_micros(delay.into()), received, reach, w)?;
    let below = (1..=reach.min(largest)).filter(|k| received(*k)).map(|k| largest - k);
    let delay = Duration::from_micros(u64::from(delay >> 3) << 3);
    Ok(Wanted::Ack(largest, delay, core::iter::once(largest).chain(below).collect()))
}

fn write_data(
    source: &mut Source<'_>,
    stream: StreamId,
    previous: Option<(StreamId, u16)>,
    w: &mut Writer<'_>,
) -> Result<Wanted, BufferTooSmall> {
    let fields = source.u8();
    let has = |bit: u8| fields & bit != 0;
    let mut head = DataHead::new(stream, source.u16());
    if let Some((stream, seq16)) = previous.filter(|_| has(1)) {
        (head.stream, head.seq16) = (stream, seq16.wrapping_add(1));
    }
    head.sampled = has(2).then(|| Sampled { boot_epoch: source.u32(), uptime_us: source.u64() });
    head.lifetime_ms = has(4).then(|| source.u32());
    head.fragment = has(8).then(|| {
        let index = source.u8().min(254);
        Fragment { index, count: (index + 1).max(source.u8()).max(2) }
    });
    head.schema = has(16).then(|| SchemaId(source.u64()));
    let len = usize::from(source.u8());
    let payload = source.bytes(len);
    let (follows, len) = (head.follows(previous), Some(payload.len() as u16));
    w.whole(|w| {
        let before = w.len();
        head.emit(follows, len, w)?;
        assert_eq!(w.len() - before, head.len(follows, len));
        w.put(payload)
    })?;
    Ok(Wanted::Data(head, payload.to_vec()))
}

fn read(frame: &Frame<'_>) -> Wanted {
    match frame {
        Frame::Padding => Wanted::Padding,
        Frame::Ping => Wanted::Ping,
        Frame::Close { reason } => Wanted::Close(*reason),
        Frame::GatewayKey { key } => Wanted::GatewayKey(**key),
        Frame::PathChallenge { token } => Wanted::PathChallenge(*token),
        Frame::PathResponse { token } => Wanted::PathResponse(*token),
        Frame::Credit { stream, limit } => Wanted::Credit(*stream, *limit),
        Frame::Ack(ack) => {
            Wanted::Ack(ack.largest.value(), ack.delay, ack.ranges().flat_map(|range| range.rev()).collect())
        }
        Frame::Nak(nak) => Wanted::Nak(nak.stream, nak.missing().collect()),
        Frame::Commit(commit) => {
            Wanted::Commit(commit.stream, commit.next, commit.beyond().map(SeqNo::value).collect())
        }
        Frame::Forward { stream, next } => Wanted::Forward(*stream, *next),
        Frame::Forwarded { stream, next, lacked } => Wanted::Forwarded(*stream, *next, *lacked),
        Frame::Data(data) => Wanted::Data(head_of(data), data.payload.to_vec()),
    }
}
