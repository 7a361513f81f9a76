//! Random worlds: one seed draws both ends, the applications, the links and what befalls them.
//!
//! ```text
//! seed -> draw -> Plan -> cut -> drive (turns, then calm) -> Counts, or a failure -> shrink
//! ```

mod check;
pub mod class;
pub mod counts;
pub mod draw;
pub mod plan;
pub mod run;
pub mod shrink;
pub mod verdict;

pub use class::{Class, Cuts};
pub use counts::Counts;
pub use draw::draw;
pub use plan::Plan;
pub use shrink::shrink;
pub use verdict::{Failure, Passed, hush, judge};
