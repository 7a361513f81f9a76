//! Random bytes from a seed, so that the caller's source is asked once and a session can be replayed.

use super::hash::hkdf;
use super::key::Secret;

/// A generator whose past cannot be told from its present: each draw replaces the state, by Noise's HKDF
/// (section 4.3), with one output for the state and the other for the caller.
#[derive(Debug)]
pub(crate) struct Random {
    state: Secret,
}

impl Random {
    /// From 32 unpredictable bytes that serve nothing else.
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { state: Secret::new(seed) }
    }

    /// 32 bytes.
    #[inline(never)]
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        let mut out = Secret::default();
        hkdf(&mut self.state, b"whimbrel random", &mut out, None);
        *out.expose()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;

    use super::*;

    // By another implementation: Python's hmac with hashlib.blake2s.
    #[test]
    fn another_implementation_draws_the_same() {
        let mut random = Random::new([3; 32]);
        assert_eq!(
            random.draw(),
            [
                0x45, 0xec, 0x65, 0x84, 0x31, 0xc7, 0x01, 0x89, 0xc3, 0x60, 0x6b, 0x64, 0xab, 0x4f, 0xa1, 0xbc, 0x4a,
                0xfc, 0x90, 0xc4, 0x98, 0xfa, 0x11, 0xaf, 0x37, 0x0a, 0x1f, 0x7e, 0x83, 0x46, 0x63, 0x13
            ]
        );
        assert_eq!(
            random.draw(),
            [
                0x75, 0x61, 0x09, 0x5c, 0xbc, 0x76, 0xa4, 0x2a, 0x19, 0x89, 0x38, 0x53, 0xbe, 0x8d, 0x0f, 0x0a, 0xab,
                0x82, 0xb0, 0x5e, 0x52, 0x43, 0xff, 0xf8, 0x4e, 0x4d, 0xd8, 0xda, 0x51, 0x65, 0x9d, 0xb5
            ]
        );
    }

    #[test]
    fn draws_and_states_are_all_different() {
        let mut random = Random::new([0; 32]);
        let mut seen = BTreeSet::from([*random.state.expose()]);
        for _ in 0..100 {
            assert!(seen.insert(random.draw()));
            assert!(seen.insert(*random.state.expose()));
        }
    }
}
