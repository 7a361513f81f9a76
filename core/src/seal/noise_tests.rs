//! The handshakes against published vectors, and against snow, an independent implementation, in both roles.

extern crate std;

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::seal::aead;

static PSK: Secret = Secret::new([1; 32]);

const PATTERNS: [Pattern; 2] = [Pattern::NkPsk0, Pattern::NnPsk0];

fn protocol(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::NkPsk0 => "Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s",
        Pattern::NnPsk0 => "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s",
    }
}

/// A message as Noise has it: `e`, payload, tag.
fn message(e: &[u8; 32], payload: &[u8], tag: [u8; 16]) -> Vec<u8> {
    [&e[..], payload, &tag].concat()
}

fn split_message(message: &[u8]) -> Option<([u8; 32], Vec<u8>, [u8; 16])> {
    let (e, rest) = message.split_first_chunk()?;
    let (payload, tag) = rest.split_last_chunk()?;
    Some((*e, payload.to_vec(), *tag))
}

/// A transport message: payload and tag, with nothing beside them.
fn transport(key: &Secret, n: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    let tag = aead::seal(key, n, &[], &mut bytes).unwrap();
    bytes.extend(tag);
    bytes
}

fn open_transport(key: &Secret, n: u64, message: &[u8]) -> Option<Vec<u8>> {
    let (payload, tag) = message.split_last_chunk()?;
    let mut payload = payload.to_vec();
    aead::open(key, n, &[], &mut payload, tag).then_some(payload)
}

fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// One published vector: fields and values, in the file's order.
struct Vector<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Vector<'a> {
    fn parse_all(text: &'a str) -> Vec<Self> {
        let mut vectors = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (field, value) = line.split_once(' ').unwrap();
            if field == "protocol_name" {
                vectors.push(Self(Vec::new()));
            }
            vectors.last_mut().unwrap().0.push((field, value));
        }
        vectors
    }

    fn all<'b>(&'b self, field: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        self.0.iter().filter(move |(name, _)| *name == field).map(|(_, value)| *value)
    }

    fn name(&self) -> &'a str {
        self.all("protocol_name").next().unwrap()
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        hex(self.all(field).next().unwrap())
    }

    fn key(&self, field: &str) -> [u8; 32] {
        self.bytes(field).try_into().unwrap()
    }

    fn has(&self, field: &str) -> bool {
        self.all(field).next().is_some()
    }

    /// Payloads, each with its message.
    fn messages(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.all("payload").map(hex).zip(self.all("ciphertext").map(hex)).collect()
    }
}

#[test]
fn published_vectors() {
    let vectors = Vector::parse_all(include_str!("../../tests/vectors/noise.txt"));
    for pattern in PATTERNS {
        let vector = vectors.iter().find(|vector| vector.name() == protocol(pattern)).unwrap();
        check_vector(pattern, vector);
    }
    assert_eq!(vectors.len(), PATTERNS.len());
}

fn check_vector(pattern: Pattern, vector: &Vector) {
    let messages = vector.messages();
    assert_eq!(messages.len(), 6);
    let [offer, accept, transports @ ..] = &messages[..] else { panic!("too few messages") };
    let gateway = vector.has("init_remote_static").then(|| GatewayPublic::new(vector.key("init_remote_static")));
    let secret = vector.has("resp_static").then(|| GatewaySecret::new(vector.key("resp_static")));
    assert_eq!(secret.as_ref().map(GatewaySecret::public), gateway);
    let handshake_hash = vector.key("handshake_hash");

    let prologue = vector.bytes("init_prologue");
    let (ours, theirs) = prologue.split_at(3);
    let mut initiator = Initiator::new(
        pattern,
        gateway.as_ref(),
        &Secret::new(vector.key("init_psk")),
        vector.key("init_ephemeral"),
        &[ours, theirs],
    )
    .unwrap();
    let mut bytes = offer.0.clone();
    let tag = initiator.seal_offer(&mut bytes).unwrap();
    assert_eq!(message(initiator.public(), &bytes, tag), offer.1);

    let (e, mut bytes, tag) = split_message(&offer.1).unwrap();
    let psk = Secret::new(vector.key("resp_psk"));
    let prologue = vector.bytes("resp_prologue");
    let responder = Responder::read(pattern, secret.as_ref(), &psk, &[&prologue], &e, &mut bytes, &tag).unwrap();
    assert_eq!(bytes, offer.0);
    let mut accepting = responder.accept(vector.key("resp_ephemeral")).unwrap();
    let mut bytes = accept.0.clone();
    let tag = accepting.seal_accept(&mut bytes).unwrap();
    assert_eq!(message(accepting.public(), &bytes, tag), accept.1);
    assert_eq!(accepting.message.after().unwrap().hash, handshake_hash);

    let (e, mut bytes, tag) = split_message(&accept.1).unwrap();
    let finished = initiator.finish(&e, &mut bytes, &tag).unwrap();
    assert_eq!(bytes, accept.0);
    assert_eq!(finished.hash, handshake_hash);

    let (device, gateway) = (finished.split(), accepting.keys());
    for (at, (payload, ciphertext)) in transports.iter().enumerate() {
        let n = (at / 2) as u64;
        let (sender, receiver) = match at % 2 {
            0 => (&device.to_gateway, &gateway.to_gateway),
            _ => (&gateway.to_device, &device.to_device),
        };
        assert_eq!(&transport(sender, n, payload), ciphertext);
        assert_eq!(open_transport(receiver, n, ciphertext).as_ref(), Some(payload));
    }
}

