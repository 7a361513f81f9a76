//! A small application behind an endpoint: admits devices, keeps what they send, says so.

use core::future::Future;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;
use whimbrel_core::{
    BootEpoch, ChannelConfig, ChannelId, Config, Credentials, DeviceId, DeviceKey, GatewayKeys, GatewaySecret,
    Identity, Pattern, SchemaId, SeqNo, StreamAdmission, StreamEpoch,
};
use whimbrel_tokio::{
    Client, ClientConfig, Committed, DeviceRecord, Directory, Endpoint, EndpointConfig, Events, GatewayEvent, Handle,
    HelloRequest, Protection, Reading,
};

/// The longest that any test may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
pub(crate) const SCHEMA: SchemaId = SchemaId::named("test/1");

/// What outlives a gateway: everything stored, by stream, and where each goes on.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) streams: BTreeMap<(DeviceId, u8, u32), Vec<Vec<u8>>>,
    pub(crate) duplicates: usize,
    pub(crate) hellos: usize,
    /// The highest counter of each device.
    pub(crate) counters: BTreeMap<DeviceId, u64>,
    /// Devices that may have no session any more.
    pub(crate) revoked: BTreeSet<DeviceId>,
}

impl Store {
    fn admit(&mut self, hello: &HelloRequest) -> Vec<StreamAdmission> {
        self.hellos += 1;
        if let Some(proof) = &hello.proof {
            assert!(self.counters.get(&hello.device).is_none_or(|counter| *counter < proof.counter), "used before");
            self.counters.insert(hello.device, proof.counter);
        }
        let mut admitted = Vec::new();
        for offer in &hello.streams {
            let channel = offer.id.to_wire();
            let known = offer.epoch.filter(|e| self.streams.contains_key(&(hello.device, channel, e.number())));
            let epoch = known.unwrap_or_else(|| {
                let used = |key: &&(DeviceId, u8, u32)| key.0 == hello.device && key.1 == channel;
                StreamEpoch::new(self.streams.keys().filter(used).count() as u32 + 1).unwrap()
            });
            let stored = self.streams.entry((hello.device, channel, epoch.number())).or_default();
            admitted.push(StreamAdmission { id: offer.id, epoch, next: SeqNo::new(stored.len() as u64) });
        }
        admitted
    }

    /// Panics on a gap: an ordered stream has none.
    fn keep(&mut self, reading: Reading) -> Committed {
        let key = (reading.device, reading.stream.to_wire(), reading.epoch.number());
        let stored = self.streams.get_mut(&key).expect("a reading of a stream that was admitted");
        match reading.seq.value().cmp(&(stored.len() as u64)) {
            core::cmp::Ordering::Less => self.duplicates += 1,
            core::cmp::Ordering::Equal => stored.push(reading.payload),
            core::cmp::Ordering::Greater => {
                panic!("{:?} after {} messages", reading.seq, stored.len())
            }
        }
        Committed { session: reading.session, stream: reading.stream, next: SeqNo::new(stored.len() as u64) }
    }
}

pub(crate) type Shared = Arc<Mutex<Store>>;

/// Every device that was not revoked may have a session.
struct Devices(Shared);

impl Directory for Devices {
    fn find(&self, device: DeviceId) -> Option<DeviceRecord> {
        let store = self.0.lock().unwrap();
        let counter = store.counters.get(&device).copied();
        let record = DeviceRecord { pattern: Pattern::NkPsk0, key: key(device), next_key: None, counter };
        (!store.revoked.contains(&device)).then_some(record)
    }
}

/// A device's key, made of its name.
pub(crate) fn key(device: DeviceId) -> DeviceKey {
    let mut key = [7; 32];
    key[..device.as_bytes().len()].copy_from_slice(device.as_bytes());
    DeviceKey::new(key)
}

/// The gateway's key, the same after a restart.
pub(crate) fn secret() -> GatewaySecret {
    GatewaySecret::new([0x42; 32])
}

pub(crate) fn gateway_keys() -> GatewayKeys {
    GatewayKeys::new(secret(), [0x17; 32])
}

pub(crate) fn sealed(store: &Shared) -> Protection {
    Protection::sealed(Arc::new(Devices(Arc::clone(store))), gateway_keys())
}

