//! One reading of the room sensor.

use crate::Decimal;
use serde::{Deserialize, Serialize};

/// One reading, schema "occupancy/1". The order and the types of the fields are the wire layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Seconds since 1970-01-01T00:00:00, in the office's local time.
    pub date: u32,
    /// Degrees Celsius.
    pub temperature: Decimal,
    /// Relative humidity, in percent.
    pub humidity: Decimal,
    /// Lux.
    pub light: Decimal,
    /// Parts per million.
    pub co2: Decimal,
    /// Kilograms of water per kilogram of dry air.
    pub humidity_ratio: Decimal,
    /// Whether anybody was in the room.
    pub occupancy: bool,
}

impl Reading {
    /// The longest encoding, in bytes: a varint of 32 bits takes 5, one of 64 bits 10, the rest one each.
    pub const ENCODED_MAX: usize = 5 + 5 * (10 + 1) + 1;

    /// The payload that stands for the reading, written into `buf`; `None` when it is shorter than the payload.
    pub fn encode<'b>(&self, buf: &'b mut [u8]) -> Option<&'b [u8]> {
        postcard::to_slice(self, buf).ok().map(|bytes| &*bytes)
    }

    /// The reading that `payload` stands for; `None` when it is none.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(payload) {
            Ok((reading, [])) => Some(reading),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extreme() -> Reading {
        let widest = Decimal { mantissa: i64::MIN, scale: 18 };
        Reading {
            date: u32::MAX,
            temperature: widest,
            humidity: widest,
            light: widest,
            co2: widest,
            humidity_ratio: widest,
            occupancy: true,
        }
    }

    #[test]
    fn the_longest_reading_fits_exactly() {
        let mut buf = [0; Reading::ENCODED_MAX];
        let payload = extreme().encode(&mut buf).unwrap();
        assert_eq!(payload.len(), Reading::ENCODED_MAX);
        assert_eq!(Reading::decode(payload), Some(extreme()));
        assert!(extreme().encode(&mut [0; Reading::ENCODED_MAX - 1]).is_none());
    }

    // The layout, byte by byte: varints, zigzag for the mantissa, in the order of the fields.
    #[test]
    fn the_layout_is_the_schema() {
        let value = |mantissa, scale| Decimal { mantissa, scale };
        let reading = Reading {
            date: 300,
            temperature: value(2318, 2),
            humidity: value(-1, 0),
            light: value(426, 0),
            co2: value(64, 1),
            humidity_ratio: value(0, 0),
            occupancy: true,
        };
        let mut buf = [0; Reading::ENCODED_MAX];
        let expected = [0xac, 0x02, 0x9c, 0x24, 2, 1, 0, 0xd4, 0x06, 0, 0x80, 0x01, 1, 0, 0, 1];
        assert_eq!(reading.encode(&mut buf).unwrap(), expected);
    }

    #[test]
    fn trailing_bytes_are_no_reading() {
        let mut buf = [0; Reading::ENCODED_MAX + 1];
        extreme().encode(&mut buf).unwrap();
        assert_eq!(Reading::decode(&buf), None);
    }
}
