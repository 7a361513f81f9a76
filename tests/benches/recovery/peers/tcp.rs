//! TCP: smoltcp, a whole IPv4 stack at each end.
//!
//! Messages have all the same length here, so that the byte stream is cut by it: framing costs TCP nothing.

use crate::flow::{Carrier, End, Flow};
use crate::stack::{DEVICE, GATEWAY, Stack};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::wire::IpEndpoint;
use whimbrel_core::{Duration, Instant};

const PORT: u16 = 5_640;

/// What can be chosen about both sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Bytes, in each direction.
    pub(crate) buffer: usize,
    /// Congestion control.
    pub(crate) control: CongestionControl,
    /// Nagle's algorithm: short segments wait for each other.
    pub(crate) nagle: bool,
    /// Acknowledgements are not delayed; else for 10 ms, smoltcp's default.
    pub(crate) prompt: bool,
}

/// A connection and both stacks below it.
pub(crate) struct Tcp {
    device: Stack,
    gateway: Stack,
    connected: bool,
    message: usize,
    /// Something changed since the stacks were polled last, at that time.
    stale: bool,
    polled: Option<Instant>,
}

impl Tcp {
    /// A connection that is about to open.
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        let socket = || {
            let buffer = || SocketBuffer::new(vec![0; settings.buffer]);
            let mut socket = Socket::new(buffer(), buffer());
            socket.set_nagle_enabled(settings.nagle);
            socket.set_congestion_control(settings.control);
            if settings.prompt {
                socket.set_ack_delay(None);
            }
            socket
        };
        let device = Stack::new(DEVICE, socket(), seed * 2);
        let mut gateway = Stack::new(GATEWAY, socket(), seed * 2 + 1);
        gateway.socket::<Socket<'_>>().listen(PORT).expect("a fresh socket listens");
        Self { device, gateway, connected: false, message: 0, stale: true, polled: None }
    }

    fn end(&mut self, end: End) -> &mut Stack {
        match end {
            End::Device => &mut self.device,
            End::Gateway => &mut self.gateway,
        }
    }

    fn poll(&mut self, now: Instant) {
        if !self.connected {
            self.connected = true;
            let (socket, context) = self.device.socket_in_context::<Socket<'_>>();
            let remote = IpEndpoint::new(GATEWAY, PORT);
            socket.connect(context, remote, 50_000).expect("a fresh socket connects");
        }
        self.device.poll(now);
        self.gateway.poll(now);
        self.stale = false;
        self.polled = Some(now);
    }
}

impl Flow for Tcp {
    fn carrier(&self) -> Carrier {
        Carrier::Ip
    }

    fn is_ready(&self) -> bool {
        self.device.peek::<Socket<'_>>().state() == State::Established
    }

    fn offer(&mut self, _now: Instant, _lane: usize, message: &[u8]) -> bool {
        self.message = message.len();
        let socket = self.device.socket::<Socket<'_>>();
        let room = socket.send_capacity() - socket.send_queue();
        if !socket.may_send() || room < message.len() {
            return false;
        }
        self.stale = true;
        socket.send_slice(message) == Ok(message.len())
    }

    fn handle(&mut self, now: Instant, at: End, frame: &mut [u8]) {
        self.end(at).take(frame.to_vec());
        self.poll(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.poll(now);
    }

    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>> {
        if self.stale {
            self.poll(now);
        }
        self.end(from).give()
    }

    fn deliver(&mut self, _now: Instant) -> Option<(usize, Vec<u8>)> {
        let socket = self.gateway.socket::<Socket<'_>>();
        if self.message == 0 || socket.recv_queue() < self.message {
            return None;
        }
        let mut message = vec![0; self.message];
        socket.recv_slice(&mut message).expect("the bytes are there");
        self.stale = true;
        Some((0, message))
    }

    fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let due = [self.device.poll_at(now), self.gateway.poll_at(now)].into_iter().flatten().min();
        // A stack may ask to be polled at once for ever; what it could do by then it has done.
        let again = if self.polled == Some(now) { now + Duration::from_millis(1) } else { now };
        due.map(|due| due.max(again))
    }
}
