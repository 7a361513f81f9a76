//! Secrets drawn one after the other from the caller's seed. What was drawn does not follow from what is left.

use super::key::Secret;
use super::mac;

/// A generator that forgets.
#[derive(Debug)]
pub(crate) struct Random(Secret);

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(Secret::new(seed))
    }

    /// 32 secret bytes.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        let drawn = mac::hmac(self.0.expose(), &[b"whimbrel random", &[0]]);
        self.0 = Secret::new(mac::hmac(self.0.expose(), &[b"whimbrel random", &[1]]));
        drawn
    }
}
