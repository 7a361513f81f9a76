//! Where readings come from.

use crate::Reading;

/// A sensor, or a recording of one.
pub trait Source {
    /// A reading, taken now; `None` when there is nothing to read this time.
    fn next(&mut self) -> Option<Reading>;

    /// Whether there will never be another one. A real sensor keeps this answer.
    fn is_exhausted(&self) -> bool {
        false
    }
}
