//! Decimal numbers as sensors print them: exact, without floating point.

use core::fmt;
use serde::{Deserialize, Serialize};

/// `mantissa * 10^-scale`. Keeps what was written: 23.10 is not 23.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decimal {
    /// All digits, with the sign.
    pub mantissa: i64,
    /// How many of them stand behind the point, at most [`Decimal::SCALE_MAX`].
    pub scale: u8,
}

/// The text is not a decimal number that a [`Decimal`] can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number")
    }
}

impl core::error::Error for NotANumber {}

impl Decimal {
    /// The most digits behind the point; ten to that power still fits the mantissa.
    pub const SCALE_MAX: u8 = 18;
}

impl core::str::FromStr for Decimal {
    type Err = NotANumber;

    /// Reads `-12.340`: digits, at most one point with digits on both sides, no exponent.
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        if whole.is_empty() || fraction.is_empty() {
            return Err(NotANumber);
        }
        let fraction = if digits.contains('.') { fraction } else { "" };
        let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= Self::SCALE_MAX).ok_or(NotANumber)?;
        let mut mantissa = 0i64;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return Err(NotANumber);
            }
            let digit = i64::from(byte - b'0');
            let digit = if negative { -digit } else { digit };
            mantissa = mantissa.checked_mul(10).and_then(|m| m.checked_add(digit)).ok_or(NotANumber)?;
        }
        Ok(Self { mantissa, scale })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs();
        // Beyond 10^19 nothing of 64 bits is left before the point.
        match 10u64.checked_pow(u32::from(self.scale)) {
            Some(1) => write!(f, "{sign}{digits}"),
            Some(one) => write!(f, "{sign}{}.{:0width$}", digits / one, digits % one, width = usize::from(self.scale)),
            None => write!(f, "{sign}0.{digits:0width$}", width = usize::from(self.scale)),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn parse(text: &str) -> Result<Decimal, NotANumber> {
        text.parse()
    }

    #[test]
    fn reads_what_the_sensor_wrote() {
        assert_eq!(parse("23.18"), Ok(Decimal { mantissa: 2318, scale: 2 }));
        assert_eq!(parse("426"), Ok(Decimal { mantissa: 426, scale: 0 }));
        assert_eq!(parse("0.00479298817650529"), Ok(Decimal { mantissa: 479_298_817_650_529, scale: 17 }));
        assert_eq!(parse("-0.5"), Ok(Decimal { mantissa: -5, scale: 1 }));
        assert_eq!(parse("-9223372036854775808"), Ok(Decimal { mantissa: i64::MIN, scale: 0 }));
    }

    #[test]
    fn refuses_what_it_cannot_hold_exactly() {
        let wrong = ["", "-", ".", "1.", ".5", "1.2.3", "1e5", "x", "+1", " 1", "NaN", "1,5", "0.1234567890123456789"];
        for text in wrong.into_iter().chain(["9223372036854775808", "--1", "1.-2"]) {
            assert_eq!(parse(text), Err(NotANumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(mantissa: i64, scale in 0..=Decimal::SCALE_MAX) {
            let value = Decimal { mantissa, scale };
            prop_assert_eq!(value.to_string().parse(), Ok(value));
        }

        #[test]
        fn what_is_read_prints_the_same(text in "-?[1-9][0-9]{0,5}(\\.[0-9]{1,12})?") {
            prop_assert_eq!(parse(&text).unwrap().to_string(), text);
        }
    }
}
