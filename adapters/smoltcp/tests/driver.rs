//! The driver on a real smoltcp stack, in virtual time, with another stack and a gateway's session at the other end.

use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::udp;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use std::collections::VecDeque;
use whimbrel_core::{
    Admission, ChannelConfig, ChannelId, Config, ConnectionId, DeviceId, Duration, Hello, Identity, Instant,
    Medium as Preset, PathId, SchemaId, SendError, Session, StreamAdmission, StreamEpoch,
};
use whimbrel_smoltcp::{Driver, DriverError, Wire, to_smoltcp};

const CHANNEL: ChannelId = ChannelId::new(1).unwrap();
const CHANNELS: [ChannelConfig; 1] = [ChannelConfig::durable(CHANNEL, SchemaId::named("test/1"))];
const PORT: u16 = 5000;
const GATEWAY_PORT: u16 = 4000;

/// A network card of two queues; the test carries frames from one to another.
#[derive(Default)]
struct Card {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
}

struct Rx(Vec<u8>);
struct Tx<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Rx, Tx<'_>)> {
        Some((Rx(self.rx.pop_front()?), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// A host: card, interface and one bound UDP socket.
struct Host {
    card: Card,
    iface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
}

impl Host {
    fn new(last: u8, port: u16, packets: usize) -> Self {
        let mut card = Card::default();
        let mac = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, last]));
        let mut iface = Interface::new(InterfaceConfig::new(mac), &mut card, to_smoltcp(Instant::ZERO));
        iface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, last), 24)).unwrap());
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; packets], vec![0; packets * 1200]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        let mut sockets = SocketSet::new(vec![]);
        let socket = sockets.add(socket);
        Self { card, iface, sockets, socket }
    }

    fn udp(&mut self) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    fn wire(&mut self) -> Wire<'_, 'static, Card> {
        let Self { card, iface, sockets, socket } = self;
        Wire { iface, device: card, sockets, socket: *socket }
    }

    fn poll(&mut self, now: Instant) {
        self.iface.poll(to_smoltcp(now), &mut self.card, &mut self.sockets);
    }
}

/// The device under test.
struct Sensor {
    host: Host,
    driver: Driver,
    session: Session<Preset>,
    scratch: Vec<u8>,
}

impl Sensor {
    fn new(packets: usize) -> Self {
        let identity = Identity::insecure_plain(DeviceId::new(b"test").unwrap(), 0);
        let config = Config::new();
        Self {
            host: Host::new(1, PORT, packets),
            driver: Driver::new(IpEndpoint::new(IpAddress::v4(10, 0, 0, 2), GATEWAY_PORT), config.max_datagram)
                .unwrap(),
            session: Session::connect(&config, identity, &CHANNELS, [7; 32], Preset::new()).unwrap(),
            scratch: vec![0; usize::from(config.max_datagram)],
        }
    }

    fn poll(&mut self, now: Instant) -> Option<Instant> {
        let Self { host, driver, session, scratch } = self;
        let mut wire = host.wire();
        driver.poll_ingress(now, &mut wire, session, scratch, |_| panic!("nothing was sent to the device")).unwrap();
        driver.poll_egress(now, &mut wire, session, scratch).unwrap();
        driver.poll_at(now, &mut wire, session)
    }
}

/// The other end: a gateway's session on a stack of its own.
struct Gateway {
    host: Host,
    session: Option<Session<Preset>>,
    received: Vec<Vec<u8>>,
}

impl Gateway {
    fn new() -> Self {
        Self { host: Host::new(2, GATEWAY_PORT, 16), session: None, received: Vec::new() }
    }

    fn poll(&mut self, now: Instant) -> Option<Instant> {
        self.host.poll(now);
        while let Ok((bytes, _)) = self.host.udp().recv() {
            let mut datagram = bytes.to_vec();
            match &mut self.session {
                None => self.session = Some(accept(now, &datagram)),
                Some(session) => {
                    let mut received = session.handle_datagram(now, PathId(0), &mut datagram);
                    let mut stored = None;
                    while let Some(message) = received.next() {
                        self.received.push(message.payload.to_vec());
                        stored = Some((message.stream, message.seq.next()));
                    }
                    drop(received);
                    if let Some((stream, next)) = stored {
                        session.commit(now, stream, next);
                    }
                }
            }
        }
        let session = self.session.as_mut()?;
        if session.poll_timeout().is_some_and(|due| due <= now) {
            session.handle_timeout(now);
        }
        let mut buf = [0; 1200];
        while let Some(tx) = session.poll_transmit(now, &mut buf) {
            let socket = self.host.sockets.get_mut::<udp::Socket<'_>>(self.host.socket);
            socket.send_slice(&buf[..tx.len], IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), PORT)).unwrap();
        }
        self.host.poll(now);
        self.session.as_ref()?.poll_timeout()
    }
}

fn accept(now: Instant, datagram: &[u8]) -> Session<Preset> {
    let hello = Hello::parse(datagram).unwrap().plain().unwrap();
    let epoch = StreamEpoch::new(1).unwrap();
    let streams: Vec<_> =
        hello.streams().map(|offered| StreamAdmission { id: offered.id, epoch, next: offered.base }).collect();
    let cid = ConnectionId::new(&[1, 2, 3, 4]).unwrap();
    let admission = Admission { streams: &streams };
    Session::accept(&Config::new(), &hello, &admission, cid, &[], [9; 32], Preset::new(), now, PathId(0)).unwrap()
}

