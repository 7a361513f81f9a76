//! QUIC: quinn-proto with its defaults, one unidirectional stream; sealed, as QUIC always is.
//!
//! Messages have all the same length here, so that the byte stream is cut by it: framing costs QUIC nothing.

use crate::flow::{End, Flow};
use crate::quic::{DEVICE, GATEWAY, Half, identity};
use bytes::BytesMut;
use quinn_proto::{ClientConfig, Dir, Event, ServerConfig, StreamEvent, StreamId, WriteError};
use rcgen::PKCS_ED25519;
use std::sync::{Arc, OnceLock};
use std::time::Instant as Time;
use whimbrel_core::Instant;

/// Certificate and keys: one for all runs. Ed25519, whose signatures have all the same length, and no resumption:
/// both would make a run depend on more than its seed.
fn configurations() -> &'static (Arc<ServerConfig>, ClientConfig) {
    static IDENTITY: OnceLock<(Arc<ServerConfig>, ClientConfig)> = OnceLock::new();
    IDENTITY.get_or_init(|| identity(&PKCS_ED25519))
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
        let (server, client) = configurations();
        let epoch = Time::now();
        let device = Half::connect(epoch, client.clone(), seed * 2);
        let gateway = Half::listen(server, seed * 2 + 1);
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
            End::Device => self.device.handle(now, GATEWAY, BytesMut::from(&*frame)),
            End::Gateway => self.gateway.handle(now, DEVICE, BytesMut::from(&*frame)),
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
        let due = |half: &mut Half| half.connection.as_mut()?.1.poll_timeout();
        let due = [due(&mut self.device), due(&mut self.gateway)].into_iter().flatten().min()?;
        // Upwards: quinn's timers are finer than a microsecond, and none may be served too early.
        let nanos = due.saturating_duration_since(self.epoch).as_nanos();
        Some(Instant::from_micros(nanos.div_ceil(1_000) as u64))
    }
}
