//! Either end by another implementation of Noise: with the right keys it says whatever it is told to, well formed or not.
//! A stolen device and a gateway that was taken over can do this, and nobody else.

use blake2::Blake2s256;
use hmac::{KeyInit, Mac, SimpleHmac};
use snow::{Builder, HandshakeState};
use whimbrel_core::wire::Protection;
use whimbrel_core::{DeviceKey, GatewaySecret};

/// The device's name.
pub(super) const NAME: u8 = b'd';
/// Bytes of a HELLO before its ephemeral key: header, protection, name, counter, key id.
pub(super) const FRONT: usize = 2 + 1 + 2 + 8 + 1;
/// Bytes of both MACs at its end.
pub(super) const MACS: usize = 16 + 8;

/// What both ends of the target share.
pub(super) struct Keys {
    pub(super) device: DeviceKey,
    pub(super) gateway: GatewaySecret,
    pub(super) protection: Protection,
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = SimpleHmac::<Blake2s256>::new_from_slice(key).expect("HMAC takes any key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

impl Keys {
    fn mac(&self, label: &[u8], parts: &[&[u8]]) -> [u8; 16] {
        let mac = hmac(&hmac(self.device.expose(), &[label]), parts);
        *mac.first_chunk().expect("16 of 32 bytes")
    }

    fn name(&self) -> &'static str {
        match self.protection {
            Protection::NkPsk0 => "Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s",
            _ => "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s",
        }
    }

    /// One end of a handshake whose HELLO begins with these bytes.
    fn noise(&self, front: &[u8], initiator: bool) -> HandshakeState {
        let counter = &front[FRONT - 9..FRONT - 1];
        let psk = hmac(self.device.expose(), &[b"whimbrel psk", counter]);
        let prologue = [b"whimbrel 1", front].concat();
        let public = self.gateway.public();
        let ephemeral = [if initiator { 0x42 } else { 0x24 }; 32];
        let mut builder = Builder::new(self.name().parse().expect("a Noise name"));
        builder = builder.prologue(&prologue).and_then(|builder| builder.psk(0, &psk)).expect("a new builder");
        builder = builder.fixed_ephemeral_key_for_testing_only(&ephemeral);
        if self.protection == Protection::NkPsk0 {
            builder = match initiator {
                true => builder.remote_public_key(public.as_bytes()),
                false => builder.local_private_key(self.gateway.expose()),
            }
            .expect("a new builder");
        }
        let built = if initiator { builder.build_initiator() } else { builder.build_responder() };
        built.expect("everything that the pattern needs")
    }

    /// A HELLO with these terms.
    pub(super) fn hello(&self, counter: u64, terms: &[u8]) -> Vec<u8> {
        let (protection, id) = match self.protection {
            Protection::NkPsk0 => (1, self.gateway.public().id()),
            _ => (2, 0),
        };
        let mut hello = [&[0x80, 1, protection, 1, NAME], &counter.to_le_bytes()[..], &[id]].concat();
        let mut noise = self.noise(&hello, true);
        let mut sealed = vec![0; terms.len() + 48];
        let len = noise.write_message(terms, &mut sealed).expect("room for key and tag");
        hello.extend(&sealed[..len]);
        let mac1 = self.mac(b"whimbrel hello", &[&hello]);
        hello.extend(mac1);
        hello.extend([0; 8]);
        hello
    }

    /// The ACCEPT of a HELLO, with this payload.
    pub(super) fn accept(&self, hello: &[u8], payload: &[u8]) -> Vec<u8> {
        let (front, rest) = hello.split_at(FRONT);
        let (sealed, macs) = rest.split_at(rest.len() - MACS);
        let mut noise = self.noise(front, false);
        let mut buf = vec![0; hello.len().max(payload.len() + 48)];
        noise.read_message(sealed, &mut buf).expect("a HELLO of the device");
        let len = noise.write_message(payload, &mut buf).expect("room for key and tag");
        let mut accept = [&[0x90, 1], &macs[..8], &buf[..len]].concat();
        let mac = self.mac(b"whimbrel answer", &[&macs[..16], &accept]);
        accept.extend(mac);
        accept
    }

    /// Any other answer to a HELLO: a type, and what stands behind the echo.
    pub(super) fn answer(&self, hello: &[u8], kind: u8, body: &[u8]) -> Vec<u8> {
        let mac1 = &hello[hello.len() - MACS..][..16];
        let mut answer = [&[0x80 | (kind & 7) << 4, 1], &mac1[..8], body].concat();
        let mac = self.mac(b"whimbrel answer", &[mac1, &answer]);
        answer.extend(mac);
        answer
    }
}
