//! One device: the sensor application on a smoltcp stack, with its two links to the world.

use crate::SimError;
use crate::capture::Capture;
use crate::corrupt::corrupt;
use crate::ethernet::VirtualDevice;
use crate::faults::Faults;
use crate::flash::Flash;
use crate::fleet::Member;
use crate::frame;
use crate::link::{Link, LinkStats};
use crate::replay::Rows;
use crate::tally::Tally;
use core::cell::RefCell;
use core::net::{Ipv4Addr, SocketAddrV4};
use sensor_app::App;
use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketHandle, SocketSet};
use smoltcp::socket::udp;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, IpEndpoint, Ipv4Cidr};
use std::rc::Rc;
use whimbrel_core::{CloseReason, Config, DeviceId, Duration, Instant, Medium, Session};
use whimbrel_smoltcp::{Driver, DriverError, DriverStats, Wire, to_smoltcp};

/// The devices' network: 10.0.0.0/16.
const PREFIX_LEN: u8 = 16;
/// The device's UDP port: the first of the dynamic ones (RFC 6335 section 6).
const PORT: u16 = 49_152;
/// Packets in each of the socket's buffers, as a small board would have.
const PACKETS: usize = 4;
/// Most devices in one simulation: what the address plan holds with room to spare.
pub const DEVICES_MAX: usize = 10_000;

/// What all devices of a run have in common.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Where the devices find the gateway on their Ethernet.
    pub gateway: SocketAddrV4,
    /// The next hop towards it.
    pub router: Ipv4Addr,
    /// The faults of each link, in each direction.
    pub faults: Faults,
    /// From which the links draw; each link has its own sequence.
    pub seed: u64,
    /// Between two readings of a device.
    pub period: Duration,
}

/// One device.
pub struct Node {
    name: String,
    id: DeviceId,
    flash: Option<Rc<RefCell<Flash>>>,
    app: App<Rows, Medium>,
    tally: Tally,
    driver: Driver,
    iface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    device: VirtualDevice,
    up: Link,
    down: Link,
    wire_bytes: u64,
    scratch: Vec<u8>,
}

