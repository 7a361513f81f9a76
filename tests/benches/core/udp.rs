//! smoltcp's UDP: datagrams between two stacks.

use crate::Way;
use crate::stack::{DEVICE, GATEWAY, Stack};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::IpEndpoint;
use whimbrel_core::Instant;

const PORTS: [u16; 2] = [50_000, 5_640];
const DATAGRAMS: usize = 32;
const BYTES: usize = 32 * 1_500;

/// Two stacks, a socket on each.
pub(crate) struct Udp {
    ends: [Stack; 2],
}

impl Udp {
    pub(crate) fn new() -> Self {
        let end = |address, port| {
            let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; DATAGRAMS], vec![0; BYTES]);
            let mut socket = Socket::new(buffer(), buffer());
            socket.bind(port).expect("a fresh socket binds");
            Stack::new(address, socket, 1)
        };
        Self { ends: [end(DEVICE, PORTS[0]), end(GATEWAY, PORTS[1])] }
    }

    /// A datagram leaves an end: 0 the device's, 1 the gateway's.
    pub(crate) fn send(&mut self, from: usize, datagram: &[u8]) {
        let to = 1 - from;
        let remote = IpEndpoint::new([DEVICE, GATEWAY][to], PORTS[to]);
        self.ends[from].socket::<Socket<'_>>().send_slice(datagram, remote).expect("the buffer has room");
    }

    /// Moves what both ends sent.
    pub(crate) fn carry(&mut self, now: Instant) {
        for from in 0..2 {
            self.ends[from].poll(now);
            while let Some(packet) = self.ends[from].give() {
                self.ends[1 - from].take(packet);
            }
            self.ends[1 - from].poll(now);
        }
    }

    /// Hands a datagram that arrived at an end to `read`; `false` when there is none.
    pub(crate) fn receive(&mut self, at: usize, read: impl FnOnce(&[u8])) -> bool {
        let arrived = self.ends[at].socket::<Socket<'_>>().recv();
        arrived.map(|(datagram, _)| read(datagram)).is_ok()
    }
}

impl Way for Udp {
    fn exchange(&mut self, count: usize, message: &[u8]) {
        for _ in 0..count {
            self.send(0, message);
        }
        self.carry(Instant::ZERO);
        for _ in 0..count {
            let len = message.len();
            assert!(self.receive(1, |datagram| assert_eq!(datagram.len(), len)), "every datagram arrives");
        }
    }
}
