//! The keys of a world: each device's own, the gateway's pairs, and what its RESETs are made with. All from the seed.

use firmware_sim::link::rng;
use rand::RngCore;
use whimbrel_core::{Credentials, DeviceKey, GatewayKeys, GatewaySecret, Pattern, Protection};

/// Where the sequences of the seed for keys begin; each key has one of its own.
const SEQUENCE: u64 = 1 << 40;

fn draw(seed: u64, kind: u64, number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng(seed, SEQUENCE + (kind << 32) + number).fill_bytes(&mut bytes);
    bytes
}

/// What the device of this number shares with its gateway.
pub fn device_key(seed: u64, number: u32) -> DeviceKey {
    DeviceKey::new(draw(seed, 0, u64::from(number)))
}

/// The gateway's pair of a generation: the first is 0, and each change of keys makes another.
pub fn gateway_secret(seed: u64, generation: u32) -> GatewaySecret {
    GatewaySecret::new(draw(seed, 1, u64::from(generation)))
}

/// What the gateway has of its own: the pair of a generation, and the reset secret, which is always the same.
pub fn gateway_keys(seed: u64, generation: u32) -> GatewayKeys {
    GatewayKeys::new(gateway_secret(seed, generation), draw(seed, 2, 0))
}

/// What the device of this number was provisioned with; `None` in the plain mode.
pub fn credentials(seed: u64, number: u32, protection: Protection) -> Option<Credentials> {
    let key = device_key(seed, number);
    match pattern(protection)? {
        Pattern::NkPsk0 => Some(Credentials::nk(key, gateway_secret(seed, 0).public())),
        Pattern::NnPsk0 => Some(Credentials::nn(key)),
    }
}

/// The pattern of a protection; `None` for the plain mode.
pub const fn pattern(protection: Protection) -> Option<Pattern> {
    match protection {
        Protection::Plain => None,
        Protection::NkPsk0 => Some(Pattern::NkPsk0),
        Protection::NnPsk0 => Some(Pattern::NnPsk0),
    }
}