impl Node {
    /// Device number `index`, which is `member` and sends `rows`.
    ///
    /// # Errors
    /// [`SimError::Device`] or [`SimError::Random`].
    pub fn new(index: usize, spec: &NodeSpec, rows: Rows, member: Member) -> Result<Self, SimError> {
        let Member { name, identity, flash } = member;
        let failed = |reason: &str| SimError::Device { device: name.clone(), reason: reason.into() };
        let config = Config { max_backoff: Duration::from_secs(2), ..Config::new() };
        let id = identity.device();
        // Not from the seed: a nonce that comes again would name an earlier run's session.
        let mut random = [0; 40];
        getrandom::fill(&mut random).map_err(SimError::Random)?;
        let (session_random, iface_random) = random.split_first_chunk().ok_or_else(|| failed("no random bytes"))?;
        let app = App::new(&config, identity, *session_random, Medium::new(), rows, spec.period)
            .map_err(|error| SimError::config(&name, error))?;
        let peer = IpEndpoint::from(spec.gateway);
        let driver = Driver::new(peer, config.max_datagram).map_err(|error| failed(&error.to_string()))?;
        let mut card = VirtualDevice::default();
        let iface = interface(index, spec.router, iface_random, &mut card).ok_or_else(|| failed("no address left"))?;
        let max_datagram = usize::from(config.max_datagram);
        let buffer =
            || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; PACKETS], vec![0; PACKETS * max_datagram]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(PORT).map_err(|_| failed("its port is taken"))?;
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let socket = sockets.add(socket);
        // Two links for each device, each with a seed of its own.
        let seed =
            |direction: u64| spec.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(2 * index as u64 + direction);
        Ok(Self {
            app,
            tally: Tally::default(),
            driver,
            iface,
            sockets,
            socket,
            device: card,
            up: Link::new(spec.faults, seed(0)),
            down: Link::new(spec.faults, seed(1)),
            wire_bytes: 0,
            scratch: vec![0; max_datagram],
            name,
            id,
            flash,
        })
    }

    /// A frame of the other side enters the link to the device.
    pub fn arrive(&mut self, now: Instant, frame: &[u8]) {
        self.wire_bytes += frame::ip_len(frame);
        self.down.send_with(now, frame, corrupt);
    }

    /// The next frame that leaves the link from the device.
    pub fn depart(&mut self, now: Instant, capture: &mut Capture) -> Option<Vec<u8>> {
        let frame = self.up.poll(now)?;
        capture.frame(now, &frame);
        Some(frame)
    }

    /// One turn of the device's main loop.
    ///
    /// # Errors
    /// [`SimError::Device`] as [`DriverError`] says, but not with the sockets made here; [`SimError::DeviceFile`].
    pub fn step(&mut self, now: Instant, capture: &mut Capture) -> Result<(), SimError> {
        while let Some(frame) = self.down.poll(now) {
            capture.frame(now, &frame);
            self.device.arrive(frame);
        }
        let Self { app, driver, iface, device, sockets, scratch, name, .. } = self;
        let failed = |error: DriverError| SimError::Device { device: name.clone(), reason: error.to_string() };
        let mut wire = Wire { iface, device, sockets, socket: self.socket };
        driver.poll_ingress(now, &mut wire, app.session_mut(), scratch, |_| ()).map_err(failed)?;
        app.step(now, &mut self.tally);
        if let Some(epoch) = self.tally.take_raised() {
            // Nothing is sent before it is stored. Without flash the device is switched on once: nothing to store.
            self.flash.as_ref().map_or(Ok(()), |flash| flash.borrow_mut().raise(&self.id, epoch))?;
            app.session_mut().boot_epoch_stored(now);
        }
        if let (Some(key), Some(flash)) = (self.tally.take_gateway_key(), &self.flash) {
            flash.borrow_mut().learn(&self.id, key)?;
        }
        driver.poll_egress(now, &mut wire, app.session_mut(), scratch).map_err(failed)?;
        while let Some(frame) = self.device.depart() {
            self.wire_bytes += frame::ip_len(&frame);
            self.up.send_with(now, &frame, corrupt);
        }
        Ok(())
    }

    /// When the device or its links have something to do.
    pub fn poll_at(&mut self, now: Instant) -> Option<Instant> {
        if self.device.is_waiting() {
            return Some(now);
        }
        let Self { app, driver, iface, device, sockets, .. } = self;
        let mut wire = Wire { iface, device, sockets, socket: self.socket };
        let stack = driver.poll_at(now, &mut wire, app.session());
        [stack, app.poll_at(), self.up.poll_timeout(), self.down.poll_timeout()].into_iter().flatten().min()
    }

    /// Says goodbye to the gateway.
    pub fn close(&mut self, now: Instant) {
        self.app.session_mut().close(now, CloseReason::Done);
    }

    /// Whether the goodbye has left for the gateway, as far as the link let it.
    pub fn is_gone(&self) -> bool {
        self.app.session().is_closed() && self.up.poll_timeout().is_none()
    }

    /// Its id.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The application.
    pub fn app(&self) -> &App<Rows, Medium> {
        &self.app
    }

    /// The session.
    pub fn session(&self) -> &Session<Medium> {
        self.app.session()
    }

    /// What was accepted and committed.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The network card.
    pub fn device(&self) -> &VirtualDevice {
        &self.device
    }

    /// What the driver dropped.
    pub fn driver_stats(&self) -> &DriverStats {
        self.driver.stats()
    }

    /// What was done to the frames, from the device and to it.
    pub fn links(&self) -> [&LinkStats; 2] {
        [self.up.stats(), self.down.stats()]
    }

    /// Bytes of IP packets that both sides put on the wire, before any loss.
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }
}

/// The Ethernet address of device number `index`: locally administered.
pub fn mac(index: usize) -> EthernetAddress {
    let [.., a, b, c] = (index as u64).to_be_bytes();
    EthernetAddress([0x02, 0x77, 0x68, a, b, c])
}

/// The address of device number `index`: 10.0.16.1 and on, 250 in each group.
fn address(index: usize) -> Option<Ipv4Addr> {
    let group = u8::try_from(16 + index / 250).ok()?;
    Some(Ipv4Addr::new(10, 0, group, 1 + (index % 250) as u8))
}

fn interface(index: usize, router: Ipv4Addr, random: &[u8], device: &mut VirtualDevice) -> Option<Interface> {
    let mut config = InterfaceConfig::new(HardwareAddress::Ethernet(mac(index)));
    config.random_seed = random.first_chunk().copied().map(u64::from_le_bytes)?;
    let mut iface = Interface::new(config, device, to_smoltcp(Instant::ZERO));
    let address = address(index)?;
    iface.update_ip_addrs(|addresses| {
        // The list holds at least one.
        let _ = addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(address, PREFIX_LEN)));
    });
    iface.routes_mut().add_default_ipv4_route(router).ok()?;
    Some(iface)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_device_has_addresses_of_its_own() {
        let addresses: HashSet<_> = (0..DEVICES_MAX).map(|index| (address(index).unwrap(), mac(index))).collect();
        assert_eq!(addresses.len(), DEVICES_MAX);
        assert!((0..DEVICES_MAX).all(|index| address(index) != Some(crate::router::ROUTER_ADDRESS)));
    }
}
