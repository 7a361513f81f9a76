//! TCP: smoltcp, a whole IPv4 stack at each end.
//!
//! Messages have all the same length here, so that the byte stream is cut by it: framing costs TCP nothing.

use crate::flow::{Carrier, End, Flow};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Instant as Time;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use std::collections::VecDeque;
use whimbrel_core::{Duration, Instant};

const MTU: usize = 1_500;
const PORT: u16 = 5_640;
const DEVICE: IpAddress = IpAddress::v4(10, 0, 0, 1);
const GATEWAY: IpAddress = IpAddress::v4(10, 0, 0, 2);

/// Packets in and out of a stack.
#[derive(Debug, Default)]
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

struct Receive(Vec<u8>);

struct Transmit<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Wire {
    type RxToken<'a> = Receive;
    type TxToken<'a> = Transmit<'a>;

    fn receive(&mut self, _timestamp: Time) -> Option<(Receive, Transmit<'_>)> {
        Some((Receive(self.incoming.pop_front()?), Transmit(&mut self.outgoing)))
    }

    fn transmit(&mut self, _timestamp: Time) -> Option<Transmit<'_>> {
        Some(Transmit(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

impl phy::RxToken for Receive {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Transmit<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}

/// A stack with one socket.
struct Stack {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

impl Stack {
    fn new(address: IpAddress, socket: Socket<'static>, random_seed: u64) -> Self {
        let mut wire = Wire::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = random_seed;
        let mut interface = Interface::new(config, &mut wire, Time::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address, 24)).expect("an interface has room for an address");
        });
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Self { wire, interface, sockets, handle }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn poll(&mut self, now: Instant) {
        self.interface.poll(time(now), &mut self.wire, &mut self.sockets);
    }

    fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(time(now), &self.sockets)?;
        Some(Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0)))
    }
}

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
        gateway.socket().listen(PORT).expect("a fresh socket listens");
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
            let Stack { sockets, handle, interface, .. } = &mut self.device;
            let remote = IpEndpoint::new(GATEWAY, PORT);
            let socket = sockets.get_mut::<Socket<'_>>(*handle);
            socket.connect(interface.context(), remote, 50_000).expect("a fresh socket connects");
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
        self.device.sockets.get::<Socket<'_>>(self.device.handle).state() == State::Established
    }

    fn offer(&mut self, _now: Instant, _lane: usize, message: &[u8]) -> bool {
        self.message = message.len();
        let socket = self.device.socket();
        let room = socket.send_capacity() - socket.send_queue();
        if !socket.may_send() || room < message.len() {
            return false;
        }
        self.stale = true;
        self.device.socket().send_slice(message) == Ok(message.len())
    }

    fn handle(&mut self, now: Instant, at: End, frame: &mut [u8]) {
        self.end(at).wire.incoming.push_back(frame.to_vec());
        self.poll(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.poll(now);
    }

    fn transmit(&mut self, now: Instant, from: End) -> Option<Vec<u8>> {
        if self.stale {
            self.poll(now);
        }
        self.end(from).wire.outgoing.pop_front()
    }

    fn deliver(&mut self, _now: Instant) -> Option<(usize, Vec<u8>)> {
        let socket = self.gateway.socket();
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

fn time(now: Instant) -> Time {
    Time::from_micros(now.as_micros() as i64)
}
