//! What is derived from a device's key, and the MACs beside the handshake: HMAC (RFC 2104) with BLAKE2s-256, MACs
//! cut to 16 bytes (RFC 2104 section 5). Labels keep the uses of one key apart; none begins another.

use subtle::ConstantTimeEq;

use super::hash::hmac;
use super::key::{DeviceKey, Secret};

/// Bytes of a MAC.
pub(crate) const MAC_LEN: usize = 16;

const PSK: &[u8] = b"whimbrel psk";
const HELLO: &[u8] = b"whimbrel hello";
const ANSWER: &[u8] = b"whimbrel answer";
const COOKIE: &[u8] = b"whimbrel cookie";
const RESET: &[u8] = b"whimbrel reset";
const SLEEP: &[u8] = b"whimbrel sleep";

/// The pre-shared key of one handshake. The counter makes it another one each time, so that no two attempts
/// share keys even if a device's random source repeats itself.
pub(crate) fn handshake_psk(key: &DeviceKey, counter: u64) -> Secret {
    let mut psk = Secret::default();
    hmac(key.expose(), &[PSK, &counter.to_le_bytes()], psk.expose_mut());
    psk
}

/// The first MAC of a HELLO: whoever made it knows the device's key.
pub(crate) fn hello_mac(key: &DeviceKey, hello: &[&[u8]]) -> [u8; MAC_LEN] {
    derived_mac(key, HELLO, hello)
}

/// The MAC of an unsealed answer to a HELLO, which is named by its `mac1`.
pub(crate) fn answer_mac(key: &DeviceKey, mac1: &[u8; MAC_LEN], answer: &[u8]) -> [u8; MAC_LEN] {
    derived_mac(key, ANSWER, &[mac1, answer])
}

/// What a gateway under load gives to an address in a period, to show that it receives there.
pub(crate) fn cookie(secret: &[u8; 32], period: u64, source: &[u8]) -> [u8; MAC_LEN] {
    mac(secret, &[COOKIE, &period.to_le_bytes(), source])
}

/// The second MAC of a HELLO: whoever made it was given the cookie.
pub(crate) fn cookie_mac(cookie: &[u8; MAC_LEN], hello: &[u8]) -> [u8; MAC_LEN] {
    mac(cookie, &[hello])
}

/// The key of a session's resets, from the secret that outlives the gateway's sessions.
pub(crate) fn reset_key(secret: &[u8; 32], cid: &[u8]) -> [u8; MAC_LEN] {
    mac(secret, &[RESET, cid])
}

/// The MAC of a reset that answers the packet whose last four bytes are `cause_tag`.
pub(crate) fn reset_mac(reset_key: &[u8; MAC_LEN], cause_tag: &[u8; 4]) -> [u8; MAC_LEN] {
    mac(reset_key, &[cause_tag])
}

/// The MAC of a session asleep.
pub(crate) fn sleep_mac(key: &DeviceKey, snapshot: &[&[u8]]) -> [u8; MAC_LEN] {
    derived_mac(key, SLEEP, snapshot)
}

/// Whether they are the same, in constant time for equal lengths.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A MAC under the key that HMAC(device's key, label) is.
#[inline(never)]
fn derived_mac(key: &DeviceKey, label: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    let mut derived = Secret::default();
    hmac(key.expose(), &[label], derived.expose_mut());
    mac(derived.expose(), parts)
}

#[inline(never)]
fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    let mut full = Secret::default();
    hmac(key, parts, full.expose_mut());
    let (mac, _) = full.expose().split_first_chunk().unwrap_or((&[0; MAC_LEN], &[]));
    *mac
}

#[cfg(test)]
mod tests {
    use super::*;

    static KEY: DeviceKey = DeviceKey::new([7; 32]);

