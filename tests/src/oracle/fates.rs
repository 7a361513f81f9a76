//! Counts of what became of messages.

use core::ops::AddAssign;

/// What became of a flow's messages. `accepted` is the sum of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Taken by the sender's session.
    pub accepted: u64,
    /// Given to the receiver's application; on a durable stream: in the sink.
    pub delivered: u64,
    /// Not delivered, and past their deadline.
    pub expired: u64,
    /// Not delivered, but a newer value was.
    pub superseded: u64,
    /// Not delivered, and nobody promised it.
    pub lost: u64,
    /// Not delivered, because the receiver cannot take it.
    pub left_out: u64,
    /// None of these: on their way, or in doubt since their session died.
    pub open: u64,
}

impl AddAssign for Fates {
    fn add_assign(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.expired += other.expired;
        self.superseded += other.superseded;
        self.lost += other.lost;
        self.left_out += other.left_out;
        self.open += other.open;
    }
}
