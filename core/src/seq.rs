//! The two number spaces: packet numbers (one per transmission) and sequence numbers (one per message).

use core::fmt;
use core::num::NonZeroU64;

/// The number of one packet, at most 2^64 - 2. Never used twice in a session, whatever the packet carries
/// (RFC 9002 section 4).
// One more than the number, so that an optional one takes no more room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNumber(NonZeroU64);

/// The number of one message within its stream, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqNo(u64);

impl PacketNumber {
    /// From its full value; 2^64 - 1 counts as one less.
    pub const fn new(value: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(value))
    }

    /// The full value.
    pub const fn value(self) -> u64 {
        self.0.get() - 1
    }

    /// The number after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many bytes (1 to 4) name this packet without doubt to a peer that may have received
    /// nothing above `largest_acked` (RFC 9000 appendix A.2).
    pub const fn wire_len(self, largest_acked: Option<Self>) -> usize {
        let unacked = match largest_acked {
            Some(acked) => self.value().saturating_sub(acked.value()),
            None => self.0.get(),
        };
        // The truncated number must span more than twice the distance.
        let bits = (u64::BITS - unacked.leading_zeros()) as usize + 1;
        let bytes = bits.div_ceil(8);
        if bytes > 4 { 4 } else { bytes }
    }

    /// The full number from its lowest `len` bytes, nearest to the one expected next (RFC 9000 appendix A.3).
    pub const fn expand(truncated: u32, len: usize, largest: Option<Self>) -> Self {
        let expected = match largest {
            Some(largest) => largest.0.get(),
            None => 0,
        };
        Self::new(expand(truncated as u64, (len * 8) as u32, expected))
    }
}

impl Default for PacketNumber {
    fn default() -> Self {
        Self::new(0)
    }
}

impl fmt::Debug for PacketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PacketNumber").field(&self.value()).finish()
    }
}

impl SeqNo {
    /// The first message of a stream.
    pub const ZERO: Self = Self(0);

    /// From its full value.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The full value.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The number after this one.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The number `steps` further on; saturates.
    pub const fn saturating_add(self, steps: u64) -> Self {
        Self(self.0.saturating_add(steps))
    }

    /// Steps from `earlier` to `self`, or `None` when `self` lies before it.
    pub const fn checked_distance(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }

    /// The lowest 16 bits: the form on the wire.
    pub const fn truncate(self) -> u16 {
        self.0 as u16
    }

    /// The full number from its wire form, nearest to `expected`.
    ///
    /// Sound because a packet that passed the replay window is at most 256 packets old and a
    /// packet holds fewer than 128 messages, so a message lies within 2^15 of the one expected.
    pub const fn expand(truncated: u16, expected: Self) -> Self {
        Self(expand(truncated as u64, 16, expected.0))
    }
}

/// The lowest 32 bits of a message number, for those of one stream that are kept at one time: they lie
/// within 2^31 of each other, so that serial number arithmetic (RFC 1982 section 3.2) tells their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(u32);

impl Position {
    pub(crate) const fn of(seq: SeqNo) -> Self {
        Self(seq.0 as u32)
    }

    /// Whether it lies before `other`.
    pub(crate) const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Steps from `earlier` to it; 0 when it lies before.
    pub(crate) const fn since(self, earlier: Self) -> u32 {
        if self.is_before(earlier) { 0 } else { self.0.wrapping_sub(earlier.0) }
    }

    pub(crate) const fn add(self, steps: u32) -> Self {
        Self(self.0.wrapping_add(steps))
    }

    pub(crate) const fn later(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    pub(crate) const fn earlier(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }

    /// The lowest 16 bits: the form on the wire.
    pub(crate) const fn truncate(self) -> u16 {
        self.0 as u16
    }

    /// The full number, which is not above `reference`.
    pub(crate) const fn expand(self, reference: SeqNo) -> SeqNo {
        SeqNo(reference.0.saturating_sub((reference.0 as u32).wrapping_sub(self.0) as u64))
    }
}

/// RFC 9000 appendix A.3.
const fn expand(truncated: u64, bits: u32, expected: u64) -> u64 {
    let window = 1u64 << bits;
    let half = window >> 1;
    let candidate = (expected & !(window - 1)) | truncated;
    if candidate.saturating_add(half) <= expected && candidate <= u64::MAX - window {
        candidate + window
    } else if candidate > expected.saturating_add(half) && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod model_tests;

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9000 appendix A.3: the example of the specification.
    #[test]
    fn packet_number_of_rfc_9000() {
        let largest = Some(PacketNumber::new(0xa82f_30ea));
        assert_eq!(PacketNumber::expand(0x9b32, 2, largest), PacketNumber::new(0xa82f_9b32));
    }

    // RFC 9000 appendix A.2: the examples of the specification.
    #[test]
    fn packet_number_length_of_rfc_9000() {
        let acked = Some(PacketNumber::new(0xabe8b3));
        assert_eq!(PacketNumber::new(0xac5c02).wire_len(acked), 2);
        assert_eq!(PacketNumber::new(0xace8fe).wire_len(acked), 3);
    }

    #[test]
    fn sequence_numbers_expand_on_both_sides_of_a_wrap() {
        for expected in [0u64, 1, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x1_0001, 0x12_3456_789a] {
            for delta in [-0x7fffi64, -256, -1, 0, 1, 200, 0x7fff] {
                let Some(value) = expected.checked_add_signed(delta) else { continue };
                let seq = SeqNo::new(value);
                assert_eq!(SeqNo::expand(seq.truncate(), SeqNo::new(expected)), seq, "{expected} {delta}");
            }
        }
    }

    #[test]
    fn any_packet_number_expands_from_what_the_peer_has() {
        for acked in [0u64, 5, 0xff, 0x1234, 0xffff_ffff] {
            for ahead in [1u64, 2, 127, 128, 300, 40_000] {
                let pn = PacketNumber::new(acked + ahead);
                let len = pn.wire_len(Some(PacketNumber::new(acked)));
                let truncated = (pn.value() & ((1u64 << (8 * len)) - 1)) as u32;
                // The peer has received anything from `acked` to just below `pn`.
                for largest in [acked, pn.value() - 1] {
                    assert_eq!(PacketNumber::expand(truncated, len, Some(PacketNumber::new(largest))), pn);
                }
            }
        }
    }
}
