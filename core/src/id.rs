//! Names: of devices, channels, streams, schemas, connections and paths.

use core::fmt;

/// A device's opaque identity: 1 to 16 bytes, chosen when it is provisioned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl DeviceId {
    /// The longest identity, in bytes.
    pub const MAX: usize = 16;

    /// From its bytes; `None` when there are none, or more than 16.
    pub fn new(id: &[u8]) -> Option<Self> {
        if id.is_empty() || id.len() > Self::MAX {
            return None;
        }
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { len: id.len() as u8, bytes })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Display for DeviceId {
    /// As text when every byte is a printable ASCII character other than a space, else in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_bytes().iter().all(u8::is_ascii_graphic) {
            return self.as_bytes().iter().try_for_each(|b| write!(f, "{}", char::from(*b)));
        }
        self.as_bytes().iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({self})")
    }
}

/// A channel: one kind of data with one delivery mode. 0 to 63.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(u8);

impl ChannelId {
    /// The highest channel number.
    pub const MAX: u8 = 63;

    /// From its number; `None` above 63.
    pub const fn new(number: u8) -> Option<Self> {
        if number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// The channel's number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The channel's live stream.
    pub const fn live(self) -> StreamId {
        StreamId(self.0)
    }
}

/// A stream on the wire: the channel's number, and bit 6 for the backlog stream. Bit 7 is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u8);

impl StreamId {
    const BACKLOG: u8 = 0x40;

    /// From its byte on the wire; `None` when bit 7 is set.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        if byte & 0x80 == 0 { Some(Self(byte)) } else { None }
    }

    /// Its byte on the wire.
    pub const fn to_wire(self) -> u8 {
        self.0
    }

    /// The channel that the stream belongs to.
    pub const fn channel(self) -> ChannelId {
        ChannelId(self.0 & ChannelId::MAX)
    }

    /// Whether this is the channel's backlog stream.
    pub const fn is_backlog(self) -> bool {
        self.0 & Self::BACKLOG != 0
    }
}

/// What a channel's payload means: 64 bits, stored with every reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaId(pub u64);

impl SchemaId {
    /// The id of a schema by its name: FNV-1a with 64 bits over the name's bytes
    /// (draft-eastlake-fnv section 2; offset basis and prime from its section 5).
    pub const fn named(name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            at += 1;
        }
        Self(hash)
    }
}

/// The durable number of a stream, allocated by the gateway, from 1. With device, channel and
/// sequence number it names a message for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamEpoch(core::num::NonZeroU32);

impl StreamEpoch {
    /// From its number; `None` for 0, which on the wire means "none yet".
    pub const fn new(number: u32) -> Option<Self> {
        match core::num::NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number, 1 or more.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

/// A connection id: 0, 4 or 8 bytes chosen by the receiver of the packets that carry it (RFC 9000 section 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    len: u8,
    bytes: [u8; 8],
}

impl ConnectionId {
    /// No bytes: towards an endpoint that has a single peer on its socket.
    pub const EMPTY: Self = Self { len: 0, bytes: [0; 8] };

    /// From 0, 4 or 8 bytes; `None` for another length.
    pub fn new(id: &[u8]) -> Option<Self> {
        if !matches!(id.len(), 0 | 4 | 8) {
            return None;
        }
        let mut bytes = [0; 8];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { len: id.len() as u8, bytes })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

/// A network path, as the adapter numbers them: an address pair, a carrier. The core only compares them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_prints_as_text_or_hexadecimal() {
        extern crate std;
        use std::string::ToString;
        assert_eq!(DeviceId::new(b"sim-0").unwrap().to_string(), "sim-0");
        assert_eq!(DeviceId::new(&[0, 255]).unwrap().to_string(), "00ff");
        assert!(DeviceId::new(b"").is_none());
        assert!(DeviceId::new(&[1; 17]).is_none());
    }

    // draft-eastlake-fnv: the published value for "a".
    #[test]
    fn schema_names_hash_as_published() {
        assert_eq!(SchemaId::named("a").0, 0xaf63_dc4c_8601_ec8c);
    }
}
