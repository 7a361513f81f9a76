//! HELLOs of the right form that no device made.

use core::ops::Range;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use whimbrel_gateway::registry::Provisioned;

use crate::place::hello;

/// Where a HELLO has what is forged, with the ids of 8 bytes that the gateway gives (docs/PROTOCOL.md, section 5.1).
const ID: Range<usize> = 4..12;
const E: Range<usize> = 21..53;
/// mac1, from the end.
const MAC1: Range<usize> = 8..24;
/// Of a boot that none of the devices has reached, so that the counter is good.
const BOOT: u32 = 1_000_000;

/// Makes them.
#[derive(Clone)]
pub(crate) struct Forger {
    /// One of each device.
    forms: Vec<Vec<u8>>,
    random: StdRng,
}

impl Forger {
    pub(crate) fn new(devices: &[Provisioned]) -> Self {
        let forms: Vec<_> = devices.iter().map(|device| hello(device, BOOT)).collect();
        for (form, device) in forms.iter().zip(devices) {
            assert_eq!(&form[ID], device.id.as_bytes());
        }
        Self { forms, random: StdRng::seed_from_u64(1) }
    }

    pub(crate) fn hello_len(&self) -> usize {
        self.forms[0].len()
    }

    /// Every other one names a device that there is, so that its MAC must be looked at; the others invent one.
    pub(crate) fn forge(&mut self, number: u64, datagram: &mut Vec<u8>) {
        datagram.clear();
        datagram.extend(&self.forms[number as usize / 2 % self.forms.len()]);
        if number.is_multiple_of(2) {
            self.random.fill_bytes(&mut datagram[ID]);
        }
        self.random.fill_bytes(&mut datagram[E]);
        let end = datagram.len();
        self.random.fill_bytes(&mut datagram[end - MAC1.end..end - MAC1.start]);
    }
}
