//! Commands about devices and keys: what can be asked, and who answers.
//!
//! While a gateway runs, it has its database to itself, and answers at a Unix socket beside it
//! (`readings.db.sock` beside `readings.db`), which only the gateway's user may use. While none runs, a
//! command takes the database for itself. [`run`] and [`list`] see to that.
//!
//! At the socket, requests and answers are lines of JSON: [`Request`], and an object with the one field
//! `done` ([`Answer`]) or `refused` (why, in one line). Both are bounded in length and time.

mod client;
#[cfg(not(unix))]
mod nowhere;
#[cfg(unix)]
mod server;
mod service;
#[cfg(unix)]
mod socket;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use whimbrel_core::{DeviceId, Pattern};

use crate::GatewayError;
use crate::registry::{DeviceInfo, DeviceName, GatewayInfo, Provisioned, RegistryError, forms};

pub use client::{list, run};
#[cfg(not(unix))]
pub(crate) use nowhere::{ControlSocket, Running, start};
#[cfg(unix)]
pub(crate) use server::{Running, start};
pub(crate) use service::Service;
#[cfg(unix)]
pub(crate) use socket::ControlSocket;

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Request {
    /// Add a device. Answered by [`Answer::Provisioned`].
    DeviceAdd {
        /// Its name.
        name: DeviceName,
        /// How it proves itself.
        #[serde(with = "forms::pattern")]
        pattern: Pattern,
    },
    /// A page of the devices, in the order of their ids. Answered by [`Answer::Devices`].
    DeviceList {
        /// From behind this one; `None`: from the first.
        #[serde(with = "forms::optional_id")]
        after: Option<DeviceId>,
    },
    /// End a device, and its session. Answered by [`Answer::Revoked`].
    DeviceRevoke {
        /// Its name.
        name: DeviceName,
    },
    /// Give a device a new key. Answered by [`Answer::Provisioned`].
    DeviceRotate {
        /// Its name.
        name: DeviceName,
        /// The old key is not good any more, and the device's session ends.
        now: bool,
    },
    /// The gateway's public keys. Answered by [`Answer::Gateway`].
    GatewayShow {},
    /// Make a new key pair of the gateway; the former stays good. Answered by [`Answer::Gateway`].
    GatewayRotate {},
    /// End the gateway's former key. Answered by [`Answer::Gateway`].
    GatewayRetire {
        /// Also if devices depend on it.
        force: bool,
    },
}

impl Request {
    /// Whether it makes sense where there is no database yet.
    const fn makes_database(&self) -> bool {
        matches!(self, Self::DeviceAdd { .. })
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// A device and its new key, which nobody is ever told again.
    Provisioned(Provisioned),
    /// Some of the devices.
    Devices(Page),
    /// It may not connect any more.
    Revoked(Revoked),
    /// The gateway's keys as they are now.
    Gateway(GatewayInfo),
}

/// Some of the devices.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Page {
    /// Which.
    pub devices: Vec<DeviceInfo>,
    /// Whether there may be more behind the last.
    pub more: bool,
}

/// A device that may not connect any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Revoked {
    /// Its id.
    #[serde(with = "forms::id")]
    pub id: DeviceId,
}

/// How an answer is written.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Done(Answer),
    Refused(String),
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The database cannot be used.
    #[error(transparent)]
    Database(GatewayError),
    /// No.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No, says the running gateway.
    #[error("{0}")]
    Refused(String),
    /// The running gateway cannot be asked, or does not answer.
    #[error("cannot ask the gateway at {}: {reason}", path.display())]
    Socket {
        /// Its socket.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_line_of_json() {
        let name: DeviceName = "one".parse().unwrap();
        for (request, text) in [
            (
                Request::DeviceAdd { name: name.clone(), pattern: Pattern::NnPsk0 },
                r#"{"command":"device-add","name":"one","pattern":"nnpsk0"}"#,
            ),
            (Request::DeviceList { after: None }, r#"{"command":"device-list","after":null}"#),
            (Request::DeviceList { after: DeviceId::new(b"ab") }, r#"{"command":"device-list","after":"6162"}"#),
            (
                Request::DeviceRotate { name: name.clone(), now: true },
                r#"{"command":"device-rotate","name":"one","now":true}"#,
            ),
            (Request::GatewayShow {}, r#"{"command":"gateway-show"}"#),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), text);
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
        }
        for wrong in [
            r#"{"command":"device-revoke","name":"-x"}"#,
            r#"{"command":"device-revoke","name":"x","too":"much"}"#,
            r#"{"command":"fly"}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Request>(wrong).is_err(), "{wrong}");
        }
    }
}
