//! Ethernet frames as a careful host reads and writes them: ARP, and UDP over IPv4.

use core::net::{Ipv4Addr, SocketAddrV4};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress,
    IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET_LEN: usize = 14;
/// Bytes of an IPv4 header without options.
const IPV4_LEN: usize = 20;
/// Bytes of a UDP header.
const UDP_LEN: usize = 8;
/// The longest frame: 1500 bytes of payload (RFC 894), without the frame check sequence.
pub(crate) const FRAME_MAX: usize = ETHERNET_LEN + 1500;
/// Hop limit of what we send (RFC 1700 "IP TIME TO LIVE PARAMETER").
const HOP_LIMIT: u8 = 64;

/// A frame that a host takes up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    pub(crate) src: EthernetAddress,
    pub(crate) dst: EthernetAddress,
    pub(crate) content: Content<'a>,
}

/// What is in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Arp(ArpRepr),
    Udp { src: SocketAddrV4, dst: SocketAddrV4, payload: &'a [u8] },
}

/// Why a host drops a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reject {
    /// The frame check sequence would not have matched; see [`crate::corrupt`].
    FrameCheck,
    /// The IPv4 header's checksum does not match.
    IpChecksum,
    /// The UDP checksum does not match.
    UdpChecksum,
    /// A length or a field makes no sense.
    Malformed,
    /// Neither ARP nor UDP over IPv4, or a fragment.
    Other,
}

/// Reads a frame, with every check that a host makes.
pub(crate) fn parse(frame: &[u8]) -> Result<Parsed<'_>, Reject> {
    if frame.is_empty() {
        return Err(Reject::FrameCheck);
    }
    let ethernet = EthernetFrame::new_checked(frame).map_err(|_| Reject::Malformed)?;
    let content = match ethernet.ethertype() {
        EthernetProtocol::Arp => {
            let packet = ArpPacket::new_checked(ethernet.payload()).map_err(|_| Reject::Malformed)?;
            Content::Arp(ArpRepr::parse(&packet).map_err(|_| Reject::Malformed)?)
        }
        EthernetProtocol::Ipv4 => parse_ipv4(ethernet.payload())?,
        _ => return Err(Reject::Other),
    };
    Ok(Parsed { src: ethernet.src_addr(), dst: ethernet.dst_addr(), content })
}

fn parse_ipv4(bytes: &[u8]) -> Result<Content<'_>, Reject> {
    let ip = Ipv4Packet::new_checked(bytes).map_err(|_| Reject::Malformed)?;
    if ip.version() != 4 || usize::from(ip.header_len()) < IPV4_LEN {
        return Err(Reject::Malformed);
    }
    if !ip.verify_checksum() {
        return Err(Reject::IpChecksum);
    }
    if ip.next_header() != IpProtocol::Udp || ip.more_frags() || ip.frag_offset() != 0 {
        return Err(Reject::Other);
    }
    let (src, dst) = (ip.src_addr(), ip.dst_addr());
    let udp = UdpPacket::new_checked(ip.payload()).map_err(|_| Reject::Malformed)?;
    // Zero says that the sender made none (RFC 768).
    if udp.checksum() != 0 && !udp.verify_checksum(&IpAddress::Ipv4(src), &IpAddress::Ipv4(dst)) {
        return Err(Reject::UdpChecksum);
    }
    Ok(Content::Udp {
        src: SocketAddrV4::new(src, udp.src_port()),
        dst: SocketAddrV4::new(dst, udp.dst_port()),
        payload: udp.payload(),
    })
}

/// A frame with `payload` in a UDP datagram, checksums made.
pub(crate) fn emit_udp(
    macs: (EthernetAddress, EthernetAddress),
    src: SocketAddrV4,
    dst: SocketAddrV4,
    payload: &[u8],
) -> Vec<u8> {
    let mut frame = emit_ethernet(macs, EthernetProtocol::Ipv4, IPV4_LEN + UDP_LEN + payload.len());
    let checksums = ChecksumCapabilities::default();
    let ip = Ipv4Repr {
        src_addr: *src.ip(),
        dst_addr: *dst.ip(),
        next_header: IpProtocol::Udp,
        payload_len: UDP_LEN + payload.len(),
        hop_limit: HOP_LIMIT,
    };
    let udp = UdpRepr { src_port: src.port(), dst_port: dst.port() };
    let mut packet = Ipv4Packet::new_unchecked(body(&mut frame));
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &IpAddress::Ipv4(*src.ip()),
        &IpAddress::Ipv4(*dst.ip()),
        payload.len(),
        |room| room.copy_from_slice(payload),
        &checksums,
    );
    frame
}

