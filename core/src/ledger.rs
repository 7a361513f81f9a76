//! What became of every message: delivered, or dropped for a reason that is counted.

/// The sender's side, over all channels, since the session was made. The counts wrap.
///
/// At every moment `accepted` is the sum of all the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Messages that `send` took.
    pub accepted: u32,
    /// Acknowledged; on durable channels, committed.
    pub delivered: u32,
    /// Given up by their deadline, and the peer lacked them.
    pub expired: u32,
    /// Replaced by a newer value before they were known to have arrived (latest channels).
    pub superseded: u32,
    /// Best effort, in a packet that was lost.
    pub lost: u32,
    /// Kept from before a session whose peer can not take them: too long.
    pub undeliverable: u32,
    /// Sent, but the session ended before it was known whether they arrived.
    pub in_doubt: u32,
    /// Still kept, or in a packet whose fate is open.
    pub in_flight: u32,
}

impl Ledger {
    /// Whether every message accepted is accounted for.
    pub const fn is_balanced(&self) -> bool {
        self.accepted
            == self
                .delivered
                .wrapping_add(self.expired)
                .wrapping_add(self.superseded)
                .wrapping_add(self.lost)
                .wrapping_add(self.undeliverable)
                .wrapping_add(self.in_doubt)
                .wrapping_add(self.in_flight)
    }
}

/// The receiver's side, over all channels, since the session was made. The counts wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedLedger {
    /// Messages handed to the application.
    pub delivered: u32,
    /// Messages that the sender gave up and that never arrived.
    pub skipped: u32,
    /// Arrived, but their deadline passed while they waited for earlier ones or for the application.
    pub expired: u32,
    /// Values that came after a newer one, or were replaced by one before the application took them.
    pub superseded: u32,
    /// Best-effort messages that the application did not take when they came.
    pub untaken: u32,
}
