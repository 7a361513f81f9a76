//! whimbrel-tests
