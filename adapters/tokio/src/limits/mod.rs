//! Who may take how much of an endpoint, so that no device and no stranger can take what others need.
//!
//! What a stranger can cause is bounded before anything is proved: [`lists`], [`strikes`], then the rates and
//! the number of handshakes ([`rates`], [`seats`]). What a device with a session can cause is bounded per
//! session: [`allowance`] and [`waiting`]. All tables have a fixed size, whoever comes.

mod allowance;
mod config;
mod lists;
mod prefix;
mod rates;
mod report;
mod seats;
mod shared;
mod strikes;
mod waiting;

pub use self::config::{Limits, StrikeLimits};
pub use self::lists::AccessLists;
pub use self::prefix::PrefixLengths;
pub use self::rates::Rate;

pub(crate) use self::allowance::Allowance;
pub(crate) use self::lists::Access;
#[cfg(test)]
pub(crate) use self::rates::Time;
pub(crate) use self::rates::{Limiter, limiter};
pub(crate) use self::report::{Refusal, Reports};
pub(crate) use self::seats::Seat;
#[cfg(test)]
pub(crate) use self::seats::Seats;
pub(crate) use self::shared::Shared;
pub(crate) use self::strikes::Strike;
pub(crate) use self::waiting::{Progress, Waiting, cost};
