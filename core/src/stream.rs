//! Packets over a byte stream that may lose or corrupt bytes, such as a serial line.
//!
//! ```text
//! frame:  COBS( packet | CRC-32 of the packet, little-endian )  0x00
//! ```
//!
//! COBS (Cheshire and Baker, 1999) leaves no zero byte inside a frame, so that a receiver that lost
//! its place finds it again at the next zero, and one damaged byte costs at most two packets. The
//! CRC is there besides the packet's own protection, because that does not cover every packet in
//! the same way, and because a frame torn or joined must not count against the peer.

use cobs::{CobsEncoder, DecodeResult, DecoderState};

use crate::BufferTooSmall;
use crate::wire::crc;

const DELIMITER: u8 = 0;

/// The most bytes that the frame of a packet of this length takes, delimiter included.
pub const fn encoded_len_max(packet: usize) -> usize {
    cobs::max_encoding_length(packet + crc::LEN) + 1
}

/// Writes the frame of a packet into `buf`, and returns its length.
///
/// A zero byte before it is harmless, and worth sending where the line may have made up bytes since
/// the last frame: it ends them. An empty packet is dropped by the receiver.
///
/// # Errors
/// When `buf` is shorter than [`encoded_len_max`] says.
pub fn encode(packet: &[u8], buf: &mut [u8]) -> Result<usize, BufferTooSmall> {
    if buf.len() < encoded_len_max(packet.len()) {
        return Err(BufferTooSmall);
    }
    let mut encoder = CobsEncoder::new(buf);
    encoder.push(packet).map_err(|_| BufferTooSmall)?;
    encoder.push(&crc::crc32(packet).to_le_bytes()).map_err(|_| BufferTooSmall)?;
    let len = encoder.finalize();
    *buf.get_mut(len).ok_or(BufferTooSmall)? = DELIMITER;
    Ok(len + 1)
}

/// Frames that gave no packet, by reason. The counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FramesDropped {
    /// Longer than the buffer.
    pub overlong: u32,
    /// The check was wrong, or the frame too short to hold one and a packet.
    pub bad_crc: u32,
    /// Ended before its own lengths said.
    pub bad_cobs: u32,
}

/// Finds the packets in a byte stream. It is in step after the first delimiter.
///
/// `B` is where a packet is put together: an array, or a borrowed slice. It takes packets up to
/// four bytes shorter than itself.
#[derive(Debug)]
pub struct Deframer<B> {
    buf: B,
    inner: Inner,
}

impl<B: AsMut<[u8]>> Deframer<B> {
    /// Puts packets together in `buf`.
    pub fn new(buf: B) -> Self {
        Self { buf, inner: Inner::default() }
    }

    /// Takes bytes of the stream, up to the end of the first packet that arrived whole.
    ///
    /// Returns how many it took, and that packet. Call again with the others: only when it took
    /// all of them and has no packet does it want more. Each byte costs a bounded number of steps,
    /// and the last byte of a packet its CRC.
    pub fn push(&mut self, bytes: &[u8]) -> (usize, Option<&mut [u8]>) {
        let buf = self.buf.as_mut();
        let (taken, packet) = self.inner.push(buf, bytes);
        (taken, packet.and_then(|len| buf.get_mut(..len)))
    }

    /// What was dropped so far.
    pub const fn dropped(&self) -> FramesDropped {
        self.inner.dropped
    }
}

/// The logic, once for every kind of buffer.
#[derive(Debug, Default)]
struct Inner {
    state: DecoderState,
    /// Decoded bytes of the frame under way.
    len: usize,
    /// The frame under way is dropped already; its end is awaited.
    skipping: bool,
    dropped: FramesDropped,
}

impl Inner {
    fn push(&mut self, buf: &mut [u8], bytes: &[u8]) -> (usize, Option<usize>) {
        for (taken, byte) in (1..).zip(bytes) {
            if let Some(packet) = self.feed(buf, *byte) {
                return (taken, Some(packet));
            }
        }
        (bytes.len(), None)
    }

