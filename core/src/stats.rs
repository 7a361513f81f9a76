//! Counters. They wrap; nothing in the protocol depends on them.

/// Everything a session counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams sent.
    pub tx_datagrams: u32,
    /// Bytes in them.
    pub tx_bytes: u64,
    /// Messages put into packets for the first time.
    pub tx_messages: u32,
    /// Messages put into a packet once more, after a loss or as a probe.
    pub tx_retransmitted: u32,
    /// Packets declared lost (RFC 9002 section 6.1).
    pub tx_packets_lost: u32,
    /// Packets declared lost that were acknowledged later.
    pub tx_spurious_losses: u32,
    /// Probe timeouts (RFC 9002 section 6.2).
    pub tx_probes: u32,
    /// Handshakes begun after the first.
    pub reconnects: u32,
    /// Datagrams handed in.
    pub rx_datagrams: u32,
    /// Bytes in them.
    pub rx_bytes: u64,
    /// Messages handed to the application.
    pub rx_messages: u32,
    /// Messages that had arrived before.
    pub rx_duplicate_messages: u32,
    /// What was dropped, by reason.
    pub rx_dropped: Dropped,
    /// Messages put into a packet beside newer ones, without a loss (redundancy).
    pub tx_repeated: u32,
    /// Requests for missing messages sent (NAK).
    pub tx_naks: u32,
    /// Requests for missing messages received.
    pub rx_naks: u32,
    /// Times that the caller's clock stepped back and was held.
    pub clock_steps_back: u32,
}

/// Datagrams dropped on arrival, by reason; each datagram counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Ended before its contents did.
    pub truncated: u32,
    /// Longer than `max_datagram`.
    pub oversized: u32,
    /// The integrity check failed: corrupted, or of another session.
    pub unauthentic: u32,
    /// A packet number seen before.
    pub replayed: u32,
    /// A packet number too old to tell whether it was seen before.
    pub too_old: u32,
    /// Authentic, but not what the protocol allows; a fault of the peer's software.
    pub malformed: u32,
    /// Not expected in this state: data before the handshake, a handshake answer not asked for.
    pub unexpected: u32,
    /// A version that we do not speak.
    pub version: u32,
    /// Its messages did not all fit into the reorder buffer; it was not acknowledged and will come again.
    pub no_room: u32,
}

impl Dropped {
    /// All reasons together.
    pub const fn total(&self) -> u32 {
        self.truncated
            .wrapping_add(self.oversized)
            .wrapping_add(self.unauthentic)
            .wrapping_add(self.replayed)
            .wrapping_add(self.too_old)
            .wrapping_add(self.malformed)
            .wrapping_add(self.unexpected)
            .wrapping_add(self.version)
            .wrapping_add(self.no_room)
    }
}
