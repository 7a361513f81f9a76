//! The protocols, one a file.

pub(crate) mod whimbrel;
pub(crate) mod yardstick;
