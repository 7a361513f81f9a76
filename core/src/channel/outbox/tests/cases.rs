//! Single cases, in the model's world.

use super::*;

/// Short messages on the ordered stream, so many of them sent, each in a packet of its own.
fn ordered(messages: u8, sent: u8) -> (Model, Vec<Carried>) {
    let mut model = Model::new(false);
    model.streams[1].credit = SeqNo::new(100);
    (0..messages).for_each(|_| model.push(1, 3, Priority::Normal, None));
    (0..sent).for_each(|_| model.send(1, false));
    let carried = model.packets.iter().flat_map(|packet| packet.carried.clone()).collect();
    (model, carried)
}

#[test]
fn a_packet_repeats_what_is_in_flight_before_it() {
    let (mut model, sent) = ordered(6, 4);
    let new = model.outbox().next_to_send().unwrap().slot;
    let first = |model: &mut Model, count| model.outbox().repeat_from(new, count);
    assert_eq!(first(&mut model, 0), new);
    assert_eq!(first(&mut model, 2), sent[2].slot);
    assert_eq!(first(&mut model, 9), sent[0].slot);
    // What is due goes by itself, and what lies before it is not repeated.
    model.outbox().on_lost(sent[1]);
    assert_eq!(first(&mut model, 9), sent[2].slot);
    let outbox = model.outbox();
    assert_eq!(outbox.before(sent[2].slot), Some((sent[1].slot, 3)));
    assert_eq!(outbox.before(sent[0].slot), None);
    assert_eq!(outbox.following(sent[2].slot), sent[3].slot);
    let repeating: Vec<bool> = (0..STREAMS).map(|stream| outbox.repeats(stream)).collect();
    assert_eq!(repeating, [true, true, true, false, false]);
}

// RFC 9002 §6.2.4: a probe carries the lowest that is missing; what lies behind a gap the peer cannot take yet.
#[test]
fn a_probe_goes_from_the_lowest_to_the_first_gap() {
    let (mut model, sent) = ordered(6, 5);
    model.outbox().on_acked(sent[1]);
    model.outbox().give_up(sent[3].slot, gap::Reason::Expired);
    let outbox = model.outbox();
    let probed = core::iter::successors(outbox.next_missing(1, NONE), |slot| outbox.next_missing(1, *slot));
    assert_eq!(probed.collect::<Vec<_>>(), [sent[0].slot, sent[2].slot]);
    // With the gap in front the peer hears of it in the same packet.
    (0..3).for_each(|at| model.outbox().on_acked(sent[at]));
    let outbox = model.outbox();
    let probed = core::iter::successors(outbox.next_missing(1, NONE), |slot| outbox.next_missing(1, *slot));
    assert_eq!(probed.collect::<Vec<_>>(), [sent[4].slot]);
}

// A gap that was answered for in part meets, in a new session, one that was not.
#[test]
fn what_was_settled_in_an_old_session_is_not_settled_again() {
    let mut model = Model::new(false);
    model.streams[0].credit = SeqNo::new(100);
    (0..3).for_each(|_| model.push(0, 3, Priority::Normal, None));
    (0..3).for_each(|_| model.send(1, false));
    let sent: Vec<_> = model.packets.iter().flat_map(|packet| packet.carried.clone()).collect();
    let mut outbox = model.outbox();
    outbox.on_acked(sent[0]);
    outbox.give_up(sent[1].slot, gap::Reason::Expired);
    let point = outbox.forward_point(0).unwrap();
    assert_eq!(point, SeqNo::new(2));
    outbox.on_forward_sent(0, point);
    outbox.give_up(sent[2].slot, gap::Reason::Expired);
    outbox.on_forwarded(0, point, 1);
    assert_eq!((outbox.state.ledger.expired, outbox.state.pending), (1, 2));
    let takes = Takes { message: 200, whole: PIECE, whole_expiring: PIECE, fragment: PIECE };
    outbox.restart(0, SeqNo::ZERO, &takes);
    let again = outbox.next_to_send().unwrap().slot;
    outbox.on_sent(again, PacketNumber::new(0));
    outbox.give_up(again, gap::Reason::Expired);
    let point = outbox.forward_point(0).unwrap();
    outbox.on_forward_sent(0, point);
    outbox.on_forwarded(0, point, 3);
    assert_eq!((outbox.state.ledger.expired, outbox.state.pending), (3, 0));
}

