//! smoltcp's TCP: a connection between two stacks.

use crate::stack::{DEVICE, GATEWAY, Stack};
use crate::{Way, earliest};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::IpEndpoint;
use whimbrel_core::{Duration, Instant};

const PORT: u16 = 5_640;
const BUFFER: usize = 16 * 1024;

/// Two stacks and their connection.
pub(crate) struct Tcp {
    device: Stack,
    gateway: Stack,
    now: Instant,
    read: Vec<u8>,
}

impl Tcp {
    pub(crate) fn new() -> Self {
        let socket = || {
            let buffer = || SocketBuffer::new(vec![0; BUFFER]);
            let mut socket = Socket::new(buffer(), buffer());
            socket.set_nagle_enabled(false);
            // At once: the message is not done before, and virtual time costs nothing.
            socket.set_ack_delay(None);
            socket
        };
        let (mut device, mut gateway) = (Stack::new(DEVICE, socket(), 1), Stack::new(GATEWAY, socket(), 2));
        gateway.socket::<Socket<'_>>().listen(PORT).expect("a fresh socket listens");
        let (socket, context) = device.socket_in_context::<Socket<'_>>();
        socket.connect(context, IpEndpoint::new(GATEWAY, PORT), 50_000).expect("a fresh socket connects");
        let mut connection = Self { device, gateway, now: Instant::ZERO, read: vec![0; BUFFER] };
        while connection.gateway.peek::<Socket<'_>>().state() != State::Established {
            connection.carry();
        }
        connection
    }

    /// Moves segments both ways, once.
    fn carry(&mut self) -> bool {
        let mut moved = false;
        self.device.poll(self.now);
        while let Some(packet) = self.device.give() {
            self.gateway.take(packet);
            moved = true;
        }
        self.gateway.poll(self.now);
        while let Some(packet) = self.gateway.give() {
            self.device.take(packet);
            moved = true;
        }
        self.device.poll(self.now);
        moved
    }
}

impl Way for Tcp {
    fn exchange(&mut self, count: usize, message: &[u8]) {
        for _ in 0..count {
            let sent = self.device.socket::<Socket<'_>>().send_slice(message);
            assert_eq!(sent, Ok(message.len()), "the buffer has room");
        }
        let mut left = count * message.len();
        while left > 0 || self.device.peek::<Socket<'_>>().send_queue() > 0 {
            let mut moved = self.carry();
            while let Ok(read @ 1..) = self.gateway.socket::<Socket<'_>>().recv_slice(&mut self.read) {
                left -= read;
                moved = true;
            }
            if !moved {
                let due = earliest([self.device.poll_at(self.now), self.gateway.poll_at(self.now)]);
                self.now = due.max(self.now + Duration::from_micros(1));
            }
        }
    }
}
