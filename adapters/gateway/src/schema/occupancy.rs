//! `occupancy/1`: one row of an office's climate and whether somebody was in.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use whimbrel_core::SchemaId;

use super::Decimal;

/// The id that devices name.
pub(super) const SCHEMA: SchemaId = SchemaId::named("occupancy/1");

/// The payload: postcard, the fields in this order.
#[derive(Deserialize)]
struct Reading {
    /// Seconds since 1970-01-01T00:00:00 in the office's local time.
    date: u32,
    /// Degrees Celsius.
    temperature: Decimal,
    /// Percent, relative.
    humidity: Decimal,
    /// Lux.
    light: Decimal,
    /// Parts per million.
    co2: Decimal,
    /// Kilograms of water vapour per kilogram of air.
    humidity_ratio: Decimal,
    /// Whether somebody was in.
    occupancy: bool,
}

/// The names and the order of the JSON object.
#[derive(Serialize)]
struct Json {
    date: String,
    temperature: Decimal,
    humidity: Decimal,
    light: Decimal,
    co2: Decimal,
    humidityratio: Decimal,
    occupancy: u8,
}

/// The payload as JSON; `None` when it is not exactly one reading.
pub(super) fn decode(payload: &[u8]) -> Option<String> {
    let (reading, rest) = postcard::take_from_bytes::<Reading>(payload).ok()?;
    let decimals = [reading.temperature, reading.humidity, reading.light, reading.co2, reading.humidity_ratio];
    if !rest.is_empty() || !decimals.iter().all(Decimal::is_valid) {
        return None;
    }
    let json = Json {
        date: civil(reading.date)?,
        temperature: reading.temperature,
        humidity: reading.humidity,
        light: reading.light,
        co2: reading.co2,
        humidityratio: reading.humidity_ratio,
        occupancy: u8::from(reading.occupancy),
    };
    serde_json::to_string(&json).ok()
}

/// `2015-02-04 17:51:00`: the clock on the wall, whatever its zone.
fn civil(seconds: u32) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(i64::from(seconds)).ok()?;
    let (date, (hour, minute, second)) = (at.date(), at.to_hms());
    let month = u8::from(date.month());
    Some(format!("{:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02}", date.year(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written out by hand, so that a change of the layout cannot pass: date 1423072260 and five
    // decimals as LEB128 (mantissas zigzagged), then the flag.
    const FIRST_ROW: &[u8] = &[
        0x84, 0xb8, 0xc9, 0xa6, 0x05, // 1423072260
        0x9c, 0x24, 0x02, // 2318 / 10^2
        0x90, 0xaa, 0x03, 0x03, // 27272 / 10^3
        0xd4, 0x06, 0x00, // 426
        0xfa, 0xe6, 0x08, 0x02, // 72125 / 10^2
        0xc2, 0xbd, 0xa3, 0xbc, 0xee, 0xfa, 0xd9, 0x01, 0x11, // 479298817650529 / 10^17
        0x01,
    ];

    #[test]
    fn a_reading_becomes_the_row_it_came_from() {
        let json = r#"{"date":"2015-02-04 17:51:00","temperature":23.18,"humidity":27.272,"light":426,"co2":721.25,"humidityratio":0.00479298817650529,"occupancy":1}"#;
        assert_eq!(decode(FIRST_ROW).as_deref(), Some(json));
        assert_eq!(super::super::decode(SchemaId::named("occupancy/1"), FIRST_ROW).as_deref(), Some(json));
    }

    #[test]
    fn anything_else_has_no_json() {
        for len in 0..FIRST_ROW.len() {
            assert_eq!(decode(&FIRST_ROW[..len]), None, "{len} bytes");
        }
        let mut longer = FIRST_ROW.to_vec();
        longer.push(0);
        assert_eq!(decode(&longer), None);
        let mut scale = FIRST_ROW.to_vec();
        scale[7] = 19;
        assert_eq!(decode(&scale), None);
        let mut flag = FIRST_ROW.to_vec();
        *flag.last_mut().unwrap() = 2;
        assert_eq!(decode(&flag), None);
    }

    #[test]
    fn the_calendar_holds_at_its_ends() {
        assert_eq!(civil(0).unwrap(), "1970-01-01 00:00:00");
        assert_eq!(civil(1_456_704_000).unwrap(), "2016-02-29 00:00:00");
        assert_eq!(civil(u32::MAX).unwrap(), "2106-02-07 06:28:15");
    }
}