/// What both ends are given, and what they say.
#[derive(Clone, Debug)]
struct Case {
    pattern: Pattern,
    secret: [u8; 32],
    psk: [u8; 32],
    ephemeral: [u8; 32],
    prologue: Vec<u8>,
    payloads: [Vec<u8>; 4],
}

impl Case {
    fn gateway(&self) -> GatewaySecret {
        GatewaySecret::new(self.secret)
    }

    fn initiator(&self) -> Initiator {
        let public = self.gateway().public();
        Initiator::new(self.pattern, Some(&public), &Secret::new(self.psk), self.ephemeral, &[&self.prologue]).unwrap()
    }

    fn respond(&self, offer: &[u8]) -> Result<(Responder, Vec<u8>), SealError> {
        let (e, mut payload, tag) = split_message(offer).unwrap();
        let secret = self.gateway();
        let responder = Responder::read(
            self.pattern,
            Some(&secret),
            &Secret::new(self.psk),
            &[&self.prologue],
            &e,
            &mut payload,
            &tag,
        )?;
        Ok((responder, payload))
    }

    fn snow(&self, initiates: bool) -> snow::HandshakeState {
        let builder = snow::Builder::new(protocol(self.pattern).parse().unwrap());
        let builder = builder.psk(0, &self.psk).unwrap().prologue(&self.prologue).unwrap();
        let public = self.gateway().public();
        match (self.pattern, initiates) {
            (Pattern::NkPsk0, true) => builder.remote_public_key(public.as_bytes()).unwrap().build_initiator(),
            (Pattern::NkPsk0, false) => builder.local_private_key(&self.secret).unwrap().build_responder(),
            (Pattern::NnPsk0, true) => builder.build_initiator(),
            (Pattern::NnPsk0, false) => builder.build_responder(),
        }
        .unwrap()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let payload = || prop::collection::vec(any::<u8>(), 0..300);
    (
        prop::sample::select(&PATTERNS[..]),
        any::<[[u8; 32]; 3]>(),
        prop::collection::vec(any::<u8>(), 0..100),
        [payload(), payload(), payload(), payload()],
    )
        .prop_map(|(pattern, [secret, psk, ephemeral], prologue, payloads)| Case {
            pattern,
            secret,
            psk,
            ephemeral,
            prologue,
            payloads,
        })
}

/// What a man in the middle does, or what was provisioned wrongly.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Psk,
    Static,
    Prologue,
    Flip(prop::sample::Index, u8),
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Psk),
        Just(Fault::Static),
        Just(Fault::Prologue),
        (any::<prop::sample::Index>(), 0u8..8).prop_map(|(at, bit)| Fault::Flip(at, bit)),
    ]
}

/// The case as the other end has it. A wrong static key matters in the pattern that has one.
fn damage(case: &Case, fault: Fault) -> Case {
    let mut case = case.clone();
    match fault {
        // Bits that X25519 heeds (RFC 7748 section 5).
        Fault::Static if case.pattern == Pattern::NkPsk0 => case.secret[1] ^= 1,
        Fault::Psk | Fault::Static => case.psk[31] ^= 0x80,
        Fault::Prologue => case.prologue.push(0),
        Fault::Flip(..) => {}
    }
    case
}