#[test]
fn a_burst_larger_than_every_queue_arrives_once_and_in_order() {
    // Two packets: the least that the driver accepts.
    let (mut sensor, mut gateway) = (Sensor::new(Driver::PACKETS_MIN), Gateway::new());
    let mut now = Instant::ZERO;
    let mut sent = 0u32;
    let mut turns = 0;
    while gateway.received.len() < 500 {
        while sent < 500 {
            // Long enough that few fit a packet.
            match sensor.session.send(now, CHANNEL, &[sent.to_le_bytes(); 30].concat()) {
                Ok(_) => sent += 1,
                Err(SendError::Full) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let due = sensor.poll(now);
        gateway.host.card.rx.append(&mut sensor.host.card.tx);
        let gateway_due = gateway.poll(now);
        sensor.host.card.rx.append(&mut gateway.host.card.tx);
        // The next deadline, but at least as far as a frame takes.
        let next = [due, gateway_due].into_iter().flatten().min().unwrap_or(now);
        now = next.max(now + Duration::from_micros(100));
        turns += 1;
        assert!(turns < 20_000, "stuck with {} of {sent} at {now:?}", gateway.received.len());
    }
    let expected: Vec<Vec<u8>> = (0..500u32).map(|number| [number.to_le_bytes(); 30].concat()).collect();
    assert_eq!(gateway.received, expected);
    assert_eq!(sensor.driver.stats(), &Default::default());
    assert_eq!(sensor.session.stats().tx_retransmitted, 0, "nothing was lost on this wire");
}

#[test]
fn a_next_hop_that_is_silent_for_long_does_not_clog_the_queue() {
    let mut sensor = Sensor::new(Driver::PACKETS_MIN);
    let mut now = Instant::ZERO;
    let mut turns = 0;
    // Nobody answers ARP for an hour.
    while now < Instant::from_millis(3_600_000) {
        let due = sensor.poll(now).expect("the device keeps trying");
        sensor.host.card.tx.clear();
        now = due.max(now + Duration::from_micros(1));
        turns += 1;
        assert!(turns < 10_000, "busy for nothing at {now:?}");
    }
    assert!(sensor.driver.stats().tx_queue_resets > 0);
    assert_eq!(sensor.driver.stats().tx_refused, 0);
    assert!(sensor.host.udp().send_queue() <= 2 * 1200);
    // Then the way opens.
    let mut gateway = Gateway::new();
    let end = now + Duration::from_secs(130);
    while !sensor.session.is_established() {
        let due = sensor.poll(now);
        gateway.host.card.rx.append(&mut sensor.host.card.tx);
        let gateway_due = gateway.poll(now);
        sensor.host.card.rx.append(&mut gateway.host.card.tx);
        now = [due, gateway_due].into_iter().flatten().min().unwrap_or(now).max(now + Duration::from_micros(100));
        assert!(now < end, "not established within two of the longest backoffs");
    }
}

#[test]
fn strangers_and_long_datagrams_never_reach_the_session() {
    let mut sensor = Sensor::new(4);
    let mut other = Host::new(3, GATEWAY_PORT, 8);
    let mut gateway = Host::new(2, GATEWAY_PORT, 8);
    let device = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), PORT);
    other.udp().send_slice(b"from another address", device).unwrap();
    gateway.udp().send_slice(&[1; 1201], device).unwrap();
    gateway.udp().send_slice(b"short", device).unwrap();
    let mut now = Instant::ZERO;
    for _ in 0..20 {
        let mut frames = VecDeque::new();
        for host in [&mut other, &mut gateway] {
            host.poll(now);
            frames.append(&mut host.card.tx);
        }
        sensor.host.card.rx.append(&mut frames);
        sensor.poll(now);
        for frame in sensor.host.card.tx.drain(..) {
            other.card.rx.push_back(frame.clone());
            gateway.card.rx.push_back(frame);
        }
        now = now + Duration::from_millis(200);
    }
    let stats = sensor.driver.stats();
    assert_eq!((stats.rx_strangers, stats.rx_oversized), (1, 1));
    assert_eq!(sensor.session.stats().rx_datagrams, 1);
    assert_eq!(sensor.session.stats().rx_dropped.total(), 1);
}

#[test]
fn what_is_set_up_wrongly_is_said() {
    let endpoint = |address, port| IpEndpoint::new(address, port);
    for peer in [endpoint(IpAddress::v4(0, 0, 0, 0), 1), endpoint(IpAddress::v4(10, 0, 0, 2), 0)] {
        assert_eq!(Driver::new(peer, 1200).unwrap_err(), DriverError::PeerUnspecified);
    }
    let mut sensor = Sensor::new(4);
    let Sensor { host, driver, session, scratch } = &mut sensor;
    let result = driver.poll_egress(Instant::ZERO, &mut host.wire(), session, &mut scratch[..1199]);
    assert_eq!(result, Err(DriverError::ScratchTooSmall { min: 1200 }));
    host.udp().close();
    let result = driver.poll_egress(Instant::ZERO, &mut host.wire(), session, scratch);
    assert_eq!(result, Err(DriverError::SocketClosed));
    let mut sensor = Sensor::new(1);
    let Sensor { host, driver, session, scratch } = &mut sensor;
    let result = driver.poll_egress(Instant::ZERO, &mut host.wire(), session, scratch);
    assert_eq!(result, Err(DriverError::SocketTooSmall { payload: 1200, packets: 2 }));
    assert_eq!(session.stats().tx_datagrams, 0);
}
