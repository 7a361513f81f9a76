//! QUIC's handshake: the server's side of as many connections, each one flight after the other.

use crate::cpu::Watch;
use crate::quic::{DEVICE, GATEWAY, Half, identity};
use crate::{HANDSHAKES, Way};
use bytes::BytesMut;
use quinn_proto::{ClientConfig, Event, ServerConfig};
use rcgen::SignatureAlgorithm;
use std::sync::Arc;
use std::time::Instant;

/// More flights of the client than a handshake has.
const FLIGHTS_MAX: usize = 4;

/// A server with its certificate, and clients that trust it.
pub(crate) struct QuicServer {
    server: Arc<ServerConfig>,
    client: ClientConfig,
    now: Instant,
    seed: u64,
}

impl QuicServer {
    /// The certificate is signed by this algorithm.
    pub(crate) fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let (server, client) = identity(algorithm);
        Self { server, client, now: Instant::now(), seed: 0 }
    }

    fn connection(&mut self) -> Connection {
        self.seed += 2;
        let client = Half::connect(self.now, self.client.clone(), self.seed);
        let server = Half::listen(&self.server, self.seed + 1);
        Connection { client, server, arriving: Vec::new(), leaving: Vec::new(), connected: false }
    }
}

/// Both ends, and what is between them.
struct Connection {
    client: Half,
    server: Half,
    /// At the server.
    arriving: Vec<BytesMut>,
    /// From the server.
    leaving: Vec<Vec<u8>>,
    connected: bool,
}

impl Connection {
    /// The client takes what was sent to it, and says what it has to say.
    fn client(&mut self, now: Instant) {
        for datagram in self.leaving.drain(..) {
            self.client.handle(now, GATEWAY, BytesMut::from(datagram.as_slice()));
        }
        while let Some(datagram) = self.client.transmit(now) {
            self.arriving.push(BytesMut::from(datagram.as_slice()));
        }
    }

    /// The server takes what was sent to it, and, unless that ended the handshake, says what it has to say.
    fn server(&mut self, now: Instant) {
        for datagram in self.arriving.drain(..) {
            self.server.handle(now, DEVICE, datagram);
            let Some((_, connection)) = &mut self.server.connection else { return };
            while let Some(event) = connection.poll() {
                self.connected |= matches!(event, Event::Connected);
            }
            if self.connected {
                return;
            }
        }
        while let Some(datagram) = self.server.transmit(now) {
            self.leaving.push(datagram);
        }
    }
}

impl Way for QuicServer {
    fn turn(&mut self) -> f64 {
        let mut connections: Vec<_> = (0..HANDSHAKES).map(|_| self.connection()).collect();
        let mut watch = Watch::default();
        for _ in 0..FLIGHTS_MAX {
            for connection in &mut connections {
                connection.client(self.now);
            }
            watch.run(|| {
                for connection in connections.iter_mut().filter(|connection| !connection.connected) {
                    connection.server(self.now);
                }
            });
            if connections.iter().all(|connection| connection.connected) {
                break;
            }
        }
        assert!(connections.iter().all(|connection| connection.connected), "every handshake ends");
        watch.each(HANDSHAKES)
    }
}
