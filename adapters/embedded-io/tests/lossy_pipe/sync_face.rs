use crate::peers::{self, BUFFER, MESSAGES, Store, TIME_MAX};
use crate::pipe::Pipe;
use whimbrel_core::{CloseReason, Instant, PathId};
use whimbrel_embedded_io::{Framer, StreamError};

/// Runs until everything is stored and committed, one turn of both main loops a millisecond. Returns the bytes
/// damaged on the way, and the frames dropped for it.
fn run(seed: u64, one_in: u32) -> (u32, u32) {
    let (mut up, mut down) = (Pipe::new(2 * seed, one_in), Pipe::new(2 * seed + 1, one_in));
    let mut buffers = [[0; BUFFER]; 2];
    let [device_framer, gateway_framer] = &mut buffers;
    let (mut device_framer, mut gateway_framer) = (peers::framer(device_framer), peers::framer(gateway_framer));
    let (mut device, mut gateway) = (peers::device(), peers::gateway());
    let (mut next, mut store) = (0, Store::default());
    for millis in 0..TIME_MAX {
        let now = Instant::from_millis(millis);
        device_framer.poll_ingress(now, &mut down, &mut device, |_| panic!("nothing is sent this way")).unwrap();
        peers::offer(now, &mut device, &mut next);
        device_framer.poll_egress_ready(now, &mut up, &mut device).unwrap();
        gateway_framer.poll_ingress(now, &mut up, &mut gateway, |message| store.take(message)).unwrap();
        if let Some(session) = &mut gateway.session {
            store.commit(now, session);
        }
        gateway_framer.poll_egress_ready(now, &mut down, &mut gateway).unwrap();
        while device.poll_event().is_some() {}
        if next == MESSAGES && device.queued() == 0 {
            assert_eq!(store.next, MESSAGES);
            let dropped = [device_framer.dropped(), gateway_framer.dropped()];
            let dropped = dropped.iter().map(|dropped| dropped.overlong + dropped.bad_crc + dropped.bad_cobs).sum();
            return (up.damaged() + down.damaged(), dropped);
        }
    }
    panic!("seed {seed}: {} of {MESSAGES} stored, {} queued", store.next, device.queued());
}

#[test]
fn everything_arrives_once_and_in_order() {
    for seed in 0..8 {
        let (damaged, dropped) = run(seed, 900);
        assert!(damaged > 20 && dropped > 10, "seed {seed}: the line was too good: {damaged} {dropped}");
    }
}

#[test]
fn a_good_line_drops_nothing() {
    assert_eq!(run(1, 0), (0, 0));
}

#[test]
fn the_end_of_the_stream_is_an_error() {
    let mut pipe = Pipe::new(1, 0);
    let mut buffer = [0; BUFFER];
    pipe.close();
    let ended = peers::framer(&mut buffer).poll_ingress(Instant::ZERO, &mut pipe, &mut peers::device(), |_| ());
    assert_eq!(ended, Err(StreamError::Ended));
}

#[test]
fn a_writer_that_is_not_ready_keeps_the_frame_whole() {
    let mut pipe = Pipe::new(1, 0);
    let (mut device_buffer, mut gateway_buffer) = ([0; BUFFER], [0; BUFFER]);
    let (mut device, mut framer) = (peers::device(), peers::framer(&mut device_buffer));
    let (mut gateway, mut peer) = (peers::gateway(), peers::framer(&mut gateway_buffer));
    // What a peer before us left in the line, up to three bytes below its capacity.
    embedded_io::Write::write_all(&mut pipe, &[0x55; 93]).unwrap();
    assert_eq!(framer.poll_egress_ready(Instant::ZERO, &mut pipe, &mut device), Ok(false));
    assert_eq!(framer.poll_at(Instant::ZERO, &mut device), Some(Instant::ZERO));
    peer.poll_ingress(Instant::ZERO, &mut pipe, &mut gateway, |_| ()).unwrap();
    assert!(gateway.session.is_none());
    assert_eq!(framer.poll_egress_ready(Instant::ZERO, &mut pipe, &mut device), Ok(true));
    peer.poll_ingress(Instant::ZERO, &mut pipe, &mut gateway, |_| ()).unwrap();
    assert!(gateway.session.is_some());
    // The delimiter before the frame ended what was there before: that alone is dropped.
    let dropped = peer.dropped();
    assert_eq!(dropped.overlong + dropped.bad_crc + dropped.bad_cobs, 1);
}

#[test]
fn another_line_begins_with_a_whole_frame() {
    let (mut old, mut new) = (Pipe::new(1, 0), Pipe::new(2, 0));
    let (mut device_buffer, mut gateway_buffer) = ([0; BUFFER], [0; BUFFER]);
    let (mut device, mut framer) = (peers::device(), peers::framer(&mut device_buffer));
    let (mut gateway, mut peer) = (peers::gateway(), peers::framer(&mut gateway_buffer));
    embedded_io::Write::write_all(&mut old, &[0x55; 93]).unwrap();
    assert_eq!(framer.poll_egress_ready(Instant::ZERO, &mut old, &mut device), Ok(false));
    framer.reset();
    // The HELLO that was half written is lost, and comes again.
    let again = device.poll_timeout().unwrap();
    assert_eq!(framer.poll_egress_ready(again, &mut new, &mut device), Ok(true));
    peer.poll_ingress(again, &mut new, &mut gateway, |_| ()).unwrap();
    assert!(gateway.session.is_some());
    assert_eq!(peer.dropped(), Default::default());
}

#[test]
fn the_buffer_is_as_long_as_said() {
    let mut buffer = [0; BUFFER];
    assert!(Framer::new(peers::DATAGRAM, PathId(0), &mut buffer).is_ok());
    assert!(Framer::new(peers::DATAGRAM, PathId(0), &mut buffer[1..]).is_err());
}

#[test]
fn a_goodbye_reaches_the_gateway() {
    let (mut up, mut down) = (Pipe::new(1, 0), Pipe::new(2, 0));
    let (mut device_buffer, mut gateway_buffer) = ([0; BUFFER], [0; BUFFER]);
    let (mut device, mut framer) = (peers::device(), peers::framer(&mut device_buffer));
    let (mut gateway, mut peer) = (peers::gateway(), peers::framer(&mut gateway_buffer));
    for millis in 0..1_000 {
        let now = Instant::from_millis(millis);
        framer.poll_ingress(now, &mut down, &mut device, |_| ()).unwrap();
        if device.is_established() {
            device.close(now, CloseReason::Done);
        }
        framer.poll_egress_ready(now, &mut up, &mut device).unwrap();
        peer.poll_ingress(now, &mut up, &mut gateway, |_| ()).unwrap();
        peer.poll_egress_ready(now, &mut down, &mut gateway).unwrap();
    }
    assert!(device.is_closed());
    assert!(gateway.session.is_some_and(|session| session.is_closed()));
}
