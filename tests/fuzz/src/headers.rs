//! Packet headers, and where a datagram goes.

use whimbrel_core::wire::{LongHeader, RESET_LEN, Reset, ShortHeader, Writer, refuse_version};
use whimbrel_core::{DecodeError, Hello, PacketNumber, Route, reset, route};

/// What parses is canonical, and all ways to look at a header agree.
pub fn run(bytes: &[u8]) {
    let short = ShortHeader::parse(bytes);
    let long = LongHeader::parse(bytes);
    assert!(short.is_err() || long.is_err(), "short and long at once");
    if let Ok((header, len)) = short {
        let mut buf = [0; ShortHeader::LEN_MAX];
        let mut w = Writer::new(&mut buf);
        header.emit(&mut w).expect("the longest header fits");
        assert_eq!((w.written(), header.len()), (&bytes[..len], len));
        numbers(&header, &bytes[len..]);
    }
    match route(bytes) {
        Ok(Route::Session(cid)) => assert_eq!(Ok(cid), short.map(|(header, _)| header.cid)),
        Ok(_) | Err(DecodeError::Version) => assert!(long.is_ok()),
        Err(_) => assert!(short.is_err() && long.is_err()),
    }
    answers(bytes);
}

/// A packet number is rebuilt to one with the bytes of the header, near the one expected.
fn numbers(header: &ShortHeader, rest: &[u8]) {
    let largest = rest.first_chunk().map(|bytes| PacketNumber::new(u64::from_le_bytes(*bytes)));
    let full = header.packet_number(largest).value();
    let window = 1u64 << (8 * header.pn_len);
    let expected = largest.map_or(0, |largest| largest.value() + 1);
    // At the very end the last number stands for one that is none.
    let end = expected > u64::MAX - window;
    assert!(end || full & (window - 1) == u64::from(header.truncated_pn));
    assert!(end || expected < window || full.abs_diff(expected) <= window / 2, "{header:?} {largest:?}");
}

/// An answer is shorter than what it answers, so that no exchange of them can grow.
fn answers(bytes: &[u8]) {
    let mut buf = [0; 64];
    if let Some(len) = reset(bytes, &mut buf) {
        assert!(len < bytes.len() && len == RESET_LEN);
        assert_eq!(Reset::parse(&buf[..len]).ok(), Reset::caused_by(bytes));
        assert_eq!(reset(&buf[..len], &mut [0; 64]), None, "a RESET is answered");
    }
    if let Some(len) = refuse_version(bytes, &mut buf) {
        assert!(len < bytes.len());
        assert_eq!(Hello::parse(bytes), Err(DecodeError::Version));
    }
}
