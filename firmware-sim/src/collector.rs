//! The gateway of the simulation's own process.

use crate::SimError;
use core::net::SocketAddr;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use whimbrel_gateway::{Gateway, GatewayConfig, GatewayError};

/// Datagrams that the gateway's checks dropped, apart from repeats and from those it had no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoilt(pub u64);

/// A gateway and the threads that it runs on.
#[derive(Debug)]
pub struct Collector {
    runtime: Runtime,
    gateway: Gateway,
}

impl Collector {
    /// Listens on `listen` and stores into `database`; with `insecure_plain`, protects nothing.
    ///
    /// # Errors
    /// [`SimError::Gateway`] or [`SimError::Runtime`]; nothing is left behind.
    pub fn start(listen: SocketAddr, database: &Path, insecure_plain: bool) -> Result<Self, SimError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(SimError::Runtime)?;
        let mut config = GatewayConfig { insecure_plain, ..GatewayConfig::new(listen, database) };
        // All devices share one address, and what their links spoil must not be held against it.
        let limits = &mut config.endpoint.limits;
        limits.sessions_per_prefix = config.endpoint.sessions_max;
        limits.handshakes_per_prefix = None;
        limits.strikes.strikes = u32::MAX;
        let gateway = runtime.block_on(Gateway::start(config))?;
        Ok(Self { runtime, gateway })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    /// Stops it: what is in hand is stored, the database is closed.
    pub fn stop(self) -> (Spoilt, Result<(), GatewayError>) {
        let stats = self.gateway.stats();
        let spoilt = stats.rx_truncated
            + stats.rx_malformed
            + stats.rx_version
            + stats.rx_unexpected
            + stats.rx_unknown_connection
            + stats.hello_protection
            + stats.hello_unknown_device
            + stats.hello_unauthentic
            + stats.hello_unopened
            + stats.session_rx_truncated
            + stats.session_rx_oversized
            + stats.session_rx_unauthentic
            + stats.session_rx_malformed
            + stats.session_rx_unexpected
            + stats.session_rx_version;
        let stopped = self.runtime.block_on(self.gateway.shutdown());
        (Spoilt(spoilt), stopped.map(|_| ()))
    }
}
