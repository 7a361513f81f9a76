//! What an endpoint can take, as it says in HELLO and ACCEPT.

use crate::wire::{Reader, Writer};
use crate::{BufferTooSmall, Config, DecodeError, Duration};

/// What the sender of a HELLO or ACCEPT can take. Each end obeys the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest datagram, in bytes; [`Config::MIN_DATAGRAM`] or more.
    pub max_datagram: u16,
    /// Longest message, in bytes.
    pub max_message: u16,
    /// Longest message of which several can wait for their turn at once, in bytes; at most `max_message`.
    /// Of longer ones, and of those in fragments, one is on its way at a time.
    pub max_slot: u16,
    /// How many packets below the largest one received it can always report as received or not.
    /// The peer keeps no packet in flight that is further below its newest.
    pub ack_reach: u16,
    /// Longest time that it holds an acknowledgement back; at most 2^32 - 1 microseconds.
    pub max_ack_delay: Duration,
}

impl Limits {
    pub(crate) fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let limits = Self {
            max_datagram: r.varint_u16()?,
            max_message: r.varint_u16()?,
            max_slot: r.varint_u16()?,
            ack_reach: r.varint_u16()?,
            max_ack_delay: Duration::from_micros(u64::from(r.varint_u32()?)),
        };
        if limits.max_datagram < Config::MIN_DATAGRAM || limits.max_slot > limits.max_message {
            return Err(DecodeError::Invalid);
        }
        Ok(limits)
    }

    /// Bytes on the wire: five varints.
    pub(crate) fn wire_len(&self) -> usize {
        let mut buf = [0; 4 * 3 + 5];
        let mut w = Writer::new(&mut buf);
        let _fits = self.emit(&mut w);
        w.len()
    }

    pub(crate) fn emit(&self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        w.varint(u64::from(self.max_datagram))?;
        w.varint(u64::from(self.max_message))?;
        w.varint(u64::from(self.max_slot))?;
        w.varint(u64::from(self.ack_reach))?;
        w.varint(self.max_ack_delay.as_micros().min(u64::from(u32::MAX)))
    }
}

#[cfg(test)]
pub(in crate::wire) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any limits that may be sent.
    pub(in crate::wire) fn any_limits() -> impl Strategy<Value = Limits> {
        (Config::MIN_DATAGRAM.., any::<u16>(), any::<u16>(), any::<u16>(), any::<u32>()).prop_map(
            |(max_datagram, a, b, ack_reach, delay)| Limits {
                max_datagram,
                max_message: a.max(b),
                max_slot: a.min(b),
                ack_reach,
                max_ack_delay: Duration::from_micros(u64::from(delay)),
            },
        )
    }

    #[test]
    fn a_datagram_below_the_minimum_is_refused() {
        assert_eq!(Limits::parse(&mut Reader::new(&[126, 0, 0, 0, 0])), Err(DecodeError::Invalid));
        assert_eq!(Limits::parse(&mut Reader::new(&[127, 0, 0, 0, 0])).map(|limits| limits.max_datagram), Ok(127));
    }

    #[test]
    fn a_slot_beyond_the_longest_message_is_refused() {
        assert_eq!(Limits::parse(&mut Reader::new(&[127, 9, 10, 0, 0])), Err(DecodeError::Invalid));
        assert_eq!(Limits::parse(&mut Reader::new(&[127, 9, 9, 0, 0])).map(|limits| limits.max_slot), Ok(9));
    }

    proptest! {
        #[test]
        fn limits_come_back(limits in any_limits()) {
            let mut buf = [0; 17];
            let mut w = Writer::new(&mut buf);
            limits.emit(&mut w).unwrap();
            prop_assert_eq!(Limits::parse(&mut Reader::new(w.written())), Ok(limits));
        }
    }
}
