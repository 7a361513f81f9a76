//! From a device's socket to the rows of the database, through restarts and failures.

#![cfg(unix)]

mod common;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{PATIENCE, Whimbrel, names, serve};
use rusqlite::{Connection, OpenFlags};
use whimbrel_core::{
    BootEpoch, ChannelConfig, ChannelId, Config, Credentials, DeviceId, Event, Identity, Pattern, SchemaId,
};
use whimbrel_gateway::registry::{Provisioned, Registry};
use whimbrel_gateway::{Gateway, GatewayConfig, GatewayError};
use whimbrel_tokio::{Client, ClientConfig, ClientEvent};

/// A folder for one database, in which devices were added.
struct Place {
    folder: tempfile::TempDir,
    database: PathBuf,
    devices: Vec<Provisioned>,
    boots: AtomicU32,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let names = ["sim-0", "sim-1"].map(|name| name.parse().unwrap());
        let devices = Registry::open(&database).unwrap().provision(&names, Pattern::NkPsk0).unwrap();
        Self { folder, database, devices, boots: AtomicU32::new(1) }
    }

    /// Boots the device, which has one durable channel.
    async fn device(&self, name: &str, gateway: SocketAddr) -> Client {
        self.device_with(name, gateway, ChannelConfig::durable(channel(), SchemaId::named("nobody/1"))).await
    }

    async fn device_with(&self, name: &str, gateway: SocketAddr, channel: ChannelConfig) -> Client {
        let device = self.devices.iter().find(|device| device.name.as_str() == name).unwrap();
        let boot = BootEpoch::unstored(self.boots.fetch_add(1, Ordering::Relaxed));
        let credentials = Credentials::nk(device.key.clone(), device.gateway_public.unwrap());
        connect(Identity::sealed(device.id, boot, credentials), gateway, channel).await
    }

    async fn gateway(&self) -> Gateway {
        self.gateway_with(|_| {}).await
    }

    async fn gateway_with(&self, change: impl FnOnce(&mut GatewayConfig)) -> Gateway {
        let mut config = GatewayConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), &self.database);
        change(&mut config);
        Gateway::start(config).await.unwrap()
    }

    /// Readers may read at any time.
    fn reader(&self) -> Connection {
        let reader = Connection::open_with_flags(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        reader.busy_timeout(PATIENCE).unwrap();
        reader
    }

    fn number(&self, sql: &str) -> i64 {
        self.reader().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The gateway left one file. To be asked before anybody reads: SQLite makes the log's files
    /// again for a reader, and one that may only read cannot remove them.
    fn assert_tidy(&self) {
        assert_eq!(names(self.folder.path()), [Path::new("a.db")]);
    }

    /// These are there, and nobody but their owner may use them.
    fn assert_private(&self, expected: &[&str]) {
        for name in expected {
            let mode = std::fs::metadata(self.folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    /// In the way of every batch, until it is dropped.
    fn obstacle(&self) -> Connection {
        let writer = Connection::open(&self.database).unwrap();
        writer.busy_timeout(PATIENCE).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        writer
    }

    /// Readings 0 to `count` of the device are rows, each once, in the order in which they were
    /// stored, under these epochs one after the other.
    fn assert_stored(&self, device: &str, epochs: &[u32], count: u64) {
        let reader = self.reader();
        let sql = "SELECT epoch, seq, payload FROM readings
                   WHERE device = coalesce((SELECT device FROM devices WHERE name = ?1), ?1) ORDER BY rowid";
        let mut statement = reader.prepare(sql).unwrap();
        let rows = statement.query_map([device], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let rows: Vec<(u32, i64, Vec<u8>)> = rows.collect::<Result<_, _>>().unwrap();
        let expected: Vec<_> =
            epochs.iter().flat_map(|epoch| (0..count).map(move |seq| (*epoch, seq as i64, payload(seq)))).collect();
        assert!(rows == expected, "{} rows, {} expected", rows.len(), expected.len());
    }
}

fn channel() -> ChannelId {
    ChannelId::new(1).unwrap()
}

fn payload(number: u64) -> Vec<u8> {
    format!("reading {number}").into_bytes()
}

async fn connect(identity: Identity, gateway: SocketAddr, channel: ChannelConfig) -> Client {
    let core = Config { max_backoff: whimbrel_core::Duration::from_millis(500), ..Config::new() };
    Client::connect(gateway, identity, &[channel], ClientConfig { core, ..ClientConfig::default() }).await.unwrap()
}

async fn send(client: &Client, range: core::ops::Range<u64>) {
    for number in range {
        let sent = tokio::time::timeout(PATIENCE, client.send(channel(), payload(number))).await;
        assert_eq!(sent.expect("accepted in time").unwrap().seq.value(), number);
    }
}

/// Waits until everything below `next` is committed.
async fn committed(client: &mut Client, next: u64) {
    let reached = async {
        while let Some(event) = client.next_event().await {
            if matches!(event, ClientEvent::Session(Event::Committed { next: n, .. }) if n.value() >= next) {
                return;
            }
        }
        panic!("the session ended");
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("committed in time");
}

/// Waits until a gateway has tried and failed to store.
async fn failing(gateway: &Gateway) {
    let start = Instant::now();
    while gateway.stored().failures == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing failed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_become_rows_each_once_and_in_order() {
    let place = Place::new();
    let gateway = place.gateway().await;
    for epoch in 1..=2 {
        // A device without storage starts over: the same numbers, another epoch.
        let client = place.device("sim-0", gateway.local_addr()).await;
        send(&client, 0..500).await;
        client.close(PATIENCE).await.unwrap();
        place.assert_stored("sim-0", &[1, 2][..epoch], 500);
    }
    let client = place.device("sim-1", gateway.local_addr()).await;
    send(&client, 0..10).await;
    client.close(PATIENCE).await.unwrap();
    place.assert_private(&["a.db", "a.db-wal", "a.db-shm", "a.db.lock", "a.db.sock"]);
    let stored = gateway.shutdown().await.unwrap();
    place.assert_tidy();
    place.assert_stored("sim-1", &[1], 10);
    assert_eq!((stored.rows, stored.raw, stored.gaps, stored.admitted), (1010, 1010, 0, 3));
    assert_eq!(place.number("SELECT min(received_at) > 1700000000000000 FROM readings"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_gateway_takes_anybody_at_his_word() {
    let place = Place::new();
    let gateway = place.gateway_with(|config| config.insecure_plain = true).await;
    let identity = Identity::insecure_plain(DeviceId::new(b"anybody").unwrap(), 0);
    let durable = ChannelConfig::durable(channel(), SchemaId::named("nobody/1"));
    let client = connect(identity, gateway.local_addr(), durable).await;
    send(&client, 0..10).await;
    client.close(PATIENCE).await.unwrap();
    // One who was told to seal gets no answer, and nothing of it gets through.
    let sealed = place.device("sim-0", gateway.local_addr()).await;
    send(&sealed, 0..1).await;
    assert!(sealed.close(Duration::from_secs(1)).await.is_err());
    assert_eq!(gateway.shutdown().await.unwrap().rows, 10);
    place.assert_stored("anybody", &[1], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_gateway_takes_nobody_at_his_word() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let durable = ChannelConfig::durable(channel(), SchemaId::named("nobody/1"));
    let plain = Identity::insecure_plain(place.devices[0].id, 0);
    let client = connect(plain, gateway.local_addr(), durable).await;
    send(&client, 0..1).await;
    assert!(client.close(Duration::from_secs(1)).await.is_err());
    assert!(gateway.stats().hello_protection > 0);
    assert_eq!(gateway.shutdown().await.unwrap().rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_durable_is_stored_too() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let ordered = ChannelConfig::ordered(channel(), SchemaId::named("nobody/1"));
    let client = place.device_with("sim-0", gateway.local_addr(), ordered).await;
    send(&client, 0..300).await;
    client.close(PATIENCE).await.unwrap();
    // Acknowledged is not stored: the end of the gateway is what settles it.
    assert_eq!(gateway.shutdown().await.unwrap().rows, 300);
    place.assert_stored("sim-0", &[1], 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_while_the_sink_fails_and_nothing_is_lost() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let mut client = place.device("sim-0", gateway.local_addr()).await;
    send(&client, 0..5).await;
    committed(&mut client, 5).await;
    let obstacle = place.obstacle();
    send(&client, 5..20).await;
    failing(&gateway).await;
    let early = tokio::time::timeout(Duration::from_millis(300), async {
        loop {
            if let Some(ClientEvent::Session(Event::Committed { next, .. })) = client.next_event().await {
                break next;
            }
        }
    });
    assert_eq!(early.await.ok(), None, "a commit without a row");
    drop(obstacle);
    client.close(PATIENCE).await.unwrap();
    assert_eq!(gateway.shutdown().await.unwrap().rows, 20);
    place.assert_stored("sim-0", &[1], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_still_fails_at_the_deadline_is_named_and_the_device_goes_on() {
    let place = Place::new();
    let gateway = place.gateway_with(|config| config.shutdown_deadline = Duration::from_millis(500)).await;
    let mut client = place.device("sim-0", gateway.local_addr()).await;
    send(&client, 0..5).await;
    committed(&mut client, 5).await;
    let obstacle = place.obstacle();
    send(&client, 5..20).await;
    failing(&gateway).await;
    let address = gateway.local_addr();
    let error = gateway.shutdown().await.unwrap_err();
    assert!(error.to_string().contains("a.db: database is locked: "), "{error}");
    assert!(matches!(error, GatewayError::NotStored { kept: 1..=15, lost: 0, .. }), "{error}");
    drop(obstacle);
    assert_eq!(place.number("SELECT count(*) FROM readings"), 5);
    let gateway = place.gateway_with(|config| config.listen = address).await;
    client.close(PATIENCE).await.unwrap();
    gateway.shutdown().await.unwrap();
    place.assert_stored("sim-0", &[1], 20);
}

/// Ends the gateway in the middle by a signal, starts it again, and counts.
async fn restarted(signal: &str, code: Option<i32>) {
    let place = Place::new();
    let first = Whimbrel::start(&place.database);
    let address = first.address;
    let mut client = place.device("sim-0", address).await;
    send(&client, 0..100).await;
    committed(&mut client, 50).await;
    let feeder = tokio::spawn({
        let client = client.sender();
        async move {
            for number in 100..1000 {
                client.send(channel(), payload(number)).await.unwrap();
            }
        }
    });
    first.signal(signal);
    let end = tokio::task::spawn_blocking(|| first.wait()).await.unwrap();
    assert_eq!(end.status.code(), code, "{}", end.log);
    let before = place.number("SELECT next FROM streams");
    assert_eq!(place.number("SELECT count(*) FROM readings"), before);
    assert!(before >= 50, "what was committed is there");

    let second = Whimbrel::spawn(serve(&address.to_string(), &place.database));
    tokio::time::timeout(PATIENCE, feeder).await.unwrap().unwrap();
    client.close(PATIENCE).await.unwrap();
    second.signal("TERM");
    let end = tokio::task::spawn_blocking(|| second.wait()).await.unwrap();
    assert_eq!(end.status.code(), Some(0), "{}", end.log);
    place.assert_tidy();
    place.assert_stored("sim-0", &[1], 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_terminated_loses_nothing() {
    restarted("TERM", Some(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_loses_nothing() {
    restarted("KILL", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let place = Place::new();
    let mut command = serve("127.0.0.1:0", &place.database);
    command.args(["--shutdown-deadline-ms", "3600000"]);
    let whimbrel = Whimbrel::spawn(command);
    let mut client = place.device("sim-0", whimbrel.address).await;
    send(&client, 0..1).await;
    committed(&mut client, 1).await;
    let _obstacle = place.obstacle();
    send(&client, 1..2).await;
    // Long enough for it to be in the gateway's hands.
    tokio::time::sleep(Duration::from_millis(500)).await;
    whimbrel.signal("TERM");
    tokio::time::sleep(Duration::from_millis(500)).await;
    whimbrel.signal("INT");
    let end = tokio::task::spawn_blocking(|| whimbrel.wait()).await.unwrap();
    assert_eq!(end.status.code(), Some(130), "{}", end.log);
    assert_eq!(place.number("SELECT count(*) FROM readings"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_that_cannot_be_stored_by_the_deadline_end_the_program_with_a_line() {
    let place = Place::new();
    let mut command = serve("127.0.0.1:0", &place.database);
    command.args(["--shutdown-deadline-ms", "500"]);
    let whimbrel = Whimbrel::spawn(command);
    let mut client = place.device("sim-0", whimbrel.address).await;
    send(&client, 0..1).await;
    committed(&mut client, 1).await;
    let _obstacle = place.obstacle();
    send(&client, 1..2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    whimbrel.signal("TERM");
    let end = tokio::task::spawn_blocking(|| whimbrel.wait()).await.unwrap();
    assert_eq!(end.status.code(), Some(1), "{}", end.log);
    let line = end.log.lines().last().unwrap();
    let start = format!("whimbrel: cannot store the last readings: {}: database is locked: ", place.database.display());
    assert!(line.starts_with(&start), "{line}");
}
