//! Devices with keys against a running gateway: changes take effect at once, and no key is told twice.

#![cfg(unix)]

mod common;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::{PATIENCE, Whimbrel, serve};
use rusqlite::{Connection, OpenFlags};
use whimbrel_core::{
    BootEpoch, ChannelConfig, ChannelId, CloseReason, Config, Credentials, Event, Identity, Pattern, SchemaId,
};
use whimbrel_gateway::command::{self, Answer, Request};
use whimbrel_gateway::registry::{Counter, DeviceInfo, DeviceState, GatewayInfo, Provisioned};
use whimbrel_gateway::{Gateway, GatewayConfig};
use whimbrel_tokio::{Client, ClientConfig, ClientEvent};

/// What is promised of a revoked device: its session ends within this. It takes milliseconds.
const AT_ONCE: Duration = Duration::from_secs(1);

struct Place {
    _folder: tempfile::TempDir,
    database: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        Self { _folder: folder, database }
    }

    async fn gateway(&self) -> Gateway {
        Gateway::start(GatewayConfig::new(here(), &self.database)).await.unwrap()
    }

    /// As the program does it.
    async fn ask(&self, request: Request) -> Answer {
        let database = self.database.clone();
        tokio::task::spawn_blocking(move || command::run(&database, &request)).await.unwrap().unwrap()
    }

    async fn add(&self, name: &str, pattern: Pattern) -> Provisioned {
        match self.ask(Request::DeviceAdd { name: name.parse().unwrap(), pattern }).await {
            Answer::Provisioned(device) => device,
            answer => panic!("{answer:?}"),
        }
    }

    async fn rotate(&self, name: &str, now: bool) -> Provisioned {
        match self.ask(Request::DeviceRotate { name: name.parse().unwrap(), now }).await {
            Answer::Provisioned(device) => device,
            answer => panic!("{answer:?}"),
        }
    }

    async fn revoke(&self, name: &str) {
        self.ask(Request::DeviceRevoke { name: name.parse().unwrap() }).await;
    }

    async fn keys(&self, request: Request) -> GatewayInfo {
        match self.ask(request).await {
            Answer::Gateway(keys) => keys,
            answer => panic!("{answer:?}"),
        }
    }

    async fn listed(&self, name: &str) -> DeviceInfo {
        let database = self.database.clone();
        let all = tokio::task::spawn_blocking(move || command::list(&database)).await.unwrap().unwrap();
        all.into_iter().find(|device| device.name.as_str() == name).unwrap()
    }

    fn rows(&self) -> i64 {
        let reader = Connection::open_with_flags(&self.database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        reader.busy_timeout(PATIENCE).unwrap();
        reader.query_row("SELECT count(*) FROM named_readings WHERE name <> device", [], |row| row.get(0)).unwrap()
    }
}

fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn channel() -> ChannelId {
    ChannelId::new(1).unwrap()
}

/// Every client is another boot.
static BOOTS: AtomicU32 = AtomicU32::new(1);

async fn connect(device: &Provisioned, gateway: SocketAddr) -> Client {
    connect_at(device, gateway, BOOTS.fetch_add(1, Ordering::Relaxed)).await
}

async fn connect_at(device: &Provisioned, gateway: SocketAddr, boot: u32) -> Client {
    let credentials = match (device.pattern, device.gateway_public) {
        (Pattern::NkPsk0, Some(public)) => Credentials::nk(device.key.clone(), public),
        _ => Credentials::nn(device.key.clone()),
    };
    let identity = Identity::sealed(device.id, BootEpoch::unstored(boot), credentials);
    let core = Config { max_backoff: whimbrel_core::Duration::from_millis(500), ..Config::new() };
    let channels = [ChannelConfig::durable(channel(), SchemaId::named("nobody/1"))];
    Client::connect(gateway, identity, &channels, ClientConfig { core, ..ClientConfig::default() }).await.unwrap()
}

/// Sends one reading and waits until it is stored.
async fn deliver(client: &mut Client) {
    let sent = client.send(channel(), b"21.5".to_vec()).await.unwrap().seq;
    event(client, |event| matches!(event, Event::Committed { next, .. } if next > sent)).await;
}

