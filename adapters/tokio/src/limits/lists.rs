//! Who may speak at all, by address.

use core::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Networks that are heard and networks that are not. Both empty, the default: everybody is heard.
///
/// The lists come before everything else: of a denied source not even a live session's packets are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLists {
    /// When there is any, only sources in one of these are heard.
    pub allow: Vec<IpNet>,
    /// Sources in one of these are not heard, allowed or not.
    pub deny: Vec<IpNet>,
}

/// The lists, ready for a look at every datagram.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// `None`: everybody.
    allow: Option<Networks>,
    deny: Networks,
}

impl Access {
    pub(crate) fn new(lists: &AccessLists) -> Self {
        let allow = (!lists.allow.is_empty()).then(|| Networks::new(&lists.allow));
        Self { allow, deny: Networks::new(&lists.deny) }
    }

    pub(crate) fn permits(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        !self.deny.contains(source) && self.allow.as_ref().is_none_or(|allow| allow.contains(source))
    }
}

/// A set of addresses. Invariant: ascending, and no two overlap.
#[derive(Debug, Default)]
struct Networks(Vec<IpNet>);

impl Networks {
    fn new(networks: &[IpNet]) -> Self {
        let canonical: Vec<_> = networks.iter().map(canonical).collect();
        let mut merged = IpNet::aggregate(&canonical);
        merged.sort_unstable();
        Self(merged)
    }

    fn contains(&self, address: IpAddr) -> bool {
        let after = self.0.partition_point(|net| net.network() <= address);
        after.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|net| net.contains(&address))
    }
}

/// An IPv4 network in IPv6 clothes (RFC 4291 section 2.5.5.2) is an IPv4 network.
fn canonical(net: &IpNet) -> IpNet {
    let mapped = match (net.network().to_canonical(), net.prefix_len().checked_sub(96)) {
        (IpAddr::V4(v4), Some(len)) if net.network().is_ipv6() => Ipv4Net::new(v4, len).ok(),
        _ => None,
    };
    mapped.map_or(*net, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    fn permits(allow: &[&str], deny: &[&str], source: &str) -> bool {
        Access::new(&AccessLists { allow: nets(allow), deny: nets(deny) }).permits(source.parse().unwrap())
    }

    #[test]
    fn without_lists_everybody_is_heard() {
        assert!(permits(&[], &[], "192.0.2.1") && permits(&[], &[], "2001:db8::1"));
    }

    #[test]
    fn an_allow_list_shuts_out_all_others() {
        let allow = ["192.0.2.0/24", "2001:db8::/32"];
        assert!(permits(&allow, &[], "192.0.2.255") && permits(&allow, &[], "2001:db8:ffff::1"));
        assert!(!permits(&allow, &[], "192.0.3.0") && !permits(&allow, &[], "192.0.1.255"));
        assert!(!permits(&allow, &[], "2001:db9::"));
    }

    #[test]
    fn denied_is_denied_whatever_is_allowed() {
        assert!(!permits(&["192.0.2.7/32"], &["192.0.2.0/24"], "192.0.2.7"));
        assert!(permits(&["192.0.0.0/16"], &["192.0.2.0/24"], "192.0.3.7"));
        assert!(!permits(&[], &["0.0.0.0/0"], "203.0.113.1") && permits(&[], &["0.0.0.0/0"], "2001:db8::1"));
    }

    #[test]
    fn addresses_and_networks_in_other_clothes_are_the_same() {
        assert!(!permits(&[], &["192.0.2.0/24"], "::ffff:192.0.2.7"));
        assert!(!permits(&[], &["::ffff:192.0.2.0/120"], "192.0.2.7"));
        assert!(permits(&[], &["::ffff:192.0.2.0/120"], "192.0.3.7"));
    }

    fn any_net() -> impl Strategy<Value = IpNet> {
        // Few bits, so that networks meet.
        let v4 = (0u32..64, 24u8..33).prop_map(|(low, len)| {
            IpNet::V4(Ipv4Net::new((0x0a00_0000 | low << 4).into(), len).expect("a length of at most 32"))
        });
        let v6 = (0u128..64, 120u8..129).prop_map(|(low, len)| {
            IpNet::new(core::net::Ipv6Addr::from_bits(0xfd << 120 | low << 4).into(), len).expect("at most 128")
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn a_set_contains_what_its_networks_do(list in prop::collection::vec(any_net(), 0..12), low in 0u32..2048) {
            let set = Networks::new(&list);
            let addresses = [
                IpAddr::V4((0x0a00_0000 | low).into()),
                IpAddr::V6(core::net::Ipv6Addr::from_bits(0xfd << 120 | u128::from(low))),
            ];
            for address in addresses {
                prop_assert_eq!(set.contains(address), list.iter().any(|net| net.contains(&address)), "{}", address);
            }
        }
    }
}
