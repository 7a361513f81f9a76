//! How the link spoils a frame.
//!
//! On a real Ethernet the frame check sequence stops nearly every bit error on the cable; what gets
//! through was spoilt in a switch's or a router's memory, behind that check. So:
//!
//! - half of the spoilt UDP datagrams have bits of their payload flipped and the UDP checksum made right
//!   again, as by a middlebox: only Whimbrel's own check can find them;
//! - the other half have bits of the IP packet flipped anywhere: the IP and UDP checksums find them;
//! - frames without a checksum of their own (ARP) are stopped by the frame check sequence. The wire does
//!   not carry one, so such a frame is emptied, and the receiver counts it as stopped.

use crate::frame::{self, Content, ETHERNET_LEN};
use rand::{Rng, RngCore};

/// Spoils `frame`: 1 to 3 different bits are flipped.
pub(crate) fn corrupt<R: RngCore + ?Sized>(frame: &mut Vec<u8>, rng: &mut R) {
    let payload_len = match frame::parse(frame) {
        Ok(frame::Parsed { content: Content::Udp { payload, .. }, .. }) if !payload.is_empty() => payload.len(),
        _ => {
            frame.clear();
            return;
        }
    };
    let repaired = rng.random::<bool>();
    // Without padding, the payload is the end of the frame.
    let first = if repaired { frame.len() - payload_len } else { ETHERNET_LEN };
    let flips = rng.random_range(1..=3);
    for bit in rand::seq::index::sample(&mut *rng, (frame.len() - first) * 8, flips) {
        if let Some(byte) = frame.get_mut(first + bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
    }
    if repaired {
        frame::refresh_udp_checksum(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Reject;
    use crate::frame::tests::{DST, MACS, SRC};
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn half_of_the_spoilt_datagrams_pass_the_udp_checksum() {
        let mut rng = Pcg64::seed_from_u64(1);
        let sound = frame::emit_udp(MACS, SRC, DST, &[7; 100]);
        let mut passed = 0;
        let mut caught = 0;
        for _ in 0..1000 {
            let mut frame = sound.clone();
            corrupt(&mut frame, &mut rng);
            assert_ne!(frame, sound);
            match frame::parse(&frame) {
                Ok(_) => passed += 1,
                Err(Reject::IpChecksum | Reject::UdpChecksum | Reject::Malformed) => caught += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!((450..=550).contains(&passed), "{passed} passed");
        assert_eq!(passed + caught, 1000);
    }

    #[test]
    fn a_spoilt_arp_frame_is_stopped_by_the_frame_check_sequence() {
        let mut frame = vec![0xff; 42];
        corrupt(&mut frame, &mut Pcg64::seed_from_u64(1));
        assert_eq!(frame::parse(&frame), Err(Reject::FrameCheck));
    }
}
