//! The caller's network, lent for one call.

use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::udp;

/// An interface, its device, and the UDP socket among its sockets, all borrowed from the caller.
pub struct Wire<'a, 's, D: Device + ?Sized> {
    /// The interface.
    pub iface: &'a mut Interface,
    /// The network device that it drives.
    pub device: &'a mut D,
    /// The sockets of the interface.
    pub sockets: &'a mut SocketSet<'s>,
    /// The UDP socket of the session, bound by the caller.
    pub socket: SocketHandle,
}

impl<'s, D: Device + ?Sized> Wire<'_, 's, D> {
    pub(crate) fn udp(&mut self) -> &mut udp::Socket<'s> {
        self.sockets.get_mut(self.socket)
    }
}
