//! The rings against a list: whatever order packets are sent, acknowledged and lost in.

extern crate std;
use super::*;
use proptest::prelude::*;
use std::{vec, vec::Vec};

const PACKETS: usize = 5;
const CARRIED: usize = 7;

#[derive(Clone, Debug)]
enum Op {
    /// A packet with so many messages, and numbers left out before it.
    Send {
        messages: u8,
        skip: u64,
    },
    Acked(usize),
    Lost(usize),
    Prune,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0u8..4, 0u64..3).prop_map(|(messages, skip)| Op::Send { messages, skip }),
        3 => (0..PACKETS).prop_map(Op::Acked),
        2 => (0..PACKETS).prop_map(Op::Lost),
        1 => Just(Op::Prune),
    ];
    prop::collection::vec(op, 1..80)
}

/// A packet as the list has it.
#[derive(Clone, Debug)]
struct Entry {
    pn: u64,
    fate: Fate,
    slots: Vec<u16>,
}

fn check(rings: &SentPackets<'_>, list: &[Entry], next: u64) {
    assert_eq!(rings.len(), list.len());
    assert!(rings.get(list.len()).is_none());
    for (i, entry) in list.iter().enumerate() {
        let packet = rings.get(i).unwrap();
        assert_eq!((packet.pn(PacketNumber::new(next)).value(), packet.fate), (entry.pn, entry.fate));
        let slots: Vec<u16> = (0..).map_while(|j| rings.carried(packet, j)).map(|carried| carried.slot).collect();
        assert_eq!(slots, entry.slots);
        for pn in [entry.pn - 1, entry.pn, entry.pn + 1] {
            let naive = list.iter().filter(|entry| entry.pn < pn).count();
            assert_eq!(rings.position(PacketNumber::new(pn)), naive);
        }
    }
    let used: usize = list.iter().map(|entry| entry.slots.len()).sum();
    assert_eq!(rings.carried_room(), CARRIED - used);
}

/// Forgets from the front of the list what `forget` names.
fn prune(list: &mut Vec<Entry>, forget: impl Fn(&Entry) -> bool) {
    let kept = list.iter().position(|entry| !forget(entry)).unwrap_or(list.len());
    list.drain(..kept);
}

proptest! {
    // The numbers cross 2^32: packets remember the lowest 32 bits.
    #[test]
    fn the_rings_are_a_list(ops in ops(), first in (1u64 << 32) - 60..(1 << 32) + 5) {
        let (mut state, mut packets) = (SentState::default(), vec![SentPacket::EMPTY; PACKETS]);
        let mut carried = vec![Carried::EMPTY; CARRIED];
        let mut rings = SentPackets { state: &mut state, packets: &mut packets, carried: &mut carried };
        let (mut list, mut next, mut slot) = (Vec::<Entry>::new(), first, 0);
        for op in ops {
            match op {
                Op::Send { messages, skip } => {
                    prune(&mut list, |entry| entry.fate == Fate::Acked);
                    if list.len() == PACKETS {
                        prune(&mut list, |entry| entry.fate != Fate::InFlight);
                    }
                    prop_assert_eq!(rings.reserve(), list.len() < PACKETS);
                    check(&rings, &list, next);
                    if list.len() == PACKETS {
                        continue;
                    }
                    next += skip;
                    let messages = usize::from(messages).min(rings.carried_room());
                    let slots: Vec<u16> = (slot..).take(messages).collect();
                    slot += messages as u16;
                    slots.iter().for_each(|slot| rings.push_carried(Carried { slot: *slot, generation: 0 }));
                    let (pn, control) = (PacketNumber::new(next), Control::default());
                    rings.push(SentPacket::new(pn, Instant::ZERO, 100, messages as u8, None, control));
                    list.push(Entry { pn: next, fate: Fate::InFlight, slots });
                    next += 1;
                }
                Op::Acked(i) => {
                    if let Some(entry) = list.get_mut(i) {
                        entry.fate = Fate::Acked;
                        rings.get_mut(i).unwrap().fate = Fate::Acked;
                    }
                }
                Op::Lost(i) => {
                    if let Some(entry) = list.get_mut(i).filter(|entry| entry.fate == Fate::InFlight) {
                        entry.fate = Fate::Lost;
                        rings.get_mut(i).unwrap().fate = Fate::Lost;
                    }
                }
                Op::Prune => {
                    prune(&mut list, |entry| entry.fate == Fate::Acked);
                    rings.prune(|_| false);
                }
            }
            check(&rings, &list, next);
        }
    }
}