/// An endpoint whose events the test itself takes.
pub(crate) async fn bind(config: EndpointConfig) -> (Endpoint, Events) {
    Endpoint::bind(here(), sealed(&Shared::default()), config).await.unwrap()
}

/// A gateway that runs.
pub(crate) struct Gateway {
    pub(crate) endpoint: Endpoint,
    task: JoinHandle<()>,
}

impl Gateway {
    pub(crate) async fn start(listen: SocketAddr, store: &Shared, config: EndpointConfig) -> Self {
        Self::start_with(listen, store, sealed(store), config).await
    }

    pub(crate) async fn start_with(
        listen: SocketAddr,
        store: &Shared,
        protection: Protection,
        config: EndpointConfig,
    ) -> Self {
        let (endpoint, events) = Endpoint::bind(listen, protection, config).await.unwrap();
        let task = tokio::spawn(collect(events, endpoint.handle(), Arc::clone(store)));
        Self { endpoint, task }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr()
    }

    /// Like a crash: no word to anybody.
    pub(crate) async fn kill(self) {
        drop(self.endpoint);
        self.task.await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.endpoint.shutdown(Duration::from_secs(5)).await;
        self.task.await.unwrap();
    }
}

async fn collect(mut events: Events, handle: Handle, store: Shared) {
    while let Some(event) = events.recv().await {
        match event {
            GatewayEvent::Hello(hello) => {
                let streams = store.lock().unwrap().admit(&hello);
                hello.accept(streams);
            }
            GatewayEvent::Readings(readings) => {
                assert!(!readings.is_empty() && readings.len() <= EndpointConfig::READINGS_MAX);
                let mut store = store.lock().unwrap();
                handle.commit(readings.into_iter().map(|reading| store.keep(reading)).collect());
            }
            GatewayEvent::Closed { .. } => {}
        }
    }
}

pub(crate) fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn device(name: &str) -> DeviceId {
    DeviceId::new(name.as_bytes()).unwrap()
}

pub(crate) fn channel() -> ChannelId {
    ChannelId::new(1).unwrap()
}

/// Tunables that make a test quick: a client that tries again soon.
pub(crate) fn impatient() -> Config {
    Config { max_backoff: whimbrel_core::Duration::from_millis(500), ..Config::default() }
}

/// Every client is a boot of its device.
static BOOTS: AtomicU32 = AtomicU32::new(1);

pub(crate) fn identity(name: &str) -> Identity {
    let epoch = BootEpoch::unstored(BOOTS.fetch_add(1, Ordering::Relaxed));
    Identity::sealed(device(name), epoch, Credentials::nk(key(device(name)), secret().public()))
}

pub(crate) async fn client(server: SocketAddr, name: &str) -> Client {
    client_as(server, identity(name)).await
}

pub(crate) async fn plain_client(server: SocketAddr, name: &str) -> Client {
    client_as(server, Identity::insecure_plain(device(name), 0)).await
}

pub(crate) async fn client_as(server: SocketAddr, identity: Identity) -> Client {
    let config = ClientConfig { core: impatient(), ..ClientConfig::default() };
    Client::connect(server, identity, &[ChannelConfig::durable(channel(), SCHEMA)], config).await.unwrap()
}

pub(crate) fn payload(number: usize) -> Vec<u8> {
    format!("reading {number}").into_bytes()
}

/// Sends readings `numbers`, one after the other.
pub(crate) async fn send(client: &Client, numbers: core::ops::Range<usize>) {
    for number in numbers {
        client.send(channel(), payload(number)).await.unwrap();
    }
}

/// The device's only stream holds exactly readings 0 to `count`, in order.
pub(crate) fn assert_stored(store: &Shared, name: &str, count: usize) {
    let store = store.lock().unwrap();
    let mut streams = store.streams.iter().filter(|(key, _)| key.0 == device(name));
    let (key, stored) = streams.next().expect("the device has a stream");
    assert_eq!((key.1, key.2), (1, 1), "channel and epoch");
    assert!(streams.next().is_none(), "one stream epoch is enough for one life of a device");
    let expected: Vec<_> = (0..count).map(payload).collect();
    assert_eq!(stored.len(), count);
    assert!(*stored == expected, "the readings are not the ones that were sent");
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waited).await.is_ok(), "never: {what}");
}

/// Runs a test with two threads and a limit.
pub(crate) fn bounded(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, test).await.expect("the test takes too long") });
}
