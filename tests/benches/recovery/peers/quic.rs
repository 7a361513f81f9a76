//! QUIC: quinn-proto with its defaults, one unidirectional stream; sealed, as QUIC always is.
//!
//! Messages have all the same length here, so that the byte stream is cut by it: framing costs QUIC nothing.

use crate::flow::{End, Flow};
use bytes::BytesMut;
use core::net::{Ipv4Addr, SocketAddr};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ServerConfig,
    StreamEvent, StreamId, WriteError,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SerialNumber};
use rustls::client::Resumption;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Instant as Time;
use whimbrel_core::Instant;

const NAME: &str = "localhost";
const DEVICE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 50_000);
const GATEWAY: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 5_640);

/// Certificate and keys: one for all runs. Ed25519, whose signatures have all the same length, and no resumption:
/// both would make a run depend on more than its seed.
fn identity() -> &'static (Arc<ServerConfig>, ClientConfig) {
    static IDENTITY: OnceLock<(Arc<ServerConfig>, ClientConfig)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("ring makes Ed25519 keys");
        let mut params = CertificateParams::new([NAME.to_owned()]).expect("the name is valid");
        params.serial_number = Some(SerialNumber::from(1));
        let certificate = params.self_signed(&key).expect("the key signs").der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();

        let versions = [&rustls::version::TLS13];
        let provider = || Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider()).with_protocol_versions(&versions);
        let server = server.expect("ring speaks TLS 1.3").with_no_client_auth();
        let mut server = server.with_single_cert(vec![certificate.clone()], key).expect("the key fits");
        server.send_tls13_tickets = 0;

        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).expect("the certificate is well formed");
        let client = rustls::ClientConfig::builder_with_provider(provider()).with_protocol_versions(&versions);
        let client = client.expect("ring speaks TLS 1.3").with_root_certificates(roots);
        let mut client = client.with_no_client_auth();
        client.resumption = Resumption::disabled();

        let server = QuicServerConfig::try_from(server).expect("TLS 1.3 has QUIC's first cipher suite");
        let client = QuicClientConfig::try_from(client).expect("TLS 1.3 has QUIC's first cipher suite");
        (Arc::new(ServerConfig::with_crypto(Arc::new(server))), ClientConfig::new(Arc::new(client)))
    })
}

/// An endpoint and its connection.
struct Half {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Half {
    fn new(server: Option<Arc<ServerConfig>>, seed: u64) -> Self {
        let mut rng_seed = [0; 32];
        rng_seed[..8].copy_from_slice(&seed.to_le_bytes());
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server, true, Some(rng_seed));
        Self { endpoint, connection: None, outgoing: VecDeque::new() }
    }

