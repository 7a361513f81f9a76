//! What commands print: for people, for firmware, and for programs.

use core::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use whimbrel_core::{DeviceId, GatewayPublic, Pattern};
use whimbrel_gateway::registry::{DeviceInfo, DeviceName, GatewayInfo, Provisioned};
use zeroize::Zeroizing;

/// Bytes in a line of a Rust array.
const BYTES_IN_LINE: usize = 16;

/// A device's id and key, the one time that they are shown.
pub(super) fn provisioned(device: &Provisioned, what: &str, json: bool) -> io::Result<()> {
    if json {
        return line(device);
    }
    // With room for all of it, so that no copies of the key are left behind.
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let _infallible = describe(device, what, &mut text);
    say(text.as_bytes())
}

fn describe(device: &Provisioned, what: &str, text: &mut String) -> core::fmt::Result {
    let Provisioned { name, id, pattern, key, gateway_public } = device;
    let hex = |bytes: &[u8]| Zeroizing::new(hex::encode(bytes));
    let credentials = match pattern {
        Pattern::NkPsk0 => "Credentials::nk(DeviceKey::new(DEVICE_KEY), GatewayPublic::new(GATEWAY_PUBLIC))",
        Pattern::NnPsk0 => "Credentials::nn(DeviceKey::new(DEVICE_KEY))",
    };
    writeln!(text, "device {name} {what}\n")?;
    writeln!(text, "id              {}", &*hex(id.as_bytes()))?;
    writeln!(text, "key             {}", &*hex(key.expose()))?;
    if let Some(public) = gateway_public {
        writeln!(text, "gateway public  {}", &*hex(public.as_bytes()))?;
    }
    writeln!(text, "pattern         {}", pattern_name(*pattern))?;
    writeln!(text, "\nThe key is not shown again. For firmware in Rust, with `{credentials}`:\n")?;
    writeln!(text, "/// `{name}`")?;
    array(text, "DEVICE_ID", id.as_bytes())?;
    writeln!(text, "/// Secret.")?;
    array(text, "DEVICE_KEY", key.expose())?;
    match gateway_public {
        Some(public) => array(text, "GATEWAY_PUBLIC", public.as_bytes()),
        None => Ok(()),
    }
}

/// A constant, as rustfmt would have it.
fn array(text: &mut String, name: &str, bytes: &[u8]) -> core::fmt::Result {
    write!(text, "const {name}: [u8; {}] = [", bytes.len())?;
    if bytes.len() <= BYTES_IN_LINE {
        for (place, byte) in bytes.iter().enumerate() {
            write!(text, "{}0x{byte:02x}", if place == 0 { "" } else { ", " })?;
        }
        return writeln!(text, "];");
    }
    for line in bytes.chunks(BYTES_IN_LINE) {
        write!(text, "\n   ")?;
        line.iter().try_for_each(|byte| write!(text, " 0x{byte:02x},"))?;
    }
    writeln!(text, "\n];")
}

/// A table of devices.
pub(super) fn devices(devices: &[DeviceInfo], json: bool) -> io::Result<()> {
    if json {
        return line(&devices);
    }
    let head = ["NAME", "ID", "PATTERN", "STATE", "COUNTER", "LAST SEEN"].map(String::from);
    let rows = devices.iter().map(|device| {
        [
            device.name.to_string(),
            hex::encode(device.id.as_bytes()),
            pattern_name(device.pattern).to_owned(),
            device.state.to_string(),
            device.counter.map_or_else(|| "-".into(), |counter| counter.to_string()),
            device.last_seen.map_or_else(|| "never".into(), time_of),
        ]
    });
    let rows: Vec<_> = core::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths = [0, 1, 2, 3, 4, 5].map(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let _infallible = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    say(text.as_bytes())
}

#[derive(Serialize)]
struct Revoked<'a> {
    name: &'a DeviceName,
    id: String,
    state: &'static str,
}

/// That a device is revoked.
pub(super) fn revoked(name: &DeviceName, id: &DeviceId, json: bool) -> io::Result<()> {
    let id = hex::encode(id.as_bytes());
    if json {
        return line(&Revoked { name, id, state: "revoked" });
    }
    say(format!("device {name} ({id}) is revoked\n").as_bytes())
}

/// The gateway's public keys.
pub(super) fn gateway(keys: &GatewayInfo, json: bool) -> io::Result<()> {
    if json {
        return line(keys);
    }
    let hex = |key: &GatewayPublic| hex::encode(key.as_bytes());
    let mut text = format!("public  {}  since {}\n", hex(&keys.public), time_of(keys.created_at));
    if let Some(former) = &keys.former {
        let note = match former.devices {
            0 => "every device has used the new key".to_owned(),
            devices => format!("devices that have not used the new key yet: {devices}"),
        };
        let _infallible = writeln!(text, "former  {}  {note}", hex(&former.public));
    }
    say(text.as_bytes())
}

fn pattern_name(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::NkPsk0 => "nkpsk0",
        Pattern::NnPsk0 => "nnpsk0",
    }
}

fn time_of(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| "-".into())
}

/// One line of JSON, which may hold a key.
fn line(value: &impl Serialize) -> io::Result<()> {
    let mut line = Zeroizing::new(Vec::with_capacity(4096));
    serde_json::to_writer(&mut *line, value)?;
    line.push(b'\n');
    say(&line)
}

/// All of it, at once.
fn say(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_core::DeviceKey;

    #[test]
    fn firmware_gets_constants() {
        let device = Provisioned {
            name: "greenhouse-7".parse().unwrap(),
            id: DeviceId::new(&[0, 1, 2, 3, 4, 5, 6, 0xff]).unwrap(),
            pattern: Pattern::NnPsk0,
            key: DeviceKey::new(core::array::from_fn(|place| place as u8)),
            gateway_public: None,
        };
        let mut text = String::new();
        describe(&device, "was added", &mut text).unwrap();
        let expected = "\
device greenhouse-7 was added

id              00010203040506ff
key             000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
pattern         nnpsk0

The key is not shown again. For firmware in Rust, with `Credentials::nn(DeviceKey::new(DEVICE_KEY))`:

/// `greenhouse-7`
const DEVICE_ID: [u8; 8] = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0xff];
/// Secret.
const DEVICE_KEY: [u8; 32] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
];
";
        assert_eq!(text, expected);
        let public = Some(GatewayPublic::new([7; 32]));
        text.clear();
        describe(&Provisioned { pattern: Pattern::NkPsk0, gateway_public: public, ..device }, "x", &mut text).unwrap();
        assert!(text.contains("\nconst GATEWAY_PUBLIC: [u8; 32] = [\n    0x07, 0x07,"), "{text}");
        assert!(text.contains(&format!("\ngateway public  {}\n", "07".repeat(32))), "{text}");
    }
}
