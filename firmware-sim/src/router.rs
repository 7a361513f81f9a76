//! The other end of a device's virtual Ethernet: a router in user mode. It answers ARP for its own address,
//! takes UDP datagrams out of the frames and sends them through a real socket of the host; replies go back
//! the same way. It needs no privilege, and the gateway sees each device at an address of its own.

use crate::SimError;
use crate::ethernet::Caught;
use crate::frame::{self, Content, Parsed};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use mio::net::UdpSocket;
use smoltcp::wire::EthernetAddress;
use std::io;

/// The router's address on every virtual Ethernet; devices find the gateway there.
pub const ROUTER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The router's Ethernet address: locally administered (IEEE 802, bit 1 of the first byte).
const ROUTER_MAC: EthernetAddress = EthernetAddress([0x02, 0x00, 0x0a, 0x00, 0x02, 0x02]);
/// The largest datagram that fits a frame: 1500 less the IPv4 and UDP headers.
const PAYLOAD_MAX: usize = 1472;

/// What a frame from the device asks of the router.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    /// Send this frame back.
    Answer(Vec<u8>),
    /// Send this datagram on to the gateway.
    Forward(&'a [u8]),
    Nothing,
}

/// The translation, without the socket.
#[derive(Debug)]
pub(crate) struct Translator {
    /// What the device calls the gateway.
    gateway: SocketAddrV4,
    /// Where the device's last good datagram came from: replies go there.
    device: Option<(EthernetAddress, SocketAddrV4)>,
    caught: Caught,
}

impl Translator {
    /// A translator for a device that finds the gateway at `port` of the router.
    pub(crate) fn new(port: u16) -> Self {
        Self { gateway: SocketAddrV4::new(ROUTER_ADDRESS, port), device: None, caught: Caught::default() }
    }

    /// Reads a frame as a host on the network would.
    pub(crate) fn handle_frame<'a>(&mut self, bytes: &'a [u8]) -> Action<'a> {
        let Parsed { src: mac, dst, content } = match frame::parse(bytes) {
            Ok(parsed) => parsed,
            Err(reject) => {
                self.caught.count(reject);
                return Action::Nothing;
            }
        };
        if dst != ROUTER_MAC && !dst.is_broadcast() {
            self.caught.other += 1;
            return Action::Nothing;
        }
        match content {
            Content::Arp(request) => {
                frame::arp_answer(&request, ROUTER_ADDRESS, ROUTER_MAC).map_or(Action::Nothing, Action::Answer)
            }
            Content::Udp { src, dst, payload } if dst == self.gateway => {
                self.device = Some((mac, src));
                Action::Forward(payload)
            }
            Content::Udp { .. } => {
                self.caught.other += 1;
                Action::Nothing
            }
        }
    }

    /// The frame that brings a reply to the device; `None` while nothing was heard of it.
    pub(crate) fn wrap(&self, payload: &[u8]) -> Option<Vec<u8>> {
        let (mac, address) = self.device?;
        Some(frame::emit_udp((ROUTER_MAC, mac), self.gateway, address, payload))
    }
}

/// One device's router: the translation and the socket.
#[derive(Debug)]
pub struct Router {
    translator: Translator,
    socket: UdpSocket,
    unreachable: u64,
}

