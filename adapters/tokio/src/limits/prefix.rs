//! Source addresses by network: what one customer of a provider can have counts as one.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

/// How many leading bits of an address name its network; longer ones count as the whole address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLengths {
    /// Of an IPv4 address, 0 to 32.
    pub v4: u8,
    /// Of an IPv6 address, 0 to 128.
    pub v6: u8,
}

impl PrefixLengths {
    /// The network of an address. An IPv4 address in IPv6 clothes (RFC 4291 section 2.5.5.2), as a socket
    /// for both shows it, is an IPv4 address.
    pub(crate) fn of(self, address: IpAddr) -> Prefix {
        let (bits, len) = match address.to_canonical() {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped().to_bits(), 96 + u32::from(self.v4.min(32))),
            IpAddr::V6(v6) => (v6.to_bits(), u32::from(self.v6.min(128))),
        };
        Prefix(bits & u128::MAX.checked_shl(128 - len).unwrap_or(0))
    }
}

/// A network: an address without its last bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(u128);

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", IpAddr::V6(Ipv6Addr::from_bits(self.0)).to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(v4: u8, v6: u8, address: &str) -> Prefix {
        PrefixLengths { v4, v6 }.of(address.parse().unwrap())
    }

    #[test]
    fn neighbours_share_a_prefix_and_strangers_do_not() {
        assert_eq!(of(24, 56, "192.0.2.1"), of(24, 56, "192.0.2.254"));
        assert_ne!(of(24, 56, "192.0.2.1"), of(24, 56, "192.0.3.1"));
        assert_eq!(of(24, 56, "2001:db8::1"), of(24, 56, "2001:db8:0:ff::1"));
        assert_ne!(of(24, 56, "2001:db8::1"), of(24, 56, "2001:db8:0:100::1"));
        assert_ne!(of(32, 128, "192.0.2.1"), of(32, 128, "192.0.2.2"));
        assert_ne!(of(32, 128, "2001:db8::1"), of(32, 128, "2001:db8::2"));
    }

    #[test]
    fn an_address_in_other_clothes_is_the_same() {
        assert_eq!(of(24, 56, "::ffff:192.0.2.7"), of(24, 56, "192.0.2.1"));
    }

    #[test]
    fn lengths_out_of_range_are_the_nearest() {
        assert_eq!(of(0, 0, "192.0.2.1"), of(0, 0, "198.51.100.1"));
        assert_eq!(of(0, 0, "2001:db8::1"), of(0, 0, "fd00::1"));
        assert_ne!(of(0, 0, "2001:db8::1"), of(0, 0, "192.0.2.1"));
        assert_ne!(of(255, 255, "192.0.2.1"), of(255, 255, "192.0.2.2"));
        assert_eq!(format!("{:?}", of(24, 56, "192.0.2.1")), "192.0.2.0");
    }
}