    /// The length of the packet that this byte completes.
    fn feed(&mut self, buf: &mut [u8], byte: u8) -> Option<usize> {
        if self.skipping {
            if byte == DELIMITER {
                self.skipping = false;
                self.state = DecoderState::default();
            }
            return None;
        }
        match self.state.feed(byte) {
            Ok(DecodeResult::NoData) => {}
            Ok(DecodeResult::DataStart) => self.len = 0,
            Ok(DecodeResult::DataContinue(byte)) => match buf.get_mut(self.len) {
                Some(place) => {
                    *place = byte;
                    self.len += 1;
                }
                None => {
                    self.skipping = true;
                    self.dropped.overlong = self.dropped.overlong.wrapping_add(1);
                }
            },
            Ok(DecodeResult::DataComplete) => {
                let packet = buf.get(..self.len).and_then(crc::checked).filter(|packet| !packet.is_empty());
                if packet.is_none() {
                    self.dropped.bad_crc = self.dropped.bad_crc.wrapping_add(1);
                }
                return packet.map(<[u8]>::len);
            }
            // A delimiter came too early; the state is that of a new frame.
            Err(_) => self.dropped.bad_cobs = self.dropped.bad_cobs.wrapping_add(1),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn framed(packet: &[u8]) -> Vec<u8> {
        let mut buf = std::vec![0xee; encoded_len_max(packet.len())];
        let len = encode(packet, &mut buf).unwrap();
        buf.truncate(len);
        buf
    }

    fn drain<B: AsMut<[u8]>>(deframer: &mut Deframer<B>, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while !bytes.is_empty() {
            let (taken, packet) = deframer.push(bytes);
            packets.extend(packet.map(|packet| packet.to_vec()));
            bytes = &bytes[taken..];
        }
        packets
    }

    #[test]
    fn the_frame_of_a_packet() {
        assert_eq!(crc::crc32(&[0]).to_le_bytes(), [0x8d, 0xef, 0x02, 0xd2]);
        assert_eq!(framed(&[0]), [1, 5, 0x8d, 0xef, 0x02, 0xd2, 0]);
        assert_eq!(encode(&[0], &mut [0; 6]), Err(BufferTooSmall));
    }

    #[test]
    fn each_reason_is_counted_and_the_next_frame_is_found() {
        let mut buf = [0; 12];
        let mut deframer = Deframer::new(&mut buf[..]);
        let good = framed(b"good");
        let mut bad = framed(b"bad!");
        bad[2] ^= 1;
        let torn = &framed(b"torn")[..3];
        // Eight bytes and their check fill the buffer; nine are too many.
        let (fits, overlong) = (framed(b"12345678"), framed(b"123456789"));
        let empty = framed(b"");
        let line = [&good[..], &bad, &good, torn, &[0], &good, &overlong, &[0, 0], &fits, &empty, &good].concat();
        let expected: [&[u8]; 5] = [b"good", b"good", b"good", b"12345678", b"good"];
        assert_eq!(drain(&mut deframer, &line), expected);
        assert_eq!(deframer.dropped(), FramesDropped { overlong: 1, bad_crc: 2, bad_cobs: 1 });
    }

    #[test]
    fn a_lost_delimiter_costs_two_packets_at_most() {
        let mut deframer = Deframer::new([0; 64]);
        let frames = [framed(b"one"), framed(b"two"), framed(b"three")].concat();
        let lost = framed(b"one").len() - 1;
        let line = [&frames[..lost], &frames[lost + 1..]].concat();
        assert_eq!(drain(&mut deframer, &line), [b"three"]);
    }

    proptest! {
        // Any packets, handed over in pieces of any size, come out; runs of 254 bytes without a
        // zero are where COBS changes its form.
        #[test]
        fn packets_come_out(
            packets in prop::collection::vec(
                (prop::collection::vec(prop_oneof![Just(0u8), 1u8..], 1..10), 0usize..700), 1..6),
            piece in 1usize..200,
        ) {
            let packets: Vec<Vec<u8>> =
                packets.into_iter().map(|(mut packet, run)| { packet.extend(std::vec![7; run]); packet }).collect();
            let mut line = Vec::new();
            for packet in &packets {
                let frame = framed(packet);
                prop_assert!(frame.len() <= encoded_len_max(packet.len()));
                prop_assert_eq!(frame.iter().position(|byte| *byte == 0), Some(frame.len() - 1));
                line.extend(frame);
            }
            let mut deframer = Deframer::new([0; 720]);
            let mut got = Vec::new();
            for bytes in line.chunks(piece) {
                got.extend(drain(&mut deframer, bytes));
            }
            prop_assert_eq!(got, packets);
            prop_assert_eq!(deframer.dropped(), FramesDropped::default());
        }

        // Whatever came before, the frames after the next delimiter are found.
        #[test]
        fn noise_is_left_behind(noise in prop::collection::vec(any::<u8>(), 0..300), packet in prop::collection::vec(any::<u8>(), 1..60)) {
            let mut deframer = Deframer::new([0; 64]);
            drain(&mut deframer, &noise);
            prop_assert_eq!(drain(&mut deframer, &[0]).len(), 0);
            prop_assert_eq!(drain(&mut deframer, &framed(&packet)), [packet]);
        }

        // One flipped bit loses no packet but the one that it hit and, when it hit a delimiter, the next.
        #[test]
        fn a_flipped_bit_costs_two_packets_at_most(flip: u16) {
            let packets: Vec<Vec<u8>> = (0u8..6).map(|i| std::vec![i; 20]).collect();
            let mut line: Vec<u8> = packets.iter().flat_map(|packet| framed(packet)).collect();
            let bit = usize::from(flip) % (line.len() * 8);
            line[bit / 8] ^= 1 << (bit % 8);
            let got = drain(&mut Deframer::new([0; 64]), &line);
            prop_assert!(got.len() >= packets.len() - 2);
            prop_assert!(got.iter().all(|packet| packets.contains(packet)));
        }
    }
}
