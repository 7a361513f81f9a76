//! What people call a device.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A device's name: 1 to 64 ASCII letters, digits, `-`, `_` and `.`, of which the first is a letter or a
/// digit. So it is never taken for an option, and needs no quotes in a shell, a file name or a query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

/// Why a text is no device's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device's name is 1 to 64 letters (a to z), digits, `-`, `_` and `.`, and begins with a letter or a digit")]
pub struct NameError;

impl DeviceName {
    /// The longest name, in bytes.
    pub const MAX: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        let is_first = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        let is_rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_first && is_rest && text.len() <= Self::MAX { Ok(Self(text)) } else { Err(NameError) }
    }
}

impl FromStr for DeviceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        text.to_owned().try_into()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_easy_to_type() {
        for good in ["sim-0", "7", "Greenhouse_7.north", &"x".repeat(64)] {
            assert_eq!(good.parse::<DeviceName>().unwrap().as_str(), good);
        }
        for bad in ["", "-x", ".x", "a b", "a'b", "a\n", "\u{e4}", "a/b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<DeviceName>(), Err(NameError), "{bad:?}");
        }
    }
}
