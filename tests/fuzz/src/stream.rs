//! Packets over a byte stream.

use super::source::Source;
use whimbrel_core::stream::{Deframer, FramesDropped, encode, encoded_len_max};

type Small = Deframer<[u8; 96]>;

/// Where the bytes are cut does not matter; a packet after any noise arrives as it was.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let (piece, noise) = (usize::from(source.u8() % 32) + 1, usize::from(source.u8()));
    let (noise, packet) = (source.bytes(noise), source.rest());

    let whole = drain(&mut Deframer::new([0; 96]), [bytes].into_iter());
    assert_eq!(whole, drain(&mut Deframer::new([0; 96]), bytes.chunks(piece)));
    assert!(whole.0.iter().all(|packet| (1..=92).contains(&packet.len())));

    let mut line = noise.to_vec();
    line.push(0);
    let before = drain(&mut Deframer::new([0; 96]), [&line[..]].into_iter());
    let mut frame = vec![0; encoded_len_max(packet.len())];
    let len = encode(packet, &mut frame).expect("the longest frame fits");
    assert_eq!(frame[..len].iter().position(|byte| *byte == 0), Some(len - 1));
    line.extend(&frame[..len]);
    let after = drain(&mut Deframer::new([0; 96]), line.chunks(piece));
    let fits = (1..=92).contains(&packet.len());
    let expected: Vec<&[u8]> = before.0.iter().map(Vec::as_slice).chain(fits.then_some(packet)).collect();
    assert_eq!(after.0, expected);
    assert_eq!(total(&after.1), total(&before.1) + u32::from(!fits));
}

fn total(dropped: &FramesDropped) -> u32 {
    dropped.overlong + dropped.bad_crc + dropped.bad_cobs
}

fn drain<'a>(deframer: &mut Small, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, FramesDropped) {
    let mut packets = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let (taken, packet) = deframer.push(piece);
            assert!(taken > 0, "no progress");
            packets.extend(packet.map(|packet| packet.to_vec()));
            piece = &piece[taken..];
        }
    }
    (packets, deframer.dropped())
}
