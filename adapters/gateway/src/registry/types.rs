//! What the registry tells of devices and keys, and how that is written in JSON.

use core::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use whimbrel_core::{DeviceId, DeviceKey, GatewayPublic, Pattern};

use super::DeviceName;
use super::forms;

/// All that a device has to be told, as `whimbrel device add --json` prints it. It holds the key; `Debug`
/// does not show it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Provisioned {
    /// What people call it.
    pub name: DeviceName,
    /// Its id in every HELLO.
    #[serde(with = "forms::id")]
    pub id: DeviceId,
    /// How it and its gateway prove themselves.
    #[serde(with = "forms::pattern")]
    pub pattern: Pattern,
    /// Its key.
    #[serde(with = "forms::key")]
    pub key: DeviceKey,
    /// The gateway's public key; none where the pattern needs none.
    #[serde(with = "forms::optional_public")]
    pub gateway_public: Option<GatewayPublic>,
}

/// What a device is, at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeviceState {
    /// It may connect.
    Active,
    /// It may connect, and has a new key that it has not used yet.
    Rotating,
    /// It may not.
    Revoked,
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::Revoked => "revoked",
        })
    }
}

/// The number of a handshake: each attempt of a device to open a session has a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct Counter {
    /// The device's boot epoch.
    pub boot: u32,
    /// The attempt within it.
    pub attempt: u32,
}

impl Counter {
    /// Its halves.
    pub(crate) const fn from_u64(counter: u64) -> Self {
        Self { boot: (counter >> 32) as u32, attempt: counter as u32 }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.boot, self.attempt)
    }
}

/// What is known of a device, without its keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct DeviceInfo {
    /// What people call it.
    pub name: DeviceName,
    /// Its id; in the database's tables of readings as `x'..'`.
    #[serde(with = "forms::id")]
    pub id: DeviceId,
    /// How it and its gateway prove themselves.
    #[serde(with = "forms::pattern")]
    pub pattern: Pattern,
    /// What it is.
    pub state: DeviceState,
    /// Its newest handshake; `None`: it has never connected.
    pub counter: Option<Counter>,
    /// When it was added.
    #[serde(with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was revoked.
    #[serde(with = "rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// When it last connected or delivered a reading, within a minute.
    #[serde(with = "rfc3339::option")]
    pub last_seen: Option<OffsetDateTime>,
}

/// The gateway's public keys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct GatewayInfo {
    /// The key that devices are told.
    #[serde(with = "forms::public")]
    pub public: GatewayPublic,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created_at: OffsetDateTime,
    /// The one before, while it is still good.
    pub former: Option<FormerKey>,
}

/// A key of the gateway on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct FormerKey {
    /// The key.
    #[serde(with = "forms::public")]
    pub public: GatewayPublic,
    /// Devices that have not used the new one yet.
    pub devices: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_provisioned_is_written_and_read_but_not_shown() {
        let provisioned = Provisioned {
            name: "greenhouse-7".parse().unwrap(),
            id: DeviceId::new(&[0, 1, 2, 3, 4, 5, 6, 0xff]).unwrap(),
            pattern: Pattern::NkPsk0,
            key: DeviceKey::new([0xa5; 32]),
            gateway_public: Some(GatewayPublic::new([0x11; 32])),
        };
        let text = serde_json::to_string(&provisioned).unwrap();
        let expected = format!(
            r#"{{"name":"greenhouse-7","id":"00010203040506ff","pattern":"nkpsk0","key":"{}","gateway_public":"{}"}}"#,
            "a5".repeat(32),
            "11".repeat(32)
        );
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Provisioned>(&text).unwrap(), provisioned);
        assert!(!format!("{provisioned:?}").contains("a5"));
        let small = Provisioned { pattern: Pattern::NnPsk0, gateway_public: None, ..provisioned };
        let text = serde_json::to_string(&small).unwrap();
        assert!(text.ends_with(r#""gateway_public":null}"#), "{text}");
        assert_eq!(serde_json::from_str::<Provisioned>(&text).unwrap(), small);
    }

    #[test]
    fn a_wrong_key_is_not_repeated() {
        for key in ["a5a5", &"a5".repeat(33), &"g5".repeat(32)] {
            let text = format!(r#"{{"name":"a","id":"00","pattern":"nkpsk0","key":"{key}","gateway_public":null}}"#);
            let error = serde_json::from_str::<Provisioned>(&text).unwrap_err().to_string();
            assert!(error.starts_with("a key has 64 hexadecimal digits") && !error.contains(key), "{error}");
        }
    }

    #[test]
    fn a_counter_has_two_halves() {
        assert_eq!(Counter::from_u64(0x0000_0007_0000_0003), Counter { boot: 7, attempt: 3 });
        assert_eq!(Counter::from_u64(u64::MAX).to_string(), "4294967295:4294967295");
    }
}
