//! What a gateway is told when it starts.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::path::PathBuf;

use whimbrel_tokio::EndpointConfig;

use crate::GatewayError;

/// The tunables of a gateway.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The UDP address to listen on; port 0 lets the system choose one. Default 127.0.0.1:0.
    pub listen: SocketAddr,
    /// The SQLite file, made when it is not there. Default `whimbrel.db` in the current directory.
    pub database: PathBuf,
    /// Sessions are not protected: anybody can say that he is any device, and read and forge what devices say. For
    /// bring-up, and for networks that are protected in other ways. Default: not so; a device must have been added to
    /// the database ([`crate::registry::Registry::add`]).
    pub insecure_plain: bool,
    /// Most readings in one transaction, 1 to 65,536. Default 4096.
    pub batch_max: usize,
    /// How long a reading waits for others to share its transaction, at most 10 s. Default 5 ms,
    /// of the order of one sync of a disk.
    pub batch_delay: Duration,
    /// How long [`crate::Gateway::shutdown`] may take, at most a day. Default 10 s.
    pub shutdown_deadline: Duration,
    /// The tunables of the UDP endpoint.
    pub endpoint: EndpointConfig,
}

impl GatewayConfig {
    /// Most readings in one transaction that may be asked for.
    pub const BATCH_LIMIT: usize = 65_536;
    /// The longest wait for a batch to fill that may be asked for.
    pub const DELAY_LIMIT: Duration = Duration::from_secs(10);
    /// The longest shutdown that may be asked for.
    pub const SHUTDOWN_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

    /// The defaults, for this address and this file.
    pub fn new(listen: SocketAddr, database: impl Into<PathBuf>) -> Self {
        Self { listen, database: database.into(), ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<(), GatewayError> {
        let wrong = |what, least, most| Err(GatewayError::Limit { what, least, most });
        if !(1..=Self::BATCH_LIMIT).contains(&self.batch_max) {
            return wrong("the largest batch", "1", "65536 readings");
        }
        if self.batch_delay > Self::DELAY_LIMIT {
            return wrong("the delay of a batch", "0", "10 s");
        }
        if self.shutdown_deadline > Self::SHUTDOWN_LIMIT {
            return wrong("the deadline of a shutdown", "0", "a day");
        }
        Ok(())
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            database: PathBuf::from("whimbrel.db"),
            insecure_plain: false,
            batch_max: 4096,
            batch_delay: Duration::from_millis(5),
            shutdown_deadline: Duration::from_secs(10),
            endpoint: EndpointConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused() {
        let good = GatewayConfig::default();
        assert!(good.check().is_ok());
        for bad in [
            GatewayConfig { batch_max: 0, ..good.clone() },
            GatewayConfig { batch_max: GatewayConfig::BATCH_LIMIT + 1, ..good.clone() },
            GatewayConfig { batch_delay: Duration::from_secs(11), ..good.clone() },
            GatewayConfig { shutdown_deadline: Duration::MAX, ..good.clone() },
        ] {
            assert!(matches!(bad.check(), Err(GatewayError::Limit { .. })), "{bad:?}");
        }
    }
}
