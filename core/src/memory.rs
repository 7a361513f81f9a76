//! A session's memory: the caller's, of a size chosen at compile time, seen by the protocol as slices.

use crate::channel::outbox::{Carried, OutMessage};
use crate::channel::reorder::{SLOTS_MAX, Slot};
use crate::channel::streams::{ReceiveStream, SendStream};
use crate::journal::NONE;
use crate::recovery::sent_packets::SentPacket;

/// The slices that a session works in.
#[derive(Debug)]
pub struct Parts<'a> {
    pub(crate) send: &'a mut [SendStream],
    pub(crate) receive: &'a mut [ReceiveStream],
    pub(crate) messages: &'a mut [OutMessage],
    pub(crate) block_links: &'a mut [u16],
    pub(crate) block_bytes: &'a mut [u8],
    pub(crate) packets: &'a mut [SentPacket],
    pub(crate) carried: &'a mut [Carried],
    pub(crate) index: &'a mut [u16],
    pub(crate) slots: &'a mut [Slot],
    pub(crate) slot_bytes: &'a mut [u8],
    pub(crate) assembly: &'a mut [u8],
}

/// Where a session's queues live: inline in a device, lent by a pool on a gateway. The protocol's
/// code is the same for all of them, and compiled once.
pub trait Memory {
    /// The same memory at every call.
    fn parts(&mut self) -> Parts<'_>;
}

impl<M: Memory + ?Sized> Memory for &mut M {
    fn parts(&mut self) -> Parts<'_> {
        (**self).parts()
    }
}

/// Memory inline in its owner.
///
/// `SEND`, `RECEIVE`: streams in each direction (`RECEIVE` at most 32). `MESSAGES`, `BLOCKS`: the
/// outbox, in entries (a message, or a fragment of one) and in blocks that share `BLOCK_BYTES` of payload:
/// a message takes whole blocks. `PACKETS`, `CARRIED`: packets in flight
/// and the messages in them. `INDEX`: reorder window of a stream, a power of two, times `RECEIVE`. `SLOTS`,
/// `SLOT_BYTES`: messages that came early; `SLOT_BYTES / SLOTS` is the longest of which several can wait.
/// `ASSEMBLY`: the longest message received in fragments; 0 for none.
#[derive(Debug)]
pub struct Inline<
    const SEND: usize,
    const RECEIVE: usize,
    const MESSAGES: usize,
    const BLOCKS: usize,
    const BLOCK_BYTES: usize,
    const PACKETS: usize,
    const CARRIED: usize,
    const INDEX: usize,
    const SLOTS: usize,
    const SLOT_BYTES: usize,
    const ASSEMBLY: usize,
> {
    send: [SendStream; SEND],
    receive: [ReceiveStream; RECEIVE],
    messages: [OutMessage; MESSAGES],
    block_links: [u16; BLOCKS],
    block_bytes: [u8; BLOCK_BYTES],
    packets: [SentPacket; PACKETS],
    carried: [Carried; CARRIED],
    index: [u16; INDEX],
    slots: [Slot; SLOTS],
    slot_bytes: [u8; SLOT_BYTES],
    assembly: [u8; ASSEMBLY],
}

// The bounds are those of a session without the feature `seal`; with it, its keys take up to 768 bytes more.

/// At most 2 KiB a session: 8 messages and 240 payload bytes kept, messages of 64 bytes received.
pub type Small = Inline<2, 1, 8, 8, 240, 5, 6, 8, 2, 128, 0>;
/// At most 8 KiB a session: 40 messages and 2,368 payload bytes kept, messages of 128 bytes received, in
/// fragments up to 512.
pub type Medium = Inline<4, 4, 40, 37, 2368, 24, 96, 64, 8, 1024, 512>;
/// At most 8 KiB a session, nearly all of it for sending: 26 messages and 5,312 payload bytes kept,
/// messages of 64 bytes received.
pub type Uplink = Inline<2, 1, 26, 83, 5312, 12, 32, 16, 2, 128, 0>;
/// At most 32 KiB a session: 160 messages and 14,272 payload bytes kept, messages of 256 bytes received, in
/// fragments up to 2,048.
pub type Large = Inline<8, 8, 160, 223, 14_272, 64, 384, 512, 16, 4096, 2048>;
/// At most 64 KiB a session, for a gateway: 128 messages of 256 bytes that came early, messages in fragments
/// up to 8,192 bytes received; 48 messages and 5,952 payload bytes kept.
pub type Host = Inline<8, 8, 48, 93, 5952, 32, 128, 2048, 128, 32_768, 8192>;

