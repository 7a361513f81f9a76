//! The device's end of the virtual Ethernet: a network card made of two queues.

use crate::frame::{self, FRAME_MAX, Reject};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use std::collections::VecDeque;

/// Frames that the card holds in each direction, as a small MAC does.
const QUEUE_MAX: usize = 32;

/// What a receiver dropped, by the check that found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caught {
    /// By the frame check sequence.
    pub frame_check: u64,
    /// By the checksum of the IPv4 header.
    pub ip_checksum: u64,
    /// By the UDP checksum.
    pub udp_checksum: u64,
    /// By its form, or because nobody here wants it.
    pub other: u64,
}

impl Caught {
    pub(crate) fn count(&mut self, reject: Reject) {
        match reject {
            Reject::FrameCheck => self.frame_check += 1,
            Reject::IpChecksum => self.ip_checksum += 1,
            Reject::UdpChecksum => self.udp_checksum += 1,
            Reject::Malformed | Reject::Other => self.other += 1,
        }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.frame_check += more.frame_check;
        self.ip_checksum += more.ip_checksum;
        self.udp_checksum += more.udp_checksum;
        self.other += more.other;
    }
}

/// A network card for smoltcp.
#[derive(Debug, Default)]
pub struct VirtualDevice {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
    overrun: u64,
    caught: Caught,
}

impl VirtualDevice {
    /// A frame arrives from the wire. When the queue is full it is lost, as on a real card.
    ///
    /// Our own look at the checksums only counts: smoltcp, which counts nothing, makes its own and decides.
    pub fn arrive(&mut self, frame: Vec<u8>) {
        if let Err(reject) = frame::parse(&frame) {
            self.caught.count(reject);
        }
        if frame.is_empty() {
            return;
        }
        if self.rx.len() >= QUEUE_MAX {
            self.overrun += 1;
            return;
        }
        self.rx.push_back(frame);
    }

    /// The next frame for the wire.
    pub fn depart(&mut self) -> Option<Vec<u8>> {
        self.tx.pop_front()
    }

    /// Whether frames wait to be taken up.
    pub fn is_waiting(&self) -> bool {
        !self.rx.is_empty()
    }

    /// Frames lost because the queue was full.
    pub fn overrun(&self) -> u64 {
        self.overrun
    }

    /// What the stack behind the card has to drop.
    pub fn caught(&self) -> &Caught {
        &self.caught
    }
}

impl Device for VirtualDevice {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        // The stack may answer at once; without room for that it must not be asked.
        if self.tx.len() >= QUEUE_MAX {
            return None;
        }
        let frame = self.rx.pop_front()?;
        Some((Rx(frame), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        (self.tx.len() < QUEUE_MAX).then_some(Tx(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_MAX;
        capabilities
    }
}

/// A frame taken up.
#[derive(Debug)]
pub struct Rx(Vec<u8>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// Room for a frame.
#[derive(Debug)]
pub struct Tx<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::{DST, MACS, SRC};

    #[test]
    fn a_full_card_loses_frames_and_says_so() {
        let mut device = VirtualDevice::default();
        let frame = frame::emit_udp(MACS, SRC, DST, b"x");
        for _ in 0..QUEUE_MAX + 3 {
            device.arrive(frame.clone());
        }
        assert_eq!((device.overrun(), *device.caught()), (3, Caught::default()));
        for _ in 0..QUEUE_MAX {
            device.transmit(Instant::ZERO).unwrap().consume(1, |_| ());
        }
        assert!(device.transmit(Instant::ZERO).is_none());
        assert!(device.receive(Instant::ZERO).is_none());
        assert!(device.depart().is_some());
        assert!(device.receive(Instant::ZERO).is_some());
    }

    #[test]
    fn spoilt_frames_are_counted_by_the_check_that_finds_them() {
        let mut device = VirtualDevice::default();
        let mut frame = frame::emit_udp(MACS, SRC, DST, b"x");
        *frame.last_mut().unwrap() ^= 0x10;
        device.arrive(frame);
        device.arrive(Vec::new());
        assert_eq!(*device.caught(), Caught { udp_checksum: 1, frame_check: 1, ..Caught::default() });
    }
}
