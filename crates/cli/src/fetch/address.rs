//! Which addresses of the internet are public. Everything that is not known to
//! be is refused: a document's address must not reach into the network of the
//! machine that reads it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one that anyone on the internet could ask.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but the blocks of the IANA special-purpose registry (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    // In order: this network, private, loopback, and multicast, reserved and
    // broadcast; carrier-grade NAT; link-local, with the metadata services of
    // clouds; private; protocol assignments, documentation and the former 6to4
    // anycast; benchmarks and documentation.
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

/// Only `2000::/3` is in use, and parts of it are special. An address that
/// carries an IPv4 address is as public as that one.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [a, b, c, d, ..] = address.segments();
    let bytes = address.octets();
    let v4_at = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    match (a, b) {
        // NAT64.
        (0x64, 0xff9b) => c == 0 && d == 0 && is_public_v4(v4_at(12)),
        // 6to4.
        (0x2002, _) => is_public_v4(v4_at(2)),
        // Teredo, ORCHID and other protocol assignments; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        _ => (0x2000..=0x3fff).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(addresses: &[&str], want: bool) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), want, "{address}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        check(
            &["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "192.0.3.1"],
            true,
        );
        check(&["2606:4700::1111", "2001:4860::8888", "::ffff:8.8.8.8"], true);
        check(&["64:ff9b::808:808", "2002:808:808::1"], true);
    }

    #[test]
    fn loopback_and_unspecified_are_refused() {
        check(&["127.0.0.1", "127.255.1.2", "0.0.0.0", "0.1.2.3", "::1", "::"], false);
    }

    #[test]
    fn private_networks_are_refused() {
        check(&["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"], false);
        check(&["fc00::1", "fd12:3456::1", "fec0::1"], false);
    }

    #[test]
    fn link_local_and_metadata_are_refused() {
        check(&["169.254.169.254", "169.254.0.1", "fe80::1", "fd00:ec2::254"], false);
    }

    #[test]
    fn shared_multicast_and_reserved_are_refused() {
        check(&["100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1"], false);
        check(&["240.0.0.1", "255.255.255.255", "ff02::1"], false);
        check(&["192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"], false);
        check(&["2001:db8::1", "2001::1", "3fff::1", "4000::1", "100::1"], false);
    }

    #[test]
    fn an_address_inside_another_does_not_slip_through() {
        check(&["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"], false);
        check(&["64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::1", "::127.0.0.1"], false);
    }
}
