//! smoltcp in memory: a stack with one socket, whose packets the bench carries.

use smoltcp::iface::{Config, Context, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::AnySocket;
use smoltcp::time::Instant as Time;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use std::collections::VecDeque;
use whimbrel_core::Instant;

/// The sender's address.
pub(crate) const DEVICE: IpAddress = IpAddress::v4(10, 0, 0, 1);
/// The receiver's address.
pub(crate) const GATEWAY: IpAddress = IpAddress::v4(10, 0, 0, 2);
const MTU: usize = 1_500;

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
pub(crate) struct Stack {
    wire: Wire,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

impl Stack {
    /// A stack of this address, in a network with all others of its kind.
    pub(crate) fn new(address: IpAddress, socket: impl AnySocket<'static>, random_seed: u64) -> Self {
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

    /// Its socket.
    pub(crate) fn socket<S: AnySocket<'static>>(&mut self) -> &mut S {
        self.sockets.get_mut(self.handle)
    }

    /// Its socket, to look at.
    pub(crate) fn peek<S: AnySocket<'static>>(&self) -> &S {
        self.sockets.get(self.handle)
    }

    /// Its socket, and what a socket needs to connect.
    pub(crate) fn socket_in_context<S: AnySocket<'static>>(&mut self) -> (&mut S, &mut Context) {
        (self.sockets.get_mut(self.handle), self.interface.context())
    }

    /// A packet arrives; it is looked at when the stack is polled.
    pub(crate) fn take(&mut self, packet: Vec<u8>) {
        self.wire.incoming.push_back(packet);
    }

    /// The next packet that the stack sent.
    pub(crate) fn give(&mut self) -> Option<Vec<u8>> {
        self.wire.outgoing.pop_front()
    }

    /// Does all that is to be done.
    pub(crate) fn poll(&mut self, now: Instant) {
        self.interface.poll(time(now), &mut self.wire, &mut self.sockets);
    }

    /// When there is something to be done.
    pub(crate) fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(time(now), &self.sockets)?;
        Some(Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0)))
    }
}

fn time(now: Instant) -> Time {
    Time::from_micros(now.as_micros() as i64)
}