/// The answer to an ARP request for `owner`, whose address is `mac`; `None` when it asks for something else.
pub(crate) fn arp_answer(request: &ArpRepr, owner: Ipv4Addr, mac: EthernetAddress) -> Option<Vec<u8>> {
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = *request
    else {
        return None;
    };
    if target_protocol_addr != owner || !source_hardware_addr.is_unicast() {
        return None;
    }
    let answer = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: mac,
        source_protocol_addr: owner,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    let mut frame = emit_ethernet((mac, source_hardware_addr), EthernetProtocol::Arp, answer.buffer_len());
    answer.emit(&mut ArpPacket::new_unchecked(body(&mut frame)));
    Some(frame)
}

/// Makes the UDP checksum of a sound frame right again after its payload was changed.
pub(crate) fn refresh_udp_checksum(frame: &mut [u8]) {
    let Ok(mut ip) = Ipv4Packet::new_checked(body(frame)) else { return };
    let (src, dst) = (IpAddress::Ipv4(ip.src_addr()), IpAddress::Ipv4(ip.dst_addr()));
    if let Ok(mut udp) = UdpPacket::new_checked(ip.payload_mut()) {
        udp.fill_checksum(&src, &dst);
    }
}

/// Bytes of the IPv4 packet in a frame; 0 for another frame.
pub(crate) fn ip_len(frame: &[u8]) -> u64 {
    match EthernetFrame::new_checked(frame) {
        Ok(ethernet) if ethernet.ethertype() == EthernetProtocol::Ipv4 => {
            Ipv4Packet::new_checked(ethernet.payload()).map_or(0, |ip| u64::from(ip.total_len()))
        }
        _ => 0,
    }
}

/// What stands behind the Ethernet header.
fn body(frame: &mut [u8]) -> &mut [u8] {
    frame.get_mut(ETHERNET_LEN..).unwrap_or_default()
}

fn emit_ethernet(macs: (EthernetAddress, EthernetAddress), ethertype: EthernetProtocol, len: usize) -> Vec<u8> {
    let mut frame = vec![0; ETHERNET_LEN + len];
    EthernetRepr { src_addr: macs.0, dst_addr: macs.1, ethertype }
        .emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
    frame
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const MACS: (EthernetAddress, EthernetAddress) =
        (EthernetAddress([2, 0, 0, 0, 0, 1]), EthernetAddress([2, 0, 0, 0, 0, 2]));
    pub(crate) const SRC: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 16, 1), 5000);
    pub(crate) const DST: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 4000);

    #[test]
    fn what_is_written_reads_back() {
        let frame = emit_udp(MACS, SRC, DST, b"reading");
        let content = Content::Udp { src: SRC, dst: DST, payload: b"reading" };
        assert_eq!(parse(&frame), Ok(Parsed { src: MACS.0, dst: MACS.1, content }));
        assert_eq!(ip_len(&frame), 20 + 8 + 7);
    }

    #[test]
    fn every_bit_of_the_ip_packet_is_checked() {
        let sound = emit_udp(MACS, SRC, DST, b"reading");
        for bit in ETHERNET_LEN * 8..sound.len() * 8 {
            let mut frame = sound.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&frame).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn no_prefix_of_a_frame_passes() {
        let sound = emit_udp(MACS, SRC, DST, b"reading");
        for len in 0..sound.len() {
            assert!(parse(&sound[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_refreshed_checksum_passes() {
        let mut frame = emit_udp(MACS, SRC, DST, b"reading");
        *frame.last_mut().unwrap() ^= 1;
        assert_eq!(parse(&frame), Err(Reject::UdpChecksum));
        refresh_udp_checksum(&mut frame);
        assert!(matches!(parse(&frame), Ok(Parsed { content: Content::Udp { payload: b"readinf", .. }, .. })));
    }
}
