//! A TAP device of the host in place of the virtual Ethernet: the devices share it through a small switch.

use crate::SimError;
use smoltcp::phy::{Device, Medium, RxToken, TunTapInterface, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, EthernetFrame};
use std::collections::HashMap;
use std::fs;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

/// Which devices a frame goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The device of this index.
    One(usize),
    /// All of them.
    All,
}

/// The TAP device and the switch before it.
#[derive(Debug)]
pub struct Tap {
    interface: TunTapInterface,
    ports: HashMap<EthernetAddress, usize>,
}

impl Tap {
    /// Opens the TAP device `name`, which exists, is up and has its address; device `i` has the Ethernet address `macs[i]`.
    ///
    /// # Errors
    /// [`SimError::Tap`], which says what to do.
    pub fn open(name: &str, macs: impl IntoIterator<Item = EthernetAddress>) -> Result<Self, SimError> {
        let failed = |reason: String| SimError::Tap { name: name.into(), reason };
        // Opening an unknown name would make a device without an address, and writing to one that is down fails.
        let about = Path::new("/sys/class/net").join(name);
        if name.contains('/') || !about.join("tun_flags").exists() {
            return Err(failed("there is none of that name (see --help for how to make it)".into()));
        }
        if !is_up(&fs::read_to_string(about.join("flags")).map_err(|error| failed(error.to_string()))?) {
            return Err(failed(format!("it is down; run `ip link set {name} up`")));
        }
        let interface = TunTapInterface::new(name, Medium::Ethernet).map_err(|error| failed(error.to_string()))?;
        Ok(Self { interface, ports: macs.into_iter().zip(0..).collect() })
    }

    /// The next frame of the host and where it goes; frames for nobody here are skipped.
    pub fn poll_frame(&mut self) -> Option<(Port, Vec<u8>)> {
        loop {
            let (rx, _) = self.interface.receive(Instant::ZERO)?;
            let frame = rx.consume(<[u8]>::to_vec);
            if let Some(port) = route(&self.ports, &frame) {
                return Some((port, frame));
            }
        }
    }

    /// Gives a frame of a device to the host.
    pub fn send(&mut self, frame: &[u8]) {
        if let Some(tx) = self.interface.transmit(Instant::ZERO).filter(|_| !frame.is_empty()) {
            tx.consume(frame.len(), |room| room.copy_from_slice(frame));
        }
    }
}

impl AsRawFd for Tap {
    fn as_raw_fd(&self) -> RawFd {
        self.interface.as_raw_fd()
    }
}

/// Bit 0 of an interface's flags (`IFF_UP` of netdevice(7)), printed in hexadecimal.
fn is_up(flags: &str) -> bool {
    u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).is_ok_and(|flags| flags & 1 != 0)
}

fn route(ports: &HashMap<EthernetAddress, usize>, frame: &[u8]) -> Option<Port> {
    let dst = EthernetFrame::new_checked(frame).ok()?.dst_addr();
    if dst.is_broadcast() {
        return Some(Port::All);
    }
    ports.get(&dst).copied().map(Port::One)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::{DST, MACS, SRC};

    #[test]
    fn frames_go_where_they_are_addressed() {
        let ports = HashMap::from([(MACS.0, 3)]);
        let frame = |dst| crate::frame::emit_udp((MACS.1, dst), SRC, DST, b"x");
        assert_eq!(route(&ports, &frame(MACS.0)), Some(Port::One(3)));
        assert_eq!(route(&ports, &frame(EthernetAddress::BROADCAST)), Some(Port::All));
        assert_eq!(route(&ports, &frame(MACS.1)), None);
        assert_eq!(route(&ports, b"short"), None);
    }

    #[test]
    fn a_missing_device_is_named() {
        let error = Tap::open("no-such-tap", []).unwrap_err().to_string();
        assert!(error.starts_with("cannot use the TAP device no-such-tap: there is none"), "{error}");
        assert!(is_up("0x1003\n") && !is_up("0x1002\n") && !is_up("junk"));
    }
}
