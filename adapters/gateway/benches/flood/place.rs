//! A gateway with a database of its own, and the devices that it knows.

use core::net::{Ipv4Addr, SocketAddr};

use rusqlite::Connection;
use tokio::runtime::{Builder, Runtime};
use whimbrel_core::{
    BootEpoch, ChannelConfig, ChannelId, Config, Credentials, Identity, Large, Pattern, SchemaId, Session,
};
use whimbrel_gateway::registry::{Provisioned, Registry};
use whimbrel_gateway::{Gateway, GatewayConfig};
use whimbrel_tokio::EndpointStats;

/// What the database has of a device.
pub(crate) struct InDatabase {
    pub(crate) rows: u64,
    /// Different ones among them.
    pub(crate) readings: u64,
}

/// How the gateway's threads are called.
pub(crate) const THREADS: &str = "gateway";

/// A running gateway.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    /// The gateway's alone, so that the devices wait for nothing but its answers.
    runtime: Runtime,
    gateway: Gateway,
    pub(crate) devices: Vec<Provisioned>,
}

impl Place {
    pub(crate) async fn new(devices: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("flood.db");
        let registry = Registry::open(&database).unwrap();
        let add = |number| registry.add(&name(number).parse().unwrap(), Pattern::NkPsk0).unwrap();
        let devices = (0..devices).map(add).collect();
        drop(registry);
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(THREADS).enable_all().build().unwrap();
        let gateway = runtime.spawn(Gateway::start(GatewayConfig::new(listen, database))).await.unwrap().unwrap();
        Self { folder, runtime, gateway, devices }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    pub(crate) fn stats(&self) -> EndpointStats {
        self.gateway.stats()
    }

    /// Stops the gateway. Returns what is stored, by device.
    pub(crate) async fn end(self) -> Vec<InDatabase> {
        self.runtime.spawn(self.gateway.shutdown()).await.unwrap().unwrap();
        self.runtime.shutdown_background();
        let database = Connection::open(self.folder.path().join("flood.db")).unwrap();
        let sql = "SELECT count(*), count(DISTINCT payload) FROM named_readings WHERE name = ?1";
        let stored = |number| {
            let row = |row: &rusqlite::Row<'_>| Ok([row.get::<_, i64>(0)?, row.get(1)?]);
            let [rows, readings] = database.query_row(sql, [name(number)], row).unwrap().map(i64::cast_unsigned);
            InDatabase { rows, readings }
        };
        (0..self.devices.len()).map(stored).collect()
    }
}

fn name(number: usize) -> String {
    format!("honest-{number}")
}

/// The one channel of each device.
pub(crate) fn channel() -> ChannelConfig {
    ChannelConfig::durable(ChannelId::new(1).unwrap(), SchemaId::named("flood/1"))
}

pub(crate) fn identity(device: &Provisioned, boot: u32) -> Identity {
    let public = device.gateway_public.expect("a gateway that is sealed");
    Identity::sealed(device.id, BootEpoch::unstored(boot), Credentials::nk(device.key.clone(), public))
}

/// The first HELLO of a boot.
pub(crate) fn hello(device: &Provisioned, boot: u32) -> Vec<u8> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).unwrap();
    let mut session =
        Session::connect(&Config::new(), identity(device, boot), &[channel()], random, Large::new()).unwrap();
    let mut datagram = vec![0; 1452];
    let hello = session.poll_transmit(whimbrel_core::Instant::ZERO, &mut datagram);
    datagram.truncate(hello.expect("a device begins with a request").len);
    datagram
}