impl Router {
    /// Opens a socket of its own, connected to the gateway.
    ///
    /// # Errors
    /// [`SimError::Socket`] when the system has none to give.
    pub fn open(gateway: SocketAddr) -> Result<Self, SimError> {
        let any: SocketAddr = match gateway {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let open = || {
            let socket = UdpSocket::bind(any)?;
            socket.connect(gateway)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| SimError::Socket { gateway, source })?;
        Ok(Self { translator: Translator::new(gateway.port()), socket, unreachable: 0 })
    }

    /// The socket, to wait for.
    pub fn socket_mut(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }

    /// Takes a frame from the device; answers with a frame for it, if there is something to answer.
    pub fn handle_frame(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        match self.translator.handle_frame(frame) {
            Action::Answer(answer) => Some(answer),
            Action::Forward(datagram) => {
                // A gateway that is not there shows up here (ICMP), a full buffer too: the network
                // lost the datagram, and the protocol has to cope.
                if self.socket.send(datagram).is_err() {
                    self.unreachable += 1;
                }
                None
            }
            Action::Nothing => None,
        }
    }

    /// The next reply of the gateway, as a frame for the device; `None` when nothing is waiting.
    pub fn poll_reply(&mut self) -> Option<Vec<u8>> {
        // One byte more, to see what would not fit.
        let mut datagram = [0; PAYLOAD_MAX + 1];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(len) if len > PAYLOAD_MAX => self.translator.caught.other += 1,
                Ok(len) => return datagram.get(..len).and_then(|reply| self.translator.wrap(reply)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // The report of an earlier datagram that found no gateway; it stands before any reply.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.unreachable += 1,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.unreachable += 1;
                    return None;
                }
            }
        }
    }

    /// What the checks of a host's network stack dropped here.
    pub fn caught(&self) -> &Caught {
        &self.translator.caught
    }

    /// Datagrams that the host could not send, or that came back as undeliverable.
    pub fn unreachable(&self) -> u64 {
        self.unreachable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol};

    const DEVICE: (EthernetAddress, SocketAddrV4) =
        (EthernetAddress([2, 0, 0, 0, 0, 7]), SocketAddrV4::new(Ipv4Addr::new(10, 0, 16, 7), 5000));
    const GATEWAY: SocketAddrV4 = SocketAddrV4::new(ROUTER_ADDRESS, 4000);

    fn arp_request(target: Ipv4Addr) -> Vec<u8> {
        let request = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: DEVICE.0,
            source_protocol_addr: *DEVICE.1.ip(),
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: target,
        };
        let mut frame = vec![0; 14 + request.buffer_len()];
        let mut ethernet = EthernetFrame::new_unchecked(&mut frame[..]);
        ethernet.set_src_addr(DEVICE.0);
        ethernet.set_dst_addr(EthernetAddress::BROADCAST);
        ethernet.set_ethertype(EthernetProtocol::Arp);
        request.emit(&mut ArpPacket::new_unchecked(ethernet.payload_mut()));
        frame
    }

    #[test]
    fn answers_arp_for_its_own_address_only() {
        let mut router = Translator::new(4000);
        let Action::Answer(answer) = router.handle_frame(&arp_request(ROUTER_ADDRESS)) else { panic!("no answer") };
        let parsed = frame::parse(&answer).unwrap();
        assert_eq!((parsed.src, parsed.dst), (ROUTER_MAC, DEVICE.0));
        let expected = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: ROUTER_MAC,
            source_protocol_addr: ROUTER_ADDRESS,
            target_hardware_addr: DEVICE.0,
            target_protocol_addr: *DEVICE.1.ip(),
        };
        assert_eq!(parsed.content, Content::Arp(expected));
        assert_eq!(router.handle_frame(&arp_request(Ipv4Addr::new(10, 0, 2, 3))), Action::Nothing);
    }

    #[test]
    fn datagrams_go_out_and_replies_come_back() {
        let mut router = Translator::new(4000);
        assert_eq!(router.wrap(b"too early"), None);
        let frame = frame::emit_udp((DEVICE.0, ROUTER_MAC), DEVICE.1, GATEWAY, b"reading");
        assert_eq!(router.handle_frame(&frame), Action::Forward(b"reading"));
        let reply = router.wrap(b"ack").unwrap();
        let content = Content::Udp { src: GATEWAY, dst: DEVICE.1, payload: b"ack" };
        assert_eq!(frame::parse(&reply), Ok(Parsed { src: ROUTER_MAC, dst: DEVICE.0, content }));
    }

    #[test]
    fn what_a_host_would_not_take_is_dropped_and_counted() {
        let mut router = Translator::new(4000);
        let sound = frame::emit_udp((DEVICE.0, ROUTER_MAC), DEVICE.1, GATEWAY, b"reading");
        let spoil = |at: usize| {
            let mut frame = sound.clone();
            frame[at] ^= 4;
            frame
        };
        let elsewhere = SocketAddrV4::new(ROUTER_ADDRESS, 4001);
        let frames = [
            spoil(14 + 8),
            spoil(sound.len() - 1),
            Vec::new(),
            sound[..30].to_vec(),
            frame::emit_udp((DEVICE.0, DEVICE.0), DEVICE.1, GATEWAY, b"reading"),
            frame::emit_udp((DEVICE.0, ROUTER_MAC), DEVICE.1, elsewhere, b"reading"),
        ];
        for frame in &frames {
            assert_eq!(router.handle_frame(frame), Action::Nothing);
        }
        assert_eq!(router.caught, Caught { frame_check: 1, ip_checksum: 1, udp_checksum: 1, other: 3 });
        assert_eq!(router.wrap(b"nobody was heard"), None);
    }
}
