//! HELLOs that are turned away.

use crate::Way;
use crate::cpu::Watch;
use crate::device::Device;
use crate::gateway::{Answer, Gateway};
use whimbrel_core::{Config, Pattern, Protection};

/// Devices that the HELLOs are from, or pretend to be from.
const DEVICES: u32 = 32;
/// How often each comes in a turn.
const TIMES: usize = 32;
/// Where the first MAC begins, counted from a HELLO's end: it is 16 bytes, the second one 8.
const MAC: usize = 16 + 8;

/// Why a HELLO is turned away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its sender does not have the key: silence.
    Mac,
    /// It was taken at a former boot: the device is told, since it may have lost count.
    Replay,
}

/// A gateway and what it does not take.
pub(crate) struct Refusal {
    reason: Refused,
    gateway: Gateway,
    hellos: Vec<Vec<u8>>,
}

impl Refusal {
    pub(crate) fn new(reason: Refused) -> Self {
        let mut gateway = Gateway::new(Pattern::NkPsk0, DEVICES);
        let hello = |number| Device::new(number, 1, Protection::NkPsk0).transmit();
        let mut hellos: Vec<_> = (0..DEVICES).map(hello).collect();
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        for hello in &mut hellos {
            match reason {
                Refused::Mac => {
                    let at = hello.len() - MAC;
                    hello[at] ^= 1;
                }
                Refused::Replay => {
                    assert!(matches!(gateway.on_hello(hello, &mut buf), Answer::Accept(_)), "once, it is good");
                }
            }
        }
        gateway.forget();
        Self { reason, gateway, hellos }
    }
}

impl Way for Refusal {
    fn turn(&mut self) -> f64 {
        let Self { reason, gateway, hellos } = self;
        let mut buf = [0; Config::MAX_DATAGRAM as usize];
        let mut watch = Watch::default();
        let refused = watch.run(|| {
            let hellos = (0..TIMES).flat_map(|_| hellos.iter());
            let as_meant = |hello: &&Vec<u8>| match gateway.on_hello(hello, &mut buf) {
                Answer::Silence => *reason == Refused::Mac,
                Answer::CounterLow => *reason == Refused::Replay,
                Answer::Accept(_) => false,
            };
            hellos.filter(as_meant).count()
        });
        assert_eq!(refused, hellos.len() * TIMES, "all are turned away, for the reason that is measured");
        watch.each(hellos.len() * TIMES)
    }
}
