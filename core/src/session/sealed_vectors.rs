//! The sealed vectors of `docs/PROTOCOL.md`, section 12.2, against this implementation.

extern crate std;
use std::{format, string::String, vec::Vec};

use crate::gate::PROLOGUE;
use crate::seal::noise::{Initiator, Responder};
use crate::seal::packet::SealedKeys;
use crate::seal::{Direction, mac};
use crate::wire::answer::{AnswerKind, emit_answer};
use crate::wire::vectors::{SEALED, hex, limits, offer, vector};
use crate::wire::{
    AcceptFields, AcceptedStream, Hello, LongHeader, LongType, Protection, RefuseCode, SealedAccept, ShortHeader,
    Writer, emit_ping, emit_prologue, emit_terms,
};
use crate::{
    ConnectionId, Delivery, DeviceId, DeviceKey, GatewayKeys, GatewaySecret, Instant, PacketNumber, Pattern, SeqNo,
    StreamEpoch,
};

const COUNTER: u64 = 3 << 32;
const COOKIE: [u8; 16] = counting(0xa0);
const RESET_SECRET: [u8; 32] = counting(0x80);

/// `first`, `first + 1`, ..
const fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = first + at as u8;
        at += 1;
    }
    bytes
}

fn key() -> DeviceKey {
    DeviceKey::new(counting(0x00))
}

fn gateway() -> GatewaySecret {
    GatewaySecret::new(counting(0x20))
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buf = [0; 400];
    let mut w = Writer::new(&mut buf);
    write(&mut w);
    w.written().to_vec()
}

/// What every vector must be.
struct Vectors {
    hello: Vec<u8>,
    with_cookie: Vec<u8>,
    accept: Vec<u8>,
    ping: Vec<u8>,
    next_phase: Vec<u8>,
    answers: [Vec<u8>; 3],
    reset: Vec<u8>,
}

fn vectors() -> Vectors {
    let device = DeviceId::new(&counting::<8>(0xc0)).unwrap();
    let prologue = written(|w| emit_prologue(Protection::NkPsk0, device, COUNTER, gateway().public().id(), w).unwrap());
    let psk = mac::handshake_psk(&key(), COUNTER);
    let public = gateway().public();
    let mut initiator =
        Initiator::new(Pattern::NkPsk0, Some(&public), &psk, counting(0x40), &[PROLOGUE, &prologue]).unwrap();
    let mut terms = written(|w| {
        let stream = offer(1, Delivery::Ordered, true, 0x0123_4567_89ab_cdef, 0, 0, 7);
        emit_terms(&ConnectionId::EMPTY, &limits(1200), [stream].into_iter(), w).unwrap();
    });
    let tag = initiator.seal_offer(&mut terms).unwrap();
    let mut hello = [&prologue[..], initiator.public(), &terms, &tag].concat();
    let mac1 = mac::hello_mac(&key(), &[&hello]);
    hello.extend(mac1);
    let with_cookie = [&hello[..], &mac::cookie_mac(&COOKIE, &hello)[..8]].concat();
    hello.extend([0; 8]);

    let mut opened = terms.clone();
    let responder = Responder::read(
        Pattern::NkPsk0,
        Some(&gateway()),
        &psk,
        &[PROLOGUE, &prologue],
        initiator.public(),
        &mut opened,
        &tag,
    );
    let mut accepting = responder.unwrap().accept(counting(0x60)).unwrap();
    let cid = ConnectionId::new(&[10, 11, 12, 13]).unwrap();
    let echo = u64::from_le_bytes(*mac1.first_chunk().unwrap());
    let fields = AcceptFields { echo, nonce: 0, cid, limits: limits(1452) };
    let stream = AcceptedStream {
        id: offer(1, Delivery::Ordered, true, 0, 0, 0, 0).id,
        epoch: StreamEpoch::new(5).unwrap(),
        next: SeqNo::ZERO,
        credit: SeqNo::new(64),
    };
    let reset_key = mac::reset_key(&RESET_SECRET, cid.as_bytes());
    let public = *accepting.public();
    let accept = written(|w| {
        let none = core::iter::empty();
        let payload = SealedAccept::emit(&fields, &public, &reset_key, [stream].into_iter(), none, w).unwrap();
        let tag = accepting.seal_accept(&mut w.written_mut()[payload.clone()]).unwrap();
        w.written_mut()[payload.end..].copy_from_slice(&tag);
        let mac = mac::answer_mac(&key(), &mac1, w.written());
        w.put(&mac).unwrap();
    });

    let mut keys = SealedKeys::new(accepting.keys(), Direction::ToGateway);
    let ping = sealed_ping(&mut keys, cid, 0);
    keys.update();
    let next_phase = sealed_ping(&mut keys, cid, 1);
    let kinds = [
        AnswerKind::Refuse { code: RefuseCode::Refused, lowest: 1, highest: 1 },
        AnswerKind::CounterLow { lowest: 4 << 32 },
        AnswerKind::Cookie(COOKIE),
    ];
    let answers = kinds.map(|kind| {
        written(|w| {
            emit_answer(echo, &kind, w).unwrap();
            let mac = mac::answer_mac(&key(), &mac1, w.written());
            w.put(&mac).unwrap();
        })
    });
    let reset = written(|w| {
        LongHeader::emit(LongType::Reset, w).unwrap();
        let tag = ping.last_chunk().unwrap();
        w.put(tag).unwrap();
        w.put(&mac::reset_mac(&reset_key, tag)).unwrap();
    });
    Vectors { hello, with_cookie, accept, ping, next_phase, answers, reset }
}

