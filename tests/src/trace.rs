//! What a world did: a hash of all of it, and the last lines of it for a reader.

use core::fmt::Write;
use std::collections::VecDeque;
use whimbrel_core::Instant;
use whimbrel_core::wire::{Frame, Frames, LongHeader, ShortHeader};

/// FNV-1a with 64 bits (draft-eastlake-fnv section 5).
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;
/// Bytes of the trailer in plain protection.
const TRAILER: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    /// How many lines are kept; 0: none is written.
    keep: usize,
    silent: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: BASIS, lines: VecDeque::new(), keep: 0, silent: false }
    }
}

impl Trace {
    /// Over the time, the direction and the bytes of every datagram sent so far.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Keeps so many of the last lines from now on.
    pub fn keep(&mut self, lines: usize) {
        self.keep = lines;
    }

    /// A failure is reported by somebody else.
    pub fn silence(&mut self) {
        self.silent = true;
    }

    /// Whether a failure is reported by somebody else.
    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// A datagram is sent.
    pub fn on_sent(&mut self, now: Instant, by_gateway: bool, datagram: &[u8]) {
        let time = now.as_micros().to_le_bytes();
        for byte in time.iter().chain(&[u8::from(by_gateway)]).chain(datagram) {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// A line for the reader, if there is one. It is not part of the hash.
    pub fn note(&mut self, now: Instant, line: impl FnOnce() -> String) {
        if self.keep == 0 {
            return;
        }
        if self.lines.len() >= self.keep {
            self.lines.pop_front();
        }
        let micros = now.as_micros();
        self.lines.push_back(format!("{:>6}.{:06} {}", micros / 1_000_000, micros % 1_000_000, line()));
    }
}

/// A datagram in a few words; of a sealed packet there is little to say.
pub fn describe(datagram: &[u8], sealed: bool) -> String {
    let Ok((header, at)) = ShortHeader::parse(datagram) else {
        return match LongHeader::parse(datagram) {
            Ok((header, _)) => format!("{:?} ({} bytes)", header.kind, datagram.len()),
            Err(error) => format!("{} bytes: {error}", datagram.len()),
        };
    };
    let mut line = format!("#{:x}", header.truncated_pn);
    if sealed {
        return line;
    }
    let payload = datagram.get(at..datagram.len().saturating_sub(TRAILER)).unwrap_or(&[]);
    let mut padding = 0;
    for frame in Frames::new(payload) {
        let written = match frame {
            Ok(Frame::Padding) => {
                padding += 1;
                Ok(())
            }
            Ok(Frame::Data(data)) => {
                write!(line, " DATA {}:{} +{}", data.stream.to_wire(), data.seq16, data.payload.len())
            }
            Ok(Frame::Ack(ack)) => {
                let ranges: Vec<_> = ack.ranges().map(|range| (*range.start(), *range.end())).collect();
                write!(line, " ACK {ranges:?}")
            }
            Ok(Frame::Credit { stream, limit }) => write!(line, " CREDIT {}:<{}", stream.to_wire(), limit.value()),
            Ok(Frame::Commit(commit)) => write!(line, " COMMIT {}:<{}", commit.stream.to_wire(), commit.next.value()),
            Ok(Frame::Nak(nak)) => write!(line, " NAK {}:{}", nak.stream.to_wire(), nak.base),
            Ok(other) => write!(line, " {other:?}"),
            Err(error) => write!(line, " !! {error}"),
        };
        if written.is_err() {
            break;
        }
    }
    if padding > 0 {
        let _ = write!(line, " PADDING x{padding}");
    }
    line
}
