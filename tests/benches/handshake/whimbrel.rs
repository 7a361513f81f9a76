//! Whimbrel's handshake: HELLO, ACCEPT, and the device's first packet.

use crate::cpu::Watch;
use crate::device::Device;
use crate::gateway::{Answer, Gateway};
use crate::{HANDSHAKES, Way};
use whimbrel_core::{Config, Protection};
use whimbrel_tests::keys;

/// A gateway, whose devices boot before each turn.
pub(crate) struct Whimbrel {
    protection: Protection,
    gateway: Gateway,
    boot: u32,
}

impl Whimbrel {
    pub(crate) fn new(protection: Protection) -> Self {
        let pattern = keys::pattern(protection).expect("the handshake is a sealed one");
        Self { protection, gateway: Gateway::new(pattern, HANDSHAKES as u32), boot: 0 }
    }
}

impl Way for Whimbrel {
    fn turn(&mut self) -> f64 {
        self.boot += 1;
        self.gateway.forget();
        let mut devices: Vec<_> =
            (0..HANDSHAKES as u32).map(|number| Device::new(number, self.boot, self.protection)).collect();
        let hellos: Vec<_> = devices.iter_mut().map(Device::transmit).collect();
        let mut accepts = vec![[0; Config::MAX_DATAGRAM as usize]; hellos.len()];
        let mut lengths = vec![0; hellos.len()];
        let mut watch = Watch::default();
        watch.run(|| {
            for ((hello, accept), length) in hellos.iter().zip(&mut accepts).zip(&mut lengths) {
                if let Answer::Accept(len) = self.gateway.on_hello(hello, accept) {
                    *length = len;
                }
            }
        });
        let answers = accepts.iter_mut().zip(lengths).map(|(accept, len)| &mut accept[..len]);
        let mut packets: Vec<_> =
            devices.iter_mut().zip(answers).map(|(device, accept)| device.on_accept(accept)).collect();
        let heard = watch.run(|| {
            let heard = |packet: &mut Vec<u8>| usize::from(self.gateway.on_packet(packet));
            packets.iter_mut().map(heard).sum::<usize>()
        });
        assert_eq!(heard, packets.len(), "every device is heard under its session");
        watch.each(HANDSHAKES)
    }
}