// Numbers are compared within 2^31 of each other: what was never said lies further back than that in the end.
#[test]
fn a_gap_is_told_after_any_number_of_messages_without_one() {
    for first in [0, (1 << 31) + 9, (1 << 32) - 1, 1 << 32, u64::MAX >> 1] {
        let mut model = Model::new(false);
        (model.streams[1].next, model.streams[1].credit) = (SeqNo::new(first), SeqNo::new(u64::MAX));
        let terms = Terms { expires: NEVER, priority: Priority::Normal, whole: PIECE, fragment: PIECE };
        let mut outbox = model.outbox();
        outbox.push(1, &terms, b"x").unwrap();
        let slot = outbox.next_to_send().unwrap().slot;
        outbox.on_sent(slot, PacketNumber::new(0));
        outbox.give_up(slot, gap::Reason::Expired);
        let point = outbox.forward_point(1);
        assert_eq!(point, Some(SeqNo::new(first + 1)));
        outbox.on_forward_sent(1, SeqNo::new(first + 1));
        assert_eq!(outbox.forward_point(1), None);
        outbox.on_forward_lost();
        assert_eq!(outbox.forward_point(1), point);
        outbox.on_forward_sent(1, SeqNo::new(first + 1));
        outbox.on_forwarded(1, SeqNo::new(first + 1), 1);
        assert_eq!((outbox.state.ledger.expired, outbox.state.pending, outbox.has_gaps()), (1, 0, false));
    }
}

// A peer that grants credit without end and never answers FORWARD leaves everything in doubt: all of it counts.
#[test]
fn no_more_is_accepted_than_can_be_counted() {
    let mut model = Model::new(false);
    model.streams[1].credit = SeqNo::new(u64::MAX);
    let terms = Terms { expires: NEVER, priority: Priority::Normal, whole: PIECE, fragment: PIECE };
    let mut outbox = model.outbox();
    for pn in 0..u64::from(u16::MAX) {
        outbox.push(1, &terms, b"x").unwrap();
        let slot = outbox.next_to_send().unwrap().slot;
        outbox.on_sent(slot, PacketNumber::new(pn));
        outbox.give_up(slot, gap::Reason::Expired);
    }
    assert_eq!(outbox.push(1, &terms, b"x"), Err(SendError::Full));
    let point = outbox.forward_point(1).unwrap();
    outbox.on_forward_sent(1, point);
    outbox.on_forwarded(1, point, 9);
    assert_eq!((outbox.state.pending, outbox.state.ledger.expired), (0, 9));
    outbox.push(1, &terms, b"x").unwrap();
}

#[test]
fn streams_are_served_in_turn() {
    let mut model = Model::new(false);
    for stream in [0, 1, 2, 0, 1, 2] {
        model.streams[usize::from(stream)].credit = SeqNo::new(9);
        model.push(stream, 1, Priority::Normal, None);
    }
    let mut served = Vec::new();
    while let Some(slot) = model.outbox().next_to_send().map(|next| next.slot) {
        let stream = model.messages[usize::from(slot)].stream;
        model.send(1, true);
        model.state.turn = stream;
        served.push(stream);
    }
    assert_eq!(served, [1, 2, 0, 1, 2, 0]);
    // But the most urgent first, whoever's turn it is.
    model.push(0, 1, Priority::High, None);
    model.push(1, 1, Priority::Normal, None);
    let slot = model.outbox().next_to_send().unwrap().slot;
    assert_eq!(model.messages[usize::from(slot)].stream, 0);
}

proptest! {
    #[test]
    fn the_longest_is_the_longest_that_fits(reserved: bool, high: bool, whole in 1usize..500, fragment in 1usize..100) {
        let mut model = Model::new(reserved);
        let priority = if high { Priority::High } else { Priority::Normal };
        let terms = Terms { expires: NEVER, priority, whole, fragment: fragment.min(whole) };
        let reserve = if high { (0, 0) } else { model.state.reserve };
        let (entries, blocks) = (ENTRIES - usize::from(reserve.0), BLOCKS - usize::from(reserve.1));
        let fits = |len: &usize| {
            let piece = if *len > whole { terms.fragment } else { whole };
            let payload = vec![0; *len];
            let pieces: Vec<usize> = payload.chunks(piece).map(|part| blocks_of(part.len())).collect();
            pieces.len() <= entries && pieces.iter().sum::<usize>() <= blocks
        };
        let longest = (0..900).filter(fits).max().unwrap();
        prop_assert_eq!(model.outbox().longest(&terms), longest);
        prop_assert!(model.outbox().push(1, &terms, &vec![1; longest]).is_ok());
        let more = Model::new(reserved).outbox().push(1, &terms, &vec![1; longest + 1]);
        prop_assert_eq!(more, Err(SendError::TooLong { max: longest }));
    }
}