/// PING, in the phase of the keys.
fn sealed_ping(keys: &mut SealedKeys, cid: ConnectionId, pn: u64) -> Vec<u8> {
    let pn = PacketNumber::new(pn);
    let header = ShortHeader { key_phase: keys.phase(), ..ShortHeader::new(cid, pn, None) };
    let mut packet = written(|w| {
        header.emit(w).unwrap();
        emit_ping(w).unwrap();
        w.put(&[0; 16]).unwrap();
    });
    keys.seal(pn, header.len(), &mut packet).unwrap();
    packet
}

#[test]
fn every_sealed_vector_is_what_we_write() {
    let v = vectors();
    let [refuse, counter_low, cookie] = v.answers;
    let ours = [v.hello, v.with_cookie, v.accept, v.ping, v.next_phase, refuse, counter_low, cookie, v.reset];
    let wrong: String = SEALED
        .iter()
        .zip(&ours)
        .filter(|(name, bytes)| vector(name) != **bytes)
        .map(|(name, bytes)| format!("{name}: {}\n", hex(bytes)))
        .collect();
    assert!(wrong.is_empty(), "not what is written there:\n{wrong}");
}

// The same bytes, from the other side: what a gateway that knows the keys makes of them.
#[test]
fn the_gate_takes_the_vectors() {
    let (key, keys) = (key(), GatewayKeys::new(gateway(), RESET_SECRET));
    for name in ["sealed-hello", "sealed-hello-cookie"] {
        let bytes = vector(name);
        let hello = Hello::parse(&bytes).unwrap();
        let authentic = hello.claim().authenticate(&key).unwrap();
        assert_eq!(authentic.counter(), COUNTER);
        let mut terms = [0; 200];
        let (opened, len) = authentic.open(Pattern::NkPsk0, &keys, &mut terms).unwrap();
        let offer = crate::Offer::new(opened, &terms[..len]).unwrap();
        assert_eq!((offer.boot_epoch(), offer.streams().count()), (3, 1));
        let weighed = authentic.weigh(Instant::ZERO, COUNTER + 1, None, &mut terms);
        assert!(matches!(weighed, Some(crate::gate::Weighed::Answer { counter_low: true, .. })));
    }
    let mut buf = [0; 64];
    let len = crate::gate::reset(&vector("sealed-ping"), &keys, &mut buf);
    // A packet with nothing but a PING is not longer than its RESET.
    assert_eq!(len.map(|len| buf[..len].to_vec()), Some(vector("sealed-reset")));
}
