//! whimbrel-embedded-io
