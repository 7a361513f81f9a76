//! Devices' names in a database.

use core::fmt::Write;

use whimbrel_core::DeviceId;

/// The text that stands for a device: its bytes when they are printable ASCII without spaces and
/// do not begin with `x'`, else `x'..'` around them in hexadecimal. Two devices never share one,
/// which plain hexadecimal could not promise: `00ff` is a good name too.
pub fn device_name(device: &DeviceId) -> String {
    let bytes = device.as_bytes();
    if bytes.iter().all(u8::is_ascii_graphic) && !bytes.starts_with(b"x'") {
        return bytes.iter().map(|byte| char::from(*byte)).collect();
    }
    let mut name = String::with_capacity(3 + 2 * bytes.len());
    name.push_str("x'");
    for byte in bytes {
        let _infallible = write!(name, "{byte:02x}");
    }
    name.push('\'');
    name
}

/// The device that this text stands for; `None`: for none.
pub(crate) fn device_named(name: &str) -> Option<DeviceId> {
    let device = match name.strip_prefix("x'") {
        Some(rest) => DeviceId::new(&hex::decode(rest.strip_suffix('\'')?).ok()?),
        None => DeviceId::new(name.as_bytes()),
    };
    // No other text for the same device.
    device.filter(|device| device_name(device) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(id: &[u8]) -> String {
        device_name(&DeviceId::new(id).unwrap())
    }

    #[test]
    fn names_read_well() {
        assert_eq!(name(b"sim-0"), "sim-0");
        assert_eq!(name(b"00ff"), "00ff");
        assert_eq!(name(&[0, 255]), "x'00ff'");
        assert_eq!(name(b"x'00ff'"), "x'7827303066662 7'".replace(' ', ""));
    }

    #[test]
    fn other_texts_name_nobody() {
        for text in ["", "x'", "x''", "x'0'", "x'zz'", "x'00FF'", "x'41'", "a b", "a name of too many bytes", "\u{e4}"]
        {
            assert_eq!(device_named(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_two_devices_share_a_name(
            a in proptest::collection::vec(prop_oneof![Just(b'x'), Just(b'\''), b'0'..=b'9', any::<u8>()], 1..=16),
            b in proptest::collection::vec(prop_oneof![Just(b'x'), Just(b'\''), b'0'..=b'9', any::<u8>()], 1..=16),
        ) {
            prop_assert_eq!(name(&a) == name(&b), a == b);
            prop_assert_eq!(device_named(&name(&a)), DeviceId::new(&a));
            // The very device that a hexadecimal name could be mistaken for.
            if let Some(twin) = DeviceId::new(name(&a).as_bytes()) {
                prop_assert_eq!(device_name(&twin) == name(&a), twin.as_bytes() == a);
            }
        }
    }
}
