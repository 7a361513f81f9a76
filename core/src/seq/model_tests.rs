//! Both number spaces against integers so large that nothing wraps.

use super::*;
use proptest::prelude::*;

/// Of all numbers of 64 bits with these lowest bits, the one nearest to `expected`; of two, the higher.
fn nearest(truncated: u64, bits: u32, expected: u64) -> u64 {
    let window = 1i128 << bits;
    let turn = i128::from(expected) >> bits << bits;
    let candidates = [turn - window, turn, turn + window].map(|base| base + i128::from(truncated));
    let valid = candidates.into_iter().rev().filter(|candidate| (0..1 << 64).contains(candidate));
    valid.min_by_key(|candidate| (candidate - i128::from(expected)).abs()).unwrap() as u64
}

/// Any number, those near the ends and near the turns of every width more often.
fn numbers() -> impl Strategy<Value = u64> {
    let near = |base: u64| {
        (0..300u64, any::<bool>()).prop_map(
            move |(off, up)| {
                if up { base.wrapping_add(off) } else { base.wrapping_sub(off) }
            },
        )
    };
    prop_oneof![
        any::<u64>(),
        near(0),
        (1u32..64).prop_flat_map(move |bit| near(1 << bit)),
        (1u64..1000).prop_flat_map(move |turn| near(turn << 16)),
    ]
}

proptest! {
    #[test]
    fn packet_numbers_expand_to_the_nearest(truncated: u32, len in 1usize..5, largest in prop::option::of(numbers())) {
        let bits = 8 * len as u32;
        let truncated = truncated & (u64::MAX >> (64 - bits)) as u32;
        let largest = largest.map(PacketNumber::new);
        let expected = largest.map_or(0, |largest| largest.value() + 1);
        let got = PacketNumber::expand(truncated, len, largest);
        prop_assert_eq!(got, PacketNumber::new(nearest(truncated.into(), bits, expected)));
    }

    #[test]
    fn message_numbers_expand_to_the_nearest(truncated: u16, expected in numbers()) {
        let got = SeqNo::expand(truncated, SeqNo(expected));
        prop_assert_eq!(got.value(), nearest(truncated.into(), 16, expected));
        prop_assert_eq!(got.truncate(), truncated);
    }

    // RFC 9000 §17.1: more than twice the range between the packet and the largest acknowledged; and no byte more.
    #[test]
    fn a_packet_number_is_as_long_as_it_must_be(pn in numbers(), acked in prop::option::of(numbers())) {
        let acked = acked.filter(|acked| *acked < pn);
        let len = PacketNumber::new(pn).wire_len(acked.map(PacketNumber::new));
        let span = 2 * (i128::from(pn) - acked.map_or(-1, i128::from));
        prop_assert!((1..=4).contains(&len));
        prop_assert!(len == 4 || 1 << (8 * len) > span);
        prop_assert!(len == 1 || 1 << (8 * (len - 1)) <= span);
    }

    // The peer may have seen any packet from the one it acknowledged to the one just before.
    #[test]
    fn the_peer_rebuilds_what_was_sent(acked in prop::option::of(0..u64::MAX >> 1), ahead in 1u64..1 << 31, seen: u64) {
        let first = acked.map_or(0, |acked| acked + 1);
        let pn = PacketNumber::new(first + ahead - 1);
        let largest = match acked {
            Some(acked) => Some(acked + seen % ahead),
            None => (seen % ahead).checked_sub(1),
        };
        let len = pn.wire_len(acked.map(PacketNumber::new));
        let truncated = (pn.value() & (u64::MAX >> (64 - 8 * len))) as u32;
        prop_assert_eq!(PacketNumber::expand(truncated, len, largest.map(PacketNumber::new)), pn);
    }

    #[test]
    fn distances_are_those_of_integers(a in numbers(), b in numbers(), steps: u64) {
        let distance = i128::from(a) - i128::from(b);
        prop_assert_eq!(SeqNo(a).checked_distance(SeqNo(b)), u64::try_from(distance).ok());
        let sum = (i128::from(a) + i128::from(steps)).min(i128::from(u64::MAX));
        prop_assert_eq!(i128::from(SeqNo(a).saturating_add(steps).value()), sum);
        prop_assert_eq!(SeqNo(a).next().value(), a.wrapping_add(1));
        prop_assert_eq!(PacketNumber::new(a).next().value(), a.saturating_add(1).min(u64::MAX - 1));
    }
}
