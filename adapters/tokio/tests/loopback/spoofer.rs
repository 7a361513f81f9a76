//! Somebody who writes any address on a datagram.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io;

use quinn_udp::{Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Sends as if from any of the addresses of the loopback network, which on Linux are all there.
pub(crate) struct Spoofer {
    socket: UdpSocket,
    state: UdpSocketState,
    to: SocketAddr,
}

impl Spoofer {
    pub(crate) fn new(to: SocketAddr) -> Self {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = UdpSocket::from_std(socket).unwrap();
        let state = UdpSocketState::new((&socket).into()).unwrap();
        Self { socket, state, to }
    }

    pub(crate) async fn send(&self, number: u32, contents: &[u8]) {
        let source = Ipv4Addr::from_bits(0x7f10_0000 + number);
        let transmit = Transmit {
            destination: self.to,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: Some(IpAddr::V4(source)),
        };
        loop {
            self.socket.writable().await.unwrap();
            let sent = self.socket.try_io(Interest::WRITABLE, || self.state.try_send((&self.socket).into(), &transmit));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent.unwrap(),
            }
        }
    }
}
