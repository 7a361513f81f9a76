//! What is derived and proved with a device's key: HMAC-BLAKE2s throughout.

use subtle::ConstantTimeEq;

use super::DeviceKey;
use super::hash;

/// HMAC-BLAKE2s (RFC 2104) of bytes that lie in several places.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    hash::hmac(key, parts, &mut out);
    out
}

fn short(mac: [u8; 32]) -> [u8; 16] {
    let [front, _] = split(&mac);
    front
}

fn split(mac: &[u8; 32]) -> [[u8; 16]; 2] {
    let (halves, _) = mac.as_chunks::<16>();
    [halves.first().copied().unwrap_or_default(), halves.last().copied().unwrap_or_default()]
}

/// The pre-shared key of one handshake: bound to its counter.
pub(crate) fn handshake_psk(key: &DeviceKey, counter: u64) -> [u8; 32] {
    hmac(key.expose(), &[b"whimbrel psk", &counter.to_le_bytes()])
}

/// The MAC of a HELLO.
pub(crate) fn hello_mac(key: &DeviceKey, parts: &[&[u8]]) -> [u8; 16] {
    short(hmac(&hmac(key.expose(), &[b"whimbrel hello"]), parts))
}

/// The MAC of an answer to the HELLO with this MAC.
pub(crate) fn answer_mac(key: &DeviceKey, mac1: &[u8; 16], bytes: &[u8]) -> [u8; 16] {
    short(hmac(&hmac(key.expose(), &[b"whimbrel answer"]), &[mac1, bytes]))
}

/// The cookie of an address in a period.
pub(crate) fn cookie(secret: &[u8; 32], period: u64, source: &[u8]) -> [u8; 16] {
    short(hmac(secret, &[b"whimbrel cookie", &period.to_le_bytes(), source]))
}

/// The proof that a cookie arrived.
pub(crate) fn cookie_mac(cookie: &[u8; 16], bytes: &[u8]) -> [u8; 16] {
    short(hmac(cookie, &[bytes]))
}

/// What the RESETs of a connection are authentic by.
pub(crate) fn reset_key(secret: &[u8; 32], cid: &[u8]) -> [u8; 16] {
    short(hmac(secret, &[b"whimbrel reset", cid]))
}

/// The MAC of a RESET.
pub(crate) fn reset_mac(key: &[u8; 16], cause_tag: &[u8; 4]) -> [u8; 16] {
    short(hmac(key, &[cause_tag]))
}

/// The MAC of a snapshot.
pub(crate) fn sleep_mac(key: &DeviceKey, parts: &[&[u8]]) -> [u8; 16] {
    short(hmac(&hmac(key.expose(), &[b"whimbrel sleep"]), parts))
}

/// Equality in constant time.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