/// Waits for this event.
async fn event(client: &mut Client, is_it: impl Fn(Event) -> bool) -> Event {
    let found = async {
        loop {
            match client.next_event().await {
                Some(ClientEvent::Session(event)) if is_it(event) => return event,
                Some(_) => {}
                None => panic!("the session ended"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("in time")
}

/// Does not get in within a second.
async fn assert_shut_out(device: &Provisioned, gateway: SocketAddr) {
    let mut client = connect(device, gateway).await;
    let established = event(&mut client, |event| event == Event::Established);
    assert!(tokio::time::timeout(Duration::from_secs(1), established).await.is_err(), "{device:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_added_can_connect_at_once() {
    let place = Place::new();
    let gateway = place.gateway().await;
    for (name, pattern) in [("nk", Pattern::NkPsk0), ("nn", Pattern::NnPsk0)] {
        let device = place.add(name, pattern).await;
        let before = place.listed(name).await;
        assert_eq!((before.counter, before.last_seen), (None, None));
        let mut client = connect_at(&device, gateway.local_addr(), 7).await;
        deliver(&mut client).await;
        let after = place.listed(name).await;
        assert_eq!(after.counter.map(|Counter { boot, .. }| boot), Some(7));
        assert!(after.last_seen.unwrap() >= after.created_at);
    }
    // Who was never added is not heard.
    let stranger = Place::new().add("nk", Pattern::NkPsk0).await;
    assert_shut_out(&stranger, gateway.local_addr()).await;
    assert!(gateway.stats().hello_unknown_device > 0);
    assert_eq!(gateway.shutdown().await.unwrap().rows, 2);
    assert_eq!(place.rows(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_devices_session_ends_at_once() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let address = gateway.local_addr();
    let [mut one, mut two] = [None, None];
    for (name, client) in [("one", &mut one), ("two", &mut two)] {
        let device = place.add(name, Pattern::NkPsk0).await;
        let mut connected = connect(&device, gateway.local_addr()).await;
        deliver(&mut connected).await;
        *client = Some((device, connected));
    }
    let ((one, mut client), (_, mut other)) = (one.unwrap(), two.unwrap());
    let start = Instant::now();
    place.revoke("one").await;
    event(&mut client, |event| event == Event::Closed { reason: CloseReason::Refused }).await;
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert_eq!(place.listed("one").await.state, DeviceState::Revoked);
    assert_shut_out(&one, gateway.local_addr()).await;
    // Others do not notice.
    deliver(&mut other).await;
    assert_eq!(gateway.stats().sessions, 1);
    gateway.shutdown().await.unwrap();
    // Nor is it let in after a restart.
    let gateway = Gateway::start(GatewayConfig::new(address, &place.database)).await.unwrap();
    assert_shut_out(&one, address).await;
    deliver(&mut other).await;
    gateway.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_is_good_until_the_new_one_is_used() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let address = gateway.local_addr();
    let old = place.add("one", Pattern::NkPsk0).await;
    deliver(&mut connect(&old, address).await).await;
    let new = place.rotate("one", false).await;
    assert_eq!(place.listed("one").await.state, DeviceState::Rotating);
    deliver(&mut connect(&old, address).await).await;
    deliver(&mut connect(&new, address).await).await;
    assert_eq!(place.listed("one").await.state, DeviceState::Active);
    assert_shut_out(&old, address).await;
    // At once, if so wished: the session too.
    let mut client = connect(&new, address).await;
    deliver(&mut client).await;
    let newer = place.rotate("one", true).await;
    event(&mut client, |event| event == Event::Closed { reason: CloseReason::Refused }).await;
    assert_shut_out(&new, address).await;
    deliver(&mut connect(&newer, address).await).await;
    gateway.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_key_is_changed_while_it_runs() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let address = gateway.local_addr();
    let one = place.add("one", Pattern::NkPsk0).await;
    deliver(&mut connect(&one, address).await).await;
    let keys = place.keys(Request::GatewayRotate {}).await;
    assert_eq!(keys.former.as_ref().map(|former| former.public), one.gateway_public);
    let two = place.add("two", Pattern::NkPsk0).await;
    assert_eq!(two.gateway_public, Some(keys.public));
    // Both are good, also after a restart.
    for device in [&one, &two] {
        deliver(&mut connect(device, address).await).await;
    }
    gateway.shutdown().await.unwrap();
    let gateway = place.gateway().await;
    let address = gateway.local_addr();
    for device in [&one, &two] {
        deliver(&mut connect(device, address).await).await;
    }
    let refused = command::run(&place.database, &Request::GatewayRetire { force: false }).unwrap_err();
    assert!(refused.to_string().starts_with("devices that have not used the new key yet: 1"), "{refused}");
    // Its firmware was built anew, with the gateway's new key.
    let one_anew = Provisioned { gateway_public: two.gateway_public, ..one.clone() };
    deliver(&mut connect(&one_anew, address).await).await;
    assert_eq!(place.keys(Request::GatewayRetire { force: false }).await.former, None);
    assert_shut_out(&one, address).await;
    deliver(&mut connect(&one_anew, address).await).await;
    gateway.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_lost_count_is_told_and_goes_on() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let device = place.add("one", Pattern::NkPsk0).await;
    deliver(&mut connect_at(&device, gateway.local_addr(), 1_000_000).await).await;
    let mut client = connect_at(&device, gateway.local_addr(), 1).await;
    let Event::BootEpochRaised { epoch } =
        event(&mut client, |event| matches!(event, Event::BootEpochRaised { .. })).await
    else {
        unreachable!()
    };
    assert!(epoch >= 1_000_000, "{epoch}");
    client.boot_epoch_stored().await;
    deliver(&mut client).await;
    assert!(place.listed("one").await.counter.unwrap().boot >= epoch);
    gateway.shutdown().await.unwrap();
}

/// A device is told the gateway's new key, by the session that it has or by its next one.
#[tokio::test(flavor = "multi_thread")]
async fn devices_are_told_the_gateways_new_key() {
    let place = Place::new();
    let gateway = place.gateway().await;
    let address = gateway.local_addr();
    let online = place.add("online", Pattern::NkPsk0).await;
    let asleep = place.add("asleep", Pattern::NkPsk0).await;
    let small = place.add("small", Pattern::NnPsk0).await;
    let mut client = connect(&online, address).await;
    let mut other = connect(&small, address).await;
    deliver(&mut client).await;
    deliver(&mut other).await;
    let keys = place.keys(Request::GatewayRotate {}).await;
    let told = Event::GatewayKey { key: keys.public };
    event(&mut client, |event| event == told).await;
    // Nothing is said to a device that needs no such key; it would not take it.
    deliver(&mut other).await;
    assert_eq!(keys.former.map(|former| former.devices), Some(2));
    // It stored the key, and boots.
    let online = Provisioned { gateway_public: Some(keys.public), ..online };
    deliver(&mut connect(&online, address).await).await;
    let former = place.keys(Request::GatewayShow {}).await.former;
    assert_eq!(former.map(|former| former.devices), Some(1));
    gateway.shutdown().await.unwrap();

    let gateway = place.gateway().await;
    let mut client = connect(&asleep, gateway.local_addr()).await;
    event(&mut client, |event| event == told).await;
    deliver(&mut client).await;
    let asleep = Provisioned { gateway_public: Some(keys.public), ..asleep };
    deliver(&mut connect(&asleep, gateway.local_addr()).await).await;
    assert_eq!(place.keys(Request::GatewayRetire { force: false }).await.former, None);
    gateway.shutdown().await.unwrap();
}

/// What stands in a log in place of a key.
fn assert_nowhere(text: &str, keys: &[&[u8; 32]]) {
    for key in keys {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        // Any part of it is too much.
        for part in [&hex[..16], &hex[24..40], &hex[48..]] {
            assert!(!text.to_lowercase().contains(part), "a key is in the log");
        }
        let list = format!("{key:?}");
        assert!(!text.contains(&list[1..30]), "a key is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_holds_a_key() {
    let place = Place::new();
    let mut command = serve("127.0.0.1:0", &place.database);
    command.env("RUST_LOG", "trace");
    let server = Whimbrel::spawn(command);
    let one = place.add("one", Pattern::NkPsk0).await;
    let small = place.add("small", Pattern::NnPsk0).await;
    deliver(&mut connect(&one, server.address).await).await;
    deliver(&mut connect(&small, server.address).await).await;
    let new = place.rotate("one", false).await;
    let mut client = connect(&new, server.address).await;
    deliver(&mut client).await;
    place.keys(Request::GatewayRotate {}).await;
    // Strangers, wrong keys and lost counts are logged too.
    assert_shut_out(&one, server.address).await;
    assert_shut_out(&Place::new().add("nobody", Pattern::NkPsk0).await, server.address).await;
    let mut lost = connect_at(&new, server.address, 0).await;
    event(&mut lost, |event| matches!(event, Event::BootEpochRaised { .. })).await;
    let last = place.rotate("one", true).await;
    place.revoke("small").await;
    let secrets: Vec<[u8; 32]> = {
        let reader = Connection::open_with_flags(&place.database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let sql = "SELECT secret, former_secret, reset_secret FROM gateway";
        reader.query_row(sql, [], |row| Ok(vec![row.get(0)?, row.get(1)?, row.get(2)?])).unwrap()
    };
    server.signal("TERM");
    let end = tokio::task::spawn_blocking(|| server.wait()).await.unwrap();
    assert_eq!(end.status.code(), Some(0), "{}", end.log);
    assert!(end.log.contains("a device was revoked name=small ") && end.log.contains("DEBUG"), "{}", end.log);
    let keys: Vec<_> =
        [&one, &small, &new, &last].map(|device| device.key.expose()).into_iter().chain(&secrets).collect();
    assert_nowhere(&end.log, &keys);
    assert_nowhere(&end.out, &keys);
}

/// Others may go on reading its database.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_plain_mode_makes_no_keys() {
    let place = Place::new();
    let config = GatewayConfig { insecure_plain: true, ..GatewayConfig::new(here(), &place.database) };
    let gateway = Gateway::start(config).await.unwrap();
    gateway.shutdown().await.unwrap();
    let count: i64 = Connection::open(Path::new(&place.database))
        .unwrap()
        .query_row("SELECT count(*) FROM gateway", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 0);
}
