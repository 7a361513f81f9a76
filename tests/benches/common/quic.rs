//! QUIC without I/O: quinn-proto's endpoints with one connection each, TLS 1.3 by rustls and ring.

use bytes::BytesMut;
use core::net::{Ipv4Addr, SocketAddr};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, ServerConfig};
use rcgen::{CertificateParams, KeyPair, SerialNumber, SignatureAlgorithm};
use rustls::client::Resumption;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant as Time;

const NAME: &str = "localhost";
pub(crate) const DEVICE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 50_000);
pub(crate) const GATEWAY: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 5_640);

/// Both ends' configurations: a certificate signed by itself, which the client trusts. The client has none, and there
/// is no resumption: each handshake is a full one.
pub(crate) fn identity(algorithm: &'static SignatureAlgorithm) -> (Arc<ServerConfig>, ClientConfig) {
    let key = KeyPair::generate_for(algorithm).expect("ring makes such keys");
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
}

/// An endpoint and its connection.
pub(crate) struct Half {
    endpoint: Endpoint,
    pub(crate) connection: Option<(ConnectionHandle, Connection)>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Half {
    fn new(server: Option<Arc<ServerConfig>>, seed: u64) -> Self {
        let mut rng_seed = [0; 32];
        rng_seed[..8].copy_from_slice(&seed.to_le_bytes());
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server, true, Some(rng_seed));
        Self { endpoint, connection: None, outgoing: VecDeque::new() }
    }

    /// A client that connects to [`GATEWAY`].
    pub(crate) fn connect(now: Time, client: ClientConfig, seed: u64) -> Self {
        let mut half = Self::new(None, seed);
        let connection = half.endpoint.connect(now, client, GATEWAY, NAME);
        half.connection = Some(connection.expect("the configuration is valid"));
        half
    }

    /// A server that takes one connection.
    pub(crate) fn listen(server: &Arc<ServerConfig>, seed: u64) -> Self {
        Self::new(Some(Arc::clone(server)), seed)
    }

    /// A datagram arrived.
    pub(crate) fn handle(&mut self, now: Time, from: SocketAddr, datagram: BytesMut) {
        let mut answer = Vec::new();
        match self.endpoint.handle(now, from, None, None, datagram, &mut answer) {
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

    /// The next datagram to send.
    pub(crate) fn transmit(&mut self, now: Time) -> Option<Vec<u8>> {
        self.converse();
        if let Some(datagram) = self.outgoing.pop_front() {
            return Some(datagram);
        }
        let mut datagram = Vec::new();
        let sent = self.connection.as_mut()?.1.poll_transmit(now, 1, &mut datagram)?;
        datagram.truncate(sent.size);
        Some(datagram)
    }
}
