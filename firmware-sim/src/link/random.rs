//! Where a link's chance comes from.

use rand::RngCore;
use rand_pcg::Pcg64;

/// The generator that links draw from.
pub type Rng = Pcg64;

/// Flips 1 to 3 different bits; a frame of no bits stays as it is.
pub fn flip_bits(frame: &mut [u8], rng: &mut Rng) {
    let bits = frame.len() as u64 * 8;
    let wanted = (1 + below(rng, 3)).min(bits);
    let mut flipped = Vec::with_capacity(3);
    while (flipped.len() as u64) < wanted {
        let bit = below(rng, bits);
        if flipped.contains(&bit) {
            continue;
        }
        if let Some(byte) = frame.get_mut((bit / 8) as usize) {
            *byte ^= 1 << (bit % 8);
        }
        flipped.push(bit);
    }
}

/// A number below `bound`, by multiplication (Lemire, 2019, without its correction: the bias is below 2^-32 for
/// bounds below 2^32); 0 when `bound` is 0.
pub fn below(rng: &mut Rng, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// A number from 0 to below 1: the highest 53 bits as a fraction, so that every value is exact.
pub(super) fn fraction(rng: &mut Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Sequence number `sequence` of a seed. Neighbouring seeds have nothing in common.
pub fn rng(seed: u64, sequence: u64) -> Rng {
    let mut state = seed;
    let (high, low) = (split_mix(&mut state), split_mix(&mut state));
    Pcg64::new((u128::from(high) << 64) | u128::from(low), u128::from(sequence))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
