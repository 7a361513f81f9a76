//! Decimal numbers as they were written: no binary fraction on the way.

use core::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// `mantissa * 10^-scale`, exactly. On the wire (postcard): mantissa zigzag varint, scale one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Decimal {
    mantissa: i64,
    scale: u8,
}

impl Decimal {
    /// Most digits after the point: as many as 10^scale leaves within an `i64`.
    pub const MAX_SCALE: u8 = 18;

    /// From its parts; `None` when `scale` is above 18.
    pub const fn new(mantissa: i64, scale: u8) -> Option<Self> {
        let decimal = Self { mantissa, scale };
        if decimal.is_valid() { Some(decimal) } else { None }
    }

    /// Whether the scale is in its range: one that was deserialised may not be.
    pub const fn is_valid(&self) -> bool {
        self.scale <= Self::MAX_SCALE
    }
}

impl fmt::Display for Decimal {
    /// Every digit, `scale` of them after the point: a JSON number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa < 0 {
            f.write_str("-")?;
        }
        let digits = self.mantissa.unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{digits}");
        }
        let places = usize::from(self.scale);
        let padded = format!("{digits:0width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(f, "{whole}.{fraction}")
    }
}

impl Serialize for Decimal {
    /// As a JSON number with exactly these digits; only `serde_json` can take it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(mantissa: i64, scale: u8) -> String {
        Decimal::new(mantissa, scale).unwrap().to_string()
    }

    #[test]
    fn prints_as_it_was_written() {
        assert_eq!(text(426, 0), "426");
        assert_eq!(text(72125, 2), "721.25");
        assert_eq!(text(479_298_817_650_529, 17), "0.00479298817650529");
        assert_eq!(text(-5, 1), "-0.5");
        assert_eq!(text(0, 2), "0.00");
        assert_eq!(text(i64::MIN, 18), "-9.223372036854775808");
        assert_eq!(Decimal::new(1, 19), None);
    }

    /// The value of a printed decimal: its digits without the point, and how many followed it.
    fn parts(text: &str) -> (i128, usize) {
        let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        (text.replace('.', "").parse().unwrap(), places)
    }

    proptest! {
        #[test]
        fn prints_exactly(mantissa: i64, scale in 0..=Decimal::MAX_SCALE) {
            let printed = text(mantissa, scale);
            prop_assert_eq!(parts(&printed), (i128::from(mantissa), usize::from(scale)));
            // A JSON number with the same digits.
            let json = serde_json::to_string(&Decimal::new(mantissa, scale).unwrap()).unwrap();
            prop_assert_eq!(&json, &printed);
            prop_assert!(serde_json::from_str::<serde_json::Number>(&json).is_ok());
            // No number but zero starts with a zero before another digit.
            let whole = printed.trim_start_matches('-').split('.').next().unwrap();
            prop_assert!(whole == "0" || !whole.starts_with('0'));
        }
    }
}