fn flip(message: &mut [u8], fault: Fault) {
    if let Fault::Flip(at, bit) = fault {
        message[at.index(message.len())] ^= 1 << bit;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn snow_is_the_gateway(case in cases()) {
        let [offer, accept, up, down] = &case.payloads;
        let mut gateway = case.snow(false);
        let mut buf = vec![0; 1000];

        let mut initiator = case.initiator();
        let mut bytes = offer.clone();
        let tag = initiator.seal_offer(&mut bytes).unwrap();
        let sent = message(initiator.public(), &bytes, tag);
        let len = gateway.read_message(&sent, &mut buf).unwrap();
        prop_assert_eq!(&buf[..len], &offer[..]);

        // Sent again, it is the same message.
        let mut again = offer.clone();
        let tag = initiator.seal_offer(&mut again).unwrap();
        prop_assert_eq!(message(initiator.public(), &again, tag), sent);

        let len = gateway.write_message(accept, &mut buf).unwrap();
        let (e, mut bytes, tag) = split_message(&buf[..len]).unwrap();
        // A forged one before it changes nothing.
        let mut forged = tag;
        forged[0] ^= 1;
        let sealed = bytes.clone();
        prop_assert_eq!(initiator.read_accept(&e, &mut bytes, &forged).err(), Some(SealError::NotAuthentic));
        prop_assert_eq!(&bytes, &sealed);
        let keys = initiator.read_accept(&e, &mut bytes, &tag).unwrap();
        prop_assert_eq!(&bytes, accept);

        let mut gateway = gateway.into_transport_mode().unwrap();
        let len = gateway.read_message(&transport(&keys.to_gateway, 0, up), &mut buf).unwrap();
        prop_assert_eq!(&buf[..len], &up[..]);
        let len = gateway.write_message(down, &mut buf).unwrap();
        prop_assert_eq!(&open_transport(&keys.to_device, 0, &buf[..len]).unwrap(), down);

        // And after REKEY.
        let next = aead::rekey(&keys.to_gateway).unwrap();
        gateway.rekey_incoming();
        let len = gateway.read_message(&transport(&next, 1, up), &mut buf).unwrap();
        prop_assert_eq!(&buf[..len], &up[..]);
    }

    #[test]
    fn snow_is_the_device(case in cases()) {
        let [offer, accept, up, down] = &case.payloads;
        let mut device = case.snow(true);
        let mut buf = vec![0; 1000];

        let len = device.write_message(offer, &mut buf).unwrap();
        let (responder, payload) = case.respond(&buf[..len]).unwrap();
        prop_assert_eq!(&payload, offer);

        let mut accepting = responder.accept(case.ephemeral).unwrap();
        let mut bytes = accept.clone();
        let tag = accepting.seal_accept(&mut bytes).unwrap();
        let sent = message(accepting.public(), &bytes, tag);
        let mut again = accept.clone();
        let tag = accepting.seal_accept(&mut again).unwrap();
        prop_assert_eq!(message(accepting.public(), &again, tag), sent.clone());
        let len = device.read_message(&sent, &mut buf).unwrap();
        prop_assert_eq!(&buf[..len], &accept[..]);

        let keys = accepting.keys();
        let mut device = device.into_transport_mode().unwrap();
        let len = device.write_message(up, &mut buf).unwrap();
        prop_assert_eq!(&open_transport(&keys.to_gateway, 0, &buf[..len]).unwrap(), up);
        let len = device.read_message(&transport(&keys.to_device, 0, down), &mut buf).unwrap();
        prop_assert_eq!(&buf[..len], &down[..]);
    }

    /// Whatever is wrong with a message from snow, it does not open, and leaves the bytes as they were.
    #[test]
    fn a_fault_in_what_snow_says_is_noticed(case in cases(), fault in faults()) {
        let [offer, accept, ..] = &case.payloads;
        let mut buf = vec![0; 1000];

        let len = damage(&case, fault).snow(true).write_message(offer, &mut buf).unwrap();
        flip(&mut buf[..len], fault);
        let (e, mut payload, tag) = split_message(&buf[..len]).unwrap();
        let (secret, psk, sealed) = (case.gateway(), Secret::new(case.psk), payload.clone());
        let read = Responder::read(case.pattern, Some(&secret), &psk, &[&case.prologue], &e, &mut payload, &tag);
        prop_assert_eq!(read.err(), Some(SealError::NotAuthentic));
        prop_assert_eq!(payload, sealed);

        // An answer changed on its way.
        let mut initiator = case.initiator();
        let mut bytes = offer.clone();
        let tag = initiator.seal_offer(&mut bytes).unwrap();
        let mut gateway = case.snow(false);
        gateway.read_message(&message(initiator.public(), &bytes, tag), &mut buf).unwrap();
        let len = gateway.write_message(accept, &mut buf).unwrap();
        if let Fault::Flip(..) = fault {
            flip(&mut buf[..len], fault);
            let (e, mut payload, tag) = split_message(&buf[..len]).unwrap();
            let sealed = payload.clone();
            prop_assert_eq!(initiator.read_accept(&e, &mut payload, &tag).err(), Some(SealError::NotAuthentic));
            prop_assert_eq!(payload, sealed);
        }
    }

    /// The other way about: snow refuses what we say when it was told something else, or when it was changed.
    #[test]
    fn snow_notices_a_fault_in_what_we_say(case in cases(), fault in faults()) {
        let [offer, accept, ..] = &case.payloads;
        let mut buf = vec![0; 1000];

        let mut initiator = case.initiator();
        let mut bytes = offer.clone();
        let tag = initiator.seal_offer(&mut bytes).unwrap();
        let mut sent = message(initiator.public(), &bytes, tag);
        flip(&mut sent, fault);
        prop_assert!(damage(&case, fault).snow(false).read_message(&sent, &mut buf).is_err());

        let mut device = case.snow(true);
        let len = device.write_message(offer, &mut buf).unwrap();
        let mut accepting = case.respond(&buf[..len]).unwrap().0.accept(case.ephemeral).unwrap();
        let mut bytes = accept.clone();
        let tag = accepting.seal_accept(&mut bytes).unwrap();
        let mut sent = message(accepting.public(), &bytes, tag);
        if let Fault::Flip(..) = fault {
            flip(&mut sent, fault);
            prop_assert!(device.read_message(&sent, &mut buf).is_err());
        }
    }
}

/// The canonical points of small order (RFC 7748 section 6.1 refuses the zeros they lead to): 0, 1, p - 1, p, p + 1.
fn weak_keys() -> Vec<[u8; 32]> {
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let near_p = |first| {
        let mut key = p;
        key[0] = first;
        key
    };
    let mut one = [0; 32];
    one[0] = 1;
    vec![[0; 32], one, near_p(0xec), near_p(0xed), near_p(0xee)]
}

#[test]
fn keys_of_small_order_are_refused() {
    let good = GatewaySecret::new([5; 32]);
    for weak in weak_keys() {
        let weak_gateway = GatewayPublic::new(weak);
        let refused = Initiator::new(Pattern::NkPsk0, Some(&weak_gateway), &PSK, [2; 32], &[]);
        assert_eq!(refused.err(), Some(SealError::WeakKey));

        let refused = Responder::read(Pattern::NkPsk0, Some(&good), &PSK, &[], &weak, &mut [], &[0; 16]);
        assert_eq!(refused.err(), Some(SealError::WeakKey));

        let mut initiator = Initiator::new(Pattern::NnPsk0, None, &PSK, [2; 32], &[]).unwrap();
        initiator.seal_offer(&mut []).unwrap();
        assert_eq!(initiator.read_accept(&weak, &mut [], &[0; 16]).err(), Some(SealError::WeakKey));

        // In NN the gateway meets the device's key only when it answers; who sends this one knows the psk.
        let mut state = begin(None, &PSK, &[]);
        mix_ephemeral(&mut state, &weak);
        let tag = Sealing::new(state).seal(&mut []).unwrap();
        let read = Responder::read(Pattern::NnPsk0, None, &PSK, &[], &weak, &mut [], &tag).unwrap();
        assert_eq!(read.accept([3; 32]).err(), Some(SealError::WeakKey));
    }
}

#[test]
fn the_pattern_with_a_gateway_key_needs_one() {
    let refused = Initiator::new(Pattern::NkPsk0, None, &PSK, [2; 32], &[]);
    assert_eq!(refused.err(), Some(SealError::NoGatewayKey));
    let refused = Responder::read(Pattern::NkPsk0, None, &PSK, &[], &[9; 32], &mut [], &[0; 16]);
    assert_eq!(refused.err(), Some(SealError::NoGatewayKey));
}

#[test]
fn one_key_never_seals_two_payloads() {
    let mut initiator = Initiator::new(Pattern::NnPsk0, None, &PSK, [2; 32], &[]).unwrap();
    let (mut first, mut other) = (*b"temperature", *b"temperaturf");
    let tag = initiator.seal_offer(&mut first).unwrap();
    assert_eq!(initiator.seal_offer(&mut other), None);
    assert_eq!(other, [0; 11]);
    let mut again = *b"temperature";
    assert_eq!(initiator.seal_offer(&mut again), Some(tag));
    assert_eq!(again, first);
}

#[test]
fn an_answer_to_nothing_is_none() {
    let initiator = Initiator::new(Pattern::NnPsk0, None, &PSK, [2; 32], &[]).unwrap();
    assert_eq!(initiator.read_accept(&[9; 32], &mut [], &[0; 16]).err(), Some(SealError::NotAuthentic));
}