    // All by another implementation: Python's hmac with hashlib.blake2s.
    #[test]
    fn another_implementation_has_the_same() {
        let mac1: [u8; MAC_LEN] = core::array::from_fn(|at| at as u8);
        assert_eq!(
            handshake_psk(&KEY, 0x0102_0304_0506_0708).expose(),
            &[
                0x48, 0x39, 0x00, 0x11, 0xe1, 0x9e, 0xae, 0x7a, 0x91, 0x46, 0x03, 0x77, 0x6c, 0x04, 0xa6, 0xf6, 0xac,
                0x62, 0xe6, 0xe4, 0xc4, 0x33, 0xb6, 0xf7, 0x5a, 0xd8, 0x69, 0x2b, 0x5f, 0xfd, 0x7b, 0xb5
            ]
        );
        assert_eq!(
            hello_mac(&KEY, &[b"hello"]),
            [0x45, 0xc7, 0x4b, 0xfc, 0x14, 0xc8, 0xfb, 0x0b, 0xdd, 0xe6, 0x61, 0x6e, 0xe9, 0x8a, 0x03, 0x4c]
        );
        assert_eq!(
            answer_mac(&KEY, &mac1, b"answer"),
            [0x6d, 0xa0, 0xa7, 0xdd, 0x83, 0x0d, 0x91, 0x56, 0x28, 0x91, 0x18, 0x5d, 0x56, 0x57, 0xcf, 0xd2]
        );
        assert_eq!(
            cookie(&[9; 32], 5, b"source"),
            [0x1e, 0xf7, 0xbd, 0xe1, 0xc8, 0x38, 0xde, 0xfa, 0xa8, 0xc3, 0x19, 0xea, 0xb5, 0x8b, 0xcc, 0xf6]
        );
        assert_eq!(
            sleep_mac(&KEY, &[b"asleep"]),
            [0xa5, 0xce, 0x8b, 0x27, 0xf6, 0x30, 0x60, 0xa3, 0xdd, 0xbe, 0xcb, 0x6e, 0x84, 0xef, 0x59, 0x0f]
        );
        assert_eq!(
            cookie_mac(&mac1, b"hello"),
            [0xe7, 0xeb, 0xb7, 0x3e, 0x96, 0x0b, 0x76, 0xb1, 0xaa, 0x75, 0x49, 0x72, 0xcb, 0xfc, 0xb4, 0x29]
        );
        assert_eq!(
            reset_key(&[9; 32], b"cid"),
            [0x95, 0xa4, 0x2a, 0x5e, 0x5b, 0x2e, 0x52, 0x6e, 0xc6, 0xe3, 0xb9, 0x80, 0x73, 0x94, 0x4e, 0xd9]
        );
        assert_eq!(
            reset_mac(&mac1, &[1, 2, 3, 4]),
            [0xf0, 0x82, 0x32, 0x75, 0xd7, 0x34, 0x57, 0x3a, 0x5f, 0x8e, 0x94, 0x35, 0xcf, 0xb3, 0x5f, 0xa4]
        );
    }

    #[test]
    fn parts_are_joined() {
        assert_eq!(hello_mac(&KEY, &[b"one", b"", b"two"]), hello_mac(&KEY, &[b"onetwo"]));
        assert_ne!(hello_mac(&KEY, &[b"onetwo"]), hello_mac(&KEY, &[b"onetw"]));
    }

    #[test]
    fn uses_of_one_key_are_apart() {
        let secret = KEY.expose();
        let bytes = b"the same";
        assert_ne!(hello_mac(&KEY, &[bytes]), answer_mac(&KEY, &[0; 16], bytes));
        assert_ne!(hello_mac(&KEY, &[bytes]), sleep_mac(&KEY, &[bytes]));
        assert_ne!(cookie(secret, 0, bytes), reset_key(secret, bytes));
        assert_ne!(handshake_psk(&KEY, 1), handshake_psk(&KEY, 2));
        let labels = [PSK, HELLO, ANSWER, COOKIE, RESET, SLEEP];
        for (at, label) in labels.iter().enumerate() {
            assert!(labels.iter().enumerate().all(|(other, l)| other == at || !l.starts_with(label)));
        }
    }

    #[test]
    fn sameness_is_of_every_bit_and_of_length() {
        let mac = [0x5a; MAC_LEN];
        assert!(same(&mac, &mac));
        for bit in 0..8 * MAC_LEN {
            let mut other = mac;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same(&mac, &other));
        }
        assert!(!same(&mac, &mac[..15]));
    }
}
