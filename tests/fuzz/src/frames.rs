//! The frames of a packet: any bytes, every frame looked at in full.

use whimbrel_core::wire::{
    Ack, COMMIT_BEYOND_MAX, Commit, DATA_FRAMES_MAX, Data, DataHead, Frame, Frames, NAK_BEYOND_MAX, Nak, Writer,
    emit_close, emit_commit_beyond, emit_credit, emit_forward, emit_forwarded, emit_gateway_key, emit_nak,
    emit_path_challenge, emit_path_response, emit_ping,
};
use whimbrel_core::{BufferTooSmall, StreamId};

/// The most ranges that an ACK can say: the run, every other bit of 32 bytes, four ranges.
const RANGES_MAX: usize = 1 + 32 * 8 / 2 + 4;

/// Every frame keeps its bounds, and a packet without ACK frames, whose form is a choice, is canonical.
pub fn run(bytes: &[u8]) {
    let (mut count, mut data, mut canonical) = (0, 0u8, true);
    for frame in Frames::new(bytes) {
        count += 1;
        match frame {
            Ok(Frame::Ack(ack)) => {
                check_ack(&ack);
                canonical = false;
            }
            Ok(Frame::Nak(nak)) => check_nak(&nak),
            Ok(Frame::Commit(commit)) => check_commit(&commit),
            Ok(Frame::Data(_)) => data += 1,
            Ok(_) => {}
            Err(_) => canonical = false,
        }
    }
    assert!(count <= bytes.len() && data <= DATA_FRAMES_MAX);
    if canonical {
        assert_eq!(rewritten(bytes), bytes);
    }
}

fn check_ack(ack: &Ack<'_>) {
    assert_eq!(ack.ranges().next().map(|range| *range.end()), Some(ack.largest.value()));
    let (mut above, mut count) = (None, 0);
    for range in ack.ranges() {
        assert!(range.start() <= range.end());
        assert!(above.is_none_or(|above| *range.end() < above), "ranges must descend");
        above = Some(*range.start());
        count += 1;
    }
    assert!(count <= RANGES_MAX);
}

fn check_nak(nak: &Nak<'_>) {
    let ahead: Vec<u16> = nak.missing().map(|seq| seq.wrapping_sub(nak.base)).collect();
    assert_eq!(ahead.first(), Some(&0));
    assert!(ahead.is_sorted_by(|a, b| a < b) && ahead.iter().all(|ahead| *ahead <= NAK_BEYOND_MAX));
}

fn check_commit(commit: &Commit<'_>) {
    let beyond: Vec<u64> = commit.beyond().map(|seq| seq.value()).collect();
    assert!(beyond.is_sorted_by(|a, b| a < b));
    let within = |seq: &u64| *seq > commit.next.value() && *seq - commit.next.value() <= u64::from(COMMIT_BEYOND_MAX);
    assert!(beyond.iter().all(within));
}

/// The same frames, written anew.
fn rewritten(bytes: &[u8]) -> Vec<u8> {
    let mut buf = vec![0; bytes.len()];
    let mut w = Writer::new(&mut buf);
    let mut previous = None;
    let mut frames = Frames::new(bytes).flatten().peekable();
    while let Some(frame) = frames.next() {
        let written = rewrite(frame, &mut previous, frames.peek().is_none(), &mut w);
        written.expect("no longer than it was");
    }
    let len = w.len();
    buf.truncate(len);
    buf
}

fn rewrite(
    frame: Frame<'_>,
    previous: &mut Option<(StreamId, u16)>,
    last: bool,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    match frame {
        Frame::Padding => w.u8(0),
        Frame::Ping => emit_ping(w),
        Frame::Close { reason } => emit_close(reason, w),
        Frame::GatewayKey { key } => emit_gateway_key(key, w),
        Frame::PathChallenge { token } => emit_path_challenge(token, w),
        Frame::PathResponse { token } => emit_path_response(token, w),
        Frame::Credit { stream, limit } => emit_credit(stream, limit, w),
        Frame::Forward { stream, next } => emit_forward(stream, next, w),
        Frame::Forwarded { stream, next, lacked } => emit_forwarded(stream, next, lacked, w),
        Frame::Nak(nak) => {
            emit_nak(nak.stream, nak.base, |k| nak.missing().any(|seq| seq == nak.base.wrapping_add(k)), w)
        }
        Frame::Commit(commit) => {
            let stored = |k| commit.beyond().any(|seq| seq.value() - commit.next.value() == u64::from(k));
            emit_commit_beyond(commit.stream, commit.next, stored, w)
        }
        Frame::Data(data) => {
            let head = head_of(&data);
            head.emit(head.follows(*previous), (!last).then_some(data.payload.len() as u16), w)?;
            *previous = Some((data.stream, data.seq16));
            w.put(data.payload)
        }
        Frame::Ack(ack) => panic!("of several forms: {ack:?}"),
    }
}

/// All of a message's frame but its payload.
pub fn head_of(data: &Data<'_>) -> DataHead {
    let Data { stream, seq16, sampled, lifetime_ms, fragment, schema, .. } = *data;
    DataHead { stream, seq16, sampled, lifetime_ms, fragment, schema }
}