impl<
    const SEND: usize,
    const RECEIVE: usize,
    const MESSAGES: usize,
    const BLOCKS: usize,
    const BLOCK_BYTES: usize,
    const PACKETS: usize,
    const CARRIED: usize,
    const INDEX: usize,
    const SLOTS: usize,
    const SLOT_BYTES: usize,
    const ASSEMBLY: usize,
> Inline<SEND, RECEIVE, MESSAGES, BLOCKS, BLOCK_BYTES, PACKETS, CARRIED, INDEX, SLOTS, SLOT_BYTES, ASSEMBLY>
{
    /// Empty memory; `const`, so that it can stand in a `static`.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(RECEIVE <= 32, "at most 32 received streams");
            assert!(PACKETS >= 4, "recovery needs four packets in flight");
            assert!(CARRIED >= PACKETS, "a packet carries at least one message");
            assert!(RECEIVE == 0 || INDEX.is_multiple_of(RECEIVE), "every stream has the same reorder window");
            assert!(
                RECEIVE == 0 || (INDEX / RECEIVE).is_power_of_two(),
                "the reorder window of a stream is a power of two"
            );
            assert!(MESSAGES < NONE as usize && BLOCKS < NONE as usize && SLOTS <= SLOTS_MAX);
            assert!(ASSEMBLY <= u16::MAX as usize, "a message's length has 16 bits");
            assert!(PACKETS < NONE as usize && CARRIED < NONE as usize, "rings are counted in 16 bits");
            assert!(RECEIVE == 0 || INDEX / RECEIVE < 1 << 14, "16 bits must name a message of the window");
            assert!(SLOTS == 0 || SLOT_BYTES / SLOTS <= u16::MAX as usize, "a message's length has 16 bits");
        }
        Self {
            send: [SendStream::EMPTY; SEND],
            receive: [ReceiveStream::EMPTY; RECEIVE],
            messages: [OutMessage::EMPTY; MESSAGES],
            block_links: [NONE; BLOCKS],
            block_bytes: [0; BLOCK_BYTES],
            packets: [SentPacket::EMPTY; PACKETS],
            carried: [Carried::EMPTY; CARRIED],
            index: [NONE; INDEX],
            slots: [Slot::EMPTY; SLOTS],
            slot_bytes: [0; SLOT_BYTES],
            assembly: [0; ASSEMBLY],
        }
    }
}

impl<
    const SEND: usize,
    const RECEIVE: usize,
    const MESSAGES: usize,
    const BLOCKS: usize,
    const BLOCK_BYTES: usize,
    const PACKETS: usize,
    const CARRIED: usize,
    const INDEX: usize,
    const SLOTS: usize,
    const SLOT_BYTES: usize,
    const ASSEMBLY: usize,
> Default
    for Inline<SEND, RECEIVE, MESSAGES, BLOCKS, BLOCK_BYTES, PACKETS, CARRIED, INDEX, SLOTS, SLOT_BYTES, ASSEMBLY>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    const SEND: usize,
    const RECEIVE: usize,
    const MESSAGES: usize,
    const BLOCKS: usize,
    const BLOCK_BYTES: usize,
    const PACKETS: usize,
    const CARRIED: usize,
    const INDEX: usize,
    const SLOTS: usize,
    const SLOT_BYTES: usize,
    const ASSEMBLY: usize,
> Memory
    for Inline<SEND, RECEIVE, MESSAGES, BLOCKS, BLOCK_BYTES, PACKETS, CARRIED, INDEX, SLOTS, SLOT_BYTES, ASSEMBLY>
{
    fn parts(&mut self) -> Parts<'_> {
        Parts {
            send: &mut self.send,
            receive: &mut self.receive,
            messages: &mut self.messages,
            block_links: &mut self.block_links,
            block_bytes: &mut self.block_bytes,
            packets: &mut self.packets,
            carried: &mut self.carried,
            index: &mut self.index,
            slots: &mut self.slots,
            slot_bytes: &mut self.slot_bytes,
            assembly: &mut self.assembly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Session;

    /// What the keys of a session, and of a handshake beside it, take.
    const KEYS: usize = 768;

    // The presets are a contract: a change of these bounds is a change of the documentation.
    #[test]
    fn a_session_fits_its_preset() {
        let kib = |kib: usize| kib * 1024 + if cfg!(feature = "seal") { KEYS } else { 0 };
        assert!(size_of::<Session<Small>>() <= kib(2), "{}", size_of::<Session<Small>>());
        assert!(size_of::<Session<Medium>>() <= kib(8), "{}", size_of::<Session<Medium>>());
        assert!(size_of::<Session<Uplink>>() <= kib(8), "{}", size_of::<Session<Uplink>>());
        assert!(size_of::<Session<Host>>() <= kib(64), "{}", size_of::<Session<Host>>());
        assert!(size_of::<Session<Large>>() <= kib(32), "{}", size_of::<Session<Large>>());
    }
}