    fn handle(&mut self, now: Time, from: SocketAddr, datagram: &[u8]) {
        let mut answer = Vec::new();
        match self.endpoint.handle(now, from, None, None, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = self.endpoint.accept(incoming, now, &mut answer, None);
                self.connection = Some(accepted.unwrap_or_else(|error| panic!("{}", error.cause)));
            }
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            Some(DatagramEvent::Response(transmit)) => self.outgoing.push_back(answer[..transmit.size].to_vec()),
            None => {}
        }
    }

    /// What the endpoint and its connection have to tell each other.
    fn converse(&mut self) {
        let Some((handle, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
    }

    fn transmit(&mut self, now: Time) -> Option<Vec<u8>> {
        self.converse();
        if let Some(datagram) = self.outgoing.pop_front() {
            return Some(datagram);
        }
        let mut datagram = Vec::new();
        let sent = self.connection.as_mut()?.1.poll_transmit(now, 1, &mut datagram)?;
        datagram.truncate(sent.size);
        Some(datagram)
    }

    fn poll_timeout(&mut self) -> Option<Time> {
        self.connection.as_mut()?.1.poll_timeout()
    }
}

/// A connection, both ends.
pub(crate) struct Quic {
    device: Half,
    gateway: Half,
    /// Virtual time zero.
    epoch: Time,
    ready: bool,
    sending: Option<StreamId>,
    /// The end of a message that the stream took only in part.
    rest: Vec<u8>,
    receiving: Option<StreamId>,
    received: Vec<u8>,
    message: usize,
}

impl Quic {
    /// An endpoint that connects to another.
    pub(crate) fn new(seed: u64) -> Self {
        let (server, client) = identity();
        let epoch = Time::now();
        let mut device = Half::new(None, seed * 2);
        let gateway = Half::new(Some(Arc::clone(server)), seed * 2 + 1);
        let connection = device.endpoint.connect(epoch, client.clone(), GATEWAY, NAME);
        device.connection = Some(connection.expect("the configuration is valid"));
        Self {
            device,
            gateway,
            epoch,
            ready: false,
            sending: None,
            rest: Vec::new(),
            receiving: None,
            received: Vec::new(),
            message: 0,
        }
    }

    fn time(&self, now: Instant) -> Time {
        self.epoch + core::time::Duration::from_micros(now.as_micros())
    }

    /// Gives the stream what it takes of `bytes`; how many it took.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let Some((_, connection)) = &mut self.device.connection else { return 0 };
        let stream =
            *self.sending.get_or_insert_with(|| connection.streams().open(Dir::Uni).expect("a stream is free"));
        match connection.send_stream(stream).write(bytes) {
            Ok(taken) => taken,
            Err(WriteError::Blocked) => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// The handshake may be over, a stream may have opened.
    fn listen(&mut self) {
        if let Some((_, connection)) = &mut self.device.connection {
            while let Some(event) = connection.poll() {
                self.ready |= matches!(event, Event::Connected);
            }
        }
        if let Some((_, connection)) = &mut self.gateway.connection {
            while let Some(event) = connection.poll() {
                if matches!(event, Event::Stream(StreamEvent::Opened { .. })) {
                    self.receiving = connection.streams().accept(Dir::Uni);
                }
            }
        }
    }

    fn read(&mut self) {
        let (Some((_, connection)), Some(stream)) = (&mut self.gateway.connection, self.receiving) else { return };
        let mut stream = connection.recv_stream(stream);
        let Ok(mut chunks) = stream.read(true) else { return };
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            self.received.extend(&chunk.bytes);
        }
        // Whether window updates are due: `transmit` is asked anyway.
        let _ = chunks.finalize();
    }
}

impl Flow for Quic {
    fn is_ready(&self) -> bool {
        self.ready
    }

    fn offer(&mut self, _now: Instant, _lane: usize, message: &[u8]) -> bool {
        self.message = message.len();
        if !self.ready {
            return false;
        }
        let rest = core::mem::take(&mut self.rest);
        let taken = self.write(&rest);
        self.rest = rest[taken..].to_vec();
        if !self.rest.is_empty() {
            return false;
        }
        let taken = self.write(message);
        self.rest = if taken > 0 { message[taken..].to_vec() } else { Vec::new() };
        taken > 0
    }

    fn handle(&mut self, now: Instant, at: End, frame: &mut [u8]) {
        let now = self.time(now);
        match at {
            End::Device => self.device.handle(now, GATEWAY, frame),
            End::Gateway => self.gateway.handle(now, DEVICE, frame),
        }
        self.listen();
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now = self.time(now);
        for half in [&mut self.device, &mut self.gateway] {
            if let Some((_, connection)) = &mut half.connection
                && connection.poll_timeout().is_some_and(|due| due <= now)
            {
                connection.handle_timeout(now);
            }
        }
        self.listen();
    }

    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>> {
        let now = self.time(now);
        match from {
            End::Device => self.device.transmit(now),
            End::Gateway => self.gateway.transmit(now),
        }
    }

    fn deliver(&mut self, _now: Instant) -> Option<(usize, Vec<u8>)> {
        self.read();
        if self.message == 0 || self.received.len() < self.message {
            return None;
        }
        Some((0, self.received.drain(..self.message).collect()))
    }

    fn next_deadline(&mut self, _now: Instant) -> Option<Instant> {
        let due = [self.device.poll_timeout(), self.gateway.poll_timeout()].into_iter().flatten().min()?;
        // Upwards: quinn's timers are finer than a microsecond, and none may be served too early.
        let nanos = due.saturating_duration_since(self.epoch).as_nanos();
        Some(Instant::from_micros(nanos.div_ceil(1_000) as u64))
    }
}
