//! How ids, keys and patterns are written in JSON: in hexadecimal, and by name.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use whimbrel_core::{DeviceId, DeviceKey, GatewayPublic, Pattern};
use zeroize::Zeroizing;

const NK_PSK0: &str = "nkpsk0";
const NN_PSK0: &str = "nnpsk0";

/// The name of a pattern, at the command line and in the database too.
pub(crate) const fn pattern_name(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::NkPsk0 => NK_PSK0,
        Pattern::NnPsk0 => NN_PSK0,
    }
}

/// The pattern of this name.
pub(crate) fn pattern_named(name: &str) -> Option<Pattern> {
    match name {
        NK_PSK0 => Some(Pattern::NkPsk0),
        NN_PSK0 => Some(Pattern::NnPsk0),
        _ => None,
    }
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

/// 32 bytes from 64 digits. The error does not repeat them.
fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Zeroizing<[u8; 32]>, D::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    match hex::decode_to_slice(text(from)?.as_bytes(), bytes.as_mut_slice()) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(D::Error::custom("a key has 64 hexadecimal digits")),
    }
}

/// 64 digits.
fn digits(bytes: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(bytes))
}

pub(crate) mod key {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(key: &DeviceKey, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&digits(key.expose()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DeviceKey, D::Error> {
        bytes(from).map(|bytes| DeviceKey::new(*bytes))
    }
}

pub(crate) mod public {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(key: &GatewayPublic, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&digits(key.as_bytes()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<GatewayPublic, D::Error> {
        bytes(from).map(|bytes| GatewayPublic::new(*bytes))
    }
}

/// A key that is not always there: `null`.
pub(crate) mod optional_public {
    use super::*;

    #[derive(Deserialize)]
    struct Key(#[serde(with = "public")] GatewayPublic);

    pub(crate) fn serialize<S: Serializer>(key: &Option<GatewayPublic>, to: S) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => public::serialize(key, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<GatewayPublic>, D::Error> {
        Ok(Option::<Key>::deserialize(from)?.map(|Key(key)| key))
    }
}

pub(crate) mod id {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(id: &DeviceId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(id.as_bytes()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DeviceId, D::Error> {
        let id = hex::decode(text(from)?.as_bytes()).ok().and_then(|id| DeviceId::new(&id));
        id.ok_or_else(|| D::Error::custom("a device's id has 1 to 16 bytes in hexadecimal digits"))
    }
}

/// A device that is not always there: `null`.
pub(crate) mod optional_id {
    use super::*;

    #[derive(Deserialize)]
    struct Id(#[serde(with = "id")] DeviceId);

    pub(crate) fn serialize<S: Serializer>(device: &Option<DeviceId>, to: S) -> Result<S::Ok, S::Error> {
        match device {
            Some(device) => id::serialize(device, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DeviceId>, D::Error> {
        Ok(Option::<Id>::deserialize(from)?.map(|Id(device)| device))
    }
}

pub(crate) mod pattern {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(pattern: &Pattern, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(pattern_name(*pattern))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Pattern, D::Error> {
        pattern_named(&text(from)?).ok_or_else(|| D::Error::custom("a pattern is nkpsk0 or nnpsk0"))
    }
}
