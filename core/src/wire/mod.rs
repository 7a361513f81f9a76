//! Bytes to packet headers and frames, and back. Knows neither time nor state; `docs/PROTOCOL.md` is normative.
//!
//! ```text
//! short packet:  header.rs [flags | cid | packet number]  frame.rs [frame].. [trailer, see seal]
//! long packet:   header.rs [type, version]  handshake/ [body]  [CRC-32 of all before]
//! frame:         data.rs  ack.rs  nak.rs  forward.rs  control.rs
//! ```
//!
//! Parsers take bytes as they come from the network: every length is checked, every encoding must
//! be the canonical one, and nothing panics. Emitters write into a [`Writer`], all or nothing.

mod ack;
mod bitmap;
mod control;
pub mod crc;
mod data;
mod forward;
mod frame;
mod gateway_key;
mod handshake;
mod header;
mod nak;
mod path;
mod reader;
pub mod varint;
mod writer;

// Too long for Miri: the text is read anew for every vector.
#[cfg(all(test, not(miri)))]
pub(crate) mod vectors;

pub use ack::{ACK_LEN_MAX, ACK_REACH_MAX, Ack, AckRanges, emit_ack};
pub use control::{COMMIT_BEYOND_MAX, Commit, emit_close, emit_commit, emit_commit_beyond, emit_credit, emit_ping};
pub use data::{Data, DataHead, Fragment, Sampled, drop_last_length};
pub use forward::{emit_forward, emit_forwarded};
pub use frame::{DATA_FRAMES_MAX, Frame, Frames};
pub use gateway_key::emit_gateway_key;
pub use handshake::{
    Accept, AcceptFields, AcceptedStream, Claim, Hello, HelloFields, Limits, Offer, OfferedStream, Protection,
    REFUSE_LEN, RESET_LEN, Refuse, RefuseCode, Reset, STREAMS_MAX, emit_accept, emit_hello, is_intact, refuse,
    refuse_version, reset,
};
#[cfg(feature = "seal")]
pub(crate) use handshake::{SealedAccept, answer, emit_prologue, emit_terms};
pub use header::{LongHeader, LongType, Route, ShortHeader, VERSION, route};
pub use nak::{NAK_BEYOND_MAX, Nak, emit_nak};
pub use path::{emit_path_challenge, emit_path_response};
pub use reader::Reader;
pub use writer::Writer;

/// Frame types: the first byte of every frame but DATA, whose first byte has bit 7 set.
mod kind {
    pub(super) const PADDING: u8 = 0x00;
    pub(super) const NAK: u8 = 0x02;
    pub(super) const CREDIT: u8 = 0x03;
    pub(super) const COMMIT: u8 = 0x04;
    pub(super) const COMMIT_BEYOND: u8 = 0x05;
    pub(super) const PING: u8 = 0x06;
    pub(super) const CLOSE: u8 = 0x07;
    pub(super) const ACK: u8 = 0x08;
    pub(super) const ACK_BITMAP: u8 = 0x01;
    pub(super) const ACK_RANGES: u8 = 0x02;
    pub(super) const ACK_LAST: u8 = ACK | ACK_BITMAP | ACK_RANGES;
    pub(super) const FORWARD: u8 = 0x10;
    pub(super) const FORWARDED: u8 = 0x11;
    pub(super) const PATH_CHALLENGE: u8 = 0x15;
    pub(super) const PATH_RESPONSE: u8 = 0x16;
    pub(super) const GATEWAY_KEY: u8 = 0x17;
    pub(super) const DATA: u8 = 0x80;
}
