//! What can keep a simulation from running, each in one clear line.

use crate::replay::ReplayError;
use core::net::SocketAddr;
use std::io;
use std::path::PathBuf;
use whimbrel_core::ConfigError;
use whimbrel_gateway::GatewayError;
use whimbrel_gateway::registry::RegistryError;

/// Why a simulation did not start, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The readings to replay are not there, or not what they should be.
    #[error("cannot read {}: {source}", path.display())]
    Replay {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ReplayError,
    },
    /// The gateway's address is none.
    #[error("cannot use the gateway {text}: {reason}")]
    GatewayAddress {
        /// What was given.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// The gateway of this process.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The devices could not be added to the database of this process's gateway.
    #[error("cannot provision the devices: {}: {source}", path.display())]
    Provision {
        /// The database.
        path: PathBuf,
        /// Why.
        source: RegistryError,
    },
    /// The file of devices, or what they keep beside it, is not as it should be.
    #[error("cannot use the devices of {}: {reason}", path.display())]
    DeviceFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The runtime of this process's gateway.
    #[error("cannot start the gateway's threads: {0}")]
    Runtime(io::Error),
    /// No socket towards the gateway.
    #[error("cannot open a UDP socket towards {gateway}: {source}")]
    Socket {
        /// The gateway.
        gateway: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Waiting for sockets failed.
    #[error("cannot wait for the network: {0}")]
    Wait(io::Error),
    /// No random bytes.
    #[error("cannot get random bytes: {0}")]
    Random(getrandom::Error),
    /// No signal handler.
    #[error("cannot handle signals: {0}")]
    Signal(io::Error),
    /// The TAP device is not there or not ready.
    #[error("cannot use the TAP device {name}: {reason}")]
    Tap {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The capture file cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The database cannot be read back.
    #[error("cannot verify the database: {}: {source}", path.display())]
    Verify {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The device's configuration is wrong.
    #[error("cannot set up device {device}: {reason}")]
    Device {
        /// Its name.
        device: String,
        /// What is wrong.
        reason: String,
    },
}

impl SimError {
    pub(crate) fn config(device: &str, error: ConfigError) -> Self {
        Self::Device { device: device.into(), reason: error.to_string() }
    }
}
