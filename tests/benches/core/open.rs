//! A device's session and the one that its gateway answers it with, plain or sealed.

use whimbrel_core::{
    Admission, BootEpoch, ChannelConfig, ChannelId, Config, ConnectionId, DeviceId, Hello, Identity, Inline, Instant,
    Large, Offer, OfferedStream, PathId, Protection, SchemaId, Session, StreamAdmission, StreamEpoch,
};
use whimbrel_tests::keys;

pub(crate) const CHANNEL: ChannelId = ChannelId::new(1).unwrap();
pub(crate) const PATH: PathId = PathId(1);
pub(crate) const DATAGRAM: usize = 1_200;
const CONFIG: Config = Config { receive_window: 32, ..Config::new() };
const SEED: u64 = 1;

/// A gateway's memory that takes messages of 1,024 bytes.
pub(crate) type Gateway = Inline<4, 4, 32, 64, 32, 64, 128, 128, 32, 32_768, 0>;

/// Both ends; the device has not had its answer yet.
pub(crate) fn open(protection: Protection) -> (Session<Large>, Session<Gateway>) {
    let id = DeviceId::new(b"bench").expect("5 bytes are a device id");
    let identity = match keys::credentials(SEED, 0, protection) {
        Some(credentials) => Identity::sealed(id, BootEpoch::unstored(1), credentials),
        None => Identity::insecure_plain(id, 0),
    };
    let channels = [ChannelConfig::ordered(CHANNEL, SchemaId::named("bench/1"))];
    let device = Session::connect(&CONFIG, identity, &channels, [1; 32], Large::new());
    let mut device = device.expect("one channel fits");
    let mut buf = [0; DATAGRAM];
    let sent = device.poll_transmit(Instant::ZERO, &mut buf).expect("a session begins with a HELLO");
    let gateway = answer(&buf[..sent.len], protection);
    (device, gateway)
}

fn answer(hello: &[u8], protection: Protection) -> Session<Gateway> {
    let hello = Hello::parse(hello).expect("a session begins with a HELLO");
    let (key, mut terms) = (keys::device_key(SEED, 0), [0; DATAGRAM]);
    match keys::pattern(protection) {
        None => accept(&hello.plain().expect("the device does not seal")),
        Some(pattern) => {
            let authentic = hello.claim().authenticate(&key).expect("the key is the device's");
            let opened = authentic.open(pattern, &keys::gateway_keys(SEED, 0), &mut terms);
            let (opened, len) = opened.expect("the device knows the gateway's key");
            accept(&Offer::new(opened, &terms[..len]).expect("the gate has looked at the terms"))
        }
    }
}

fn accept(offer: &Offer<'_>) -> Session<Gateway> {
    let epoch = StreamEpoch::new(1).expect("epochs are counted from 1");
    let admit = |offered: OfferedStream| StreamAdmission { id: offered.id, epoch, next: offered.base };
    let streams: Vec<_> = offer.streams().map(admit).collect();
    let admission = Admission { streams: &streams };
    let cid = ConnectionId::new(&[1, 2, 3, 4]).expect("4 bytes are a connection id");
    let memory = Gateway::new();
    Session::accept(&CONFIG, offer, &admission, cid, &[], [2; 32], memory, Instant::ZERO, PATH)
        .expect("one channel fits")
}
