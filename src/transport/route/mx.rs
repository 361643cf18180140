//! The rules of RFC 5321 5.1 and RFC 7505, without a socket: from MX records to the order in which to try hosts, from a domain
//! to an address literal, and which addresses may be connected to.
//!
//! In: DNS data, which the owner of any domain controls. Out: at most [`EXCHANGES`] names that are safe to print and
//! to put into a TLS handshake, and at most [`ADDRESSES`] addresses each, none of which is this host.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

/// Mail exchangers of one domain that are considered. RFC 5321 5.1 asks for at least two.
pub(crate) const EXCHANGES: usize = 20;
/// Addresses of one host that are considered.
pub const ADDRESSES: usize = 10;

/// One MX record. The exchange is an A-label name without the final dot; empty for the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// The preference; lower values are tried first.
    pub preference: u16,
    /// The host.
    pub exchange: String,
}

/// The meaning of the MX records of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exchanges {
    /// There are none: the domain itself is the only exchange (RFC 5321 5.1, implicit MX).
    Implicit,
    /// RFC 7505: the domain does not accept mail.
    Null,
    /// The best exchange left is this host.
    Ourselves,
    /// There are records, but none with a valid host name.
    Unusable,
    /// The exchanges to try, in order.
    Ordered(Vec<String>),
}

/// Sorts `records` by preference, shuffles equals by `seed`, and drops this host and everything that is not better than it
/// (RFC 5321 5.1). `own_names` are compared without case.
pub fn order(mut records: Vec<Mx>, own_names: &[String], seed: u64) -> Exchanges {
    if records.is_empty() {
        return Exchanges::Implicit;
    }
    // RFC 7505 3: a null MX stands alone with preference 0. One that does not is still no host name.
    if records.iter().all(|record| record.exchange.is_empty()) {
        return Exchanges::Null;
    }
    records.retain(|record| is_host_name(&record.exchange));
    if records.is_empty() {
        return Exchanges::Unusable;
    }
    shuffle(&mut records, seed);
    records.sort_by_key(|record| record.preference);
    let own = records.iter().find(|record| is_own(&record.exchange, own_names)).map(|record| record.preference);
    records.retain(|record| own.is_none_or(|own| record.preference < own));
    if records.is_empty() {
        return Exchanges::Ourselves;
    }
    let mut names: Vec<String> = Vec::new();
    for record in records {
        if names.len() < EXCHANGES && !names.contains(&record.exchange) {
            names.push(record.exchange);
        }
    }
    Exchanges::Ordered(names)
}

/// True if `name` is one of our own.
pub fn is_own(name: &str, own_names: &[String]) -> bool {
    own_names.iter().any(|own| own.trim_end_matches('.').eq_ignore_ascii_case(name))
}

/// Letters, digits, hyphens, and the underscore that some hosts have: a label in the DNS may hold any byte, and these names go
/// into logs and handshakes.
fn is_host_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 253 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Fisher and Yates, with the numbers of splitmix64: the same seed gives the same order.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let range = last as u64 + 1;
        #[allow(clippy::cast_possible_truncation)] // the remainder is at most `last`
        items.swap(last, ((z ^ (z >> 31)) % range) as usize);
    }
}

/// The addresses of one host in the order to try them: IPv6 and IPv4 by turns, so that a broken address family costs
/// only one timeout.
pub(crate) fn interleave(v6: Vec<IpAddr>, v4: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut v6, mut v4) = (VecDeque::from(v6), VecDeque::from(v4));
    let mut all: Vec<IpAddr> = Vec::new();
    while all.len() < ADDRESSES && !(v6.is_empty() && v4.is_empty()) {
        for address in [v6.pop_front(), v4.pop_front()].into_iter().flatten() {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    all.truncate(ADDRESSES);
    all
}

/// True for an address to which a DNS record of a stranger may direct us. Loopback and unspecified addresses are this host: whoever owns
/// a domain could otherwise make the daemon talk to services that trust local clients. Multicast and broadcast addresses are not hosts.
pub(crate) fn is_remote(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_loopback() || v4.octets().first() == Some(&0) || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast()),
    }
}

/// The address in an address literal (RFC 5321 4.1.3): `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
pub fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        Some(_) => inner.get(5..)?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => inner.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mx(records: &[(u16, &str)]) -> Vec<Mx> {
        records.iter().map(|(preference, exchange)| Mx { preference: *preference, exchange: (*exchange).to_owned() }).collect()
    }

    fn ordered(records: &[(u16, &str)], own: &str, seed: u64) -> Vec<String> {
        match order(mx(records), &[own.to_owned()], seed) {
            Exchanges::Ordered(names) => names,
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn the_lowest_preference_comes_first_and_equals_change_places() {
        let records = [(20, "c"), (10, "a"), (30, "d"), (10, "b")];
        let orders: Vec<_> = (0..64).map(|seed| ordered(&records, "x", seed)).collect();
        for names in &orders {
            assert_eq!(names.get(2..), Some(&["c".to_owned(), "d".to_owned()][..]));
        }
        let a_first = orders.iter().filter(|names| names[0] == "a").count();
        assert!((16..=48).contains(&a_first), "{a_first} of 64");
        assert_eq!(ordered(&records, "x", 7), ordered(&records, "x", 7));
    }

    #[test]
    fn every_order_of_equals_comes_up_about_as_often() {
        let mut count = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *count.entry(ordered(&[(0, "a"), (0, "b"), (0, "c")], "x", seed)).or_insert(0) += 1;
        }
        assert_eq!(count.len(), 6);
        assert!(count.values().all(|n| (850..=1150).contains(n)), "{count:?}");
    }

    #[test]
    fn no_record_means_the_domain_itself_and_a_null_mx_means_no_mail() {
        assert_eq!(order(vec![], &[], 0), Exchanges::Implicit);
        assert_eq!(order(mx(&[(0, "")]), &[], 0), Exchanges::Null);
        assert_eq!(ordered(&[(0, ""), (10, "a")], "x", 0), ["a"]);
    }

    #[test]
    fn ourselves_and_everything_not_better_is_dropped() {
        let records = [(10, "a"), (20, "Me.example"), (20, "b"), (30, "c")];
        assert_eq!(ordered(&records, "me.example.", 1), ["a"]);
        assert_eq!(order(mx(&records[1..]), &["me.example".into()], 1), Exchanges::Ourselves);
    }

    #[test]
    fn an_exchange_that_cannot_be_a_host_is_not_one() {
        assert_eq!(order(mx(&[(1, "a b"), (2, "x\\000y"), (3, "é.example")]), &[], 0), Exchanges::Unusable);
        assert_eq!(ordered(&[(1, "a\r\nb"), (2, "mx_1.example")], "x", 0), ["mx_1.example"]);
    }

    #[test]
    fn a_thousand_records_are_cut_to_twenty_and_doubles_count_once() {
        let many: Vec<Mx> = (0..1000).map(|n| Mx { preference: n, exchange: format!("h{}", n / 2) }).collect();
        let Exchanges::Ordered(names) = order(many, &[], 3) else { panic!() };
        assert_eq!((names.len(), names[19].as_str()), (EXCHANGES, "h19"));
    }

    #[test]
    fn families_take_turns_and_are_cut_to_ten() {
        let v4: Vec<IpAddr> = (1..=20).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let v6: Vec<IpAddr> = vec!["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()];
        let all = interleave(v6.clone(), v4.clone());
        assert_eq!(all[..5], [v6[0], v4[0], v6[1], v4[1], v4[2]]);
        assert_eq!(all.len(), ADDRESSES);
        assert_eq!(interleave(vec![], vec![v4[0], v4[0]]), [v4[0]]);
    }

    #[test]
    fn a_stranger_cannot_send_us_to_ourselves() {
        for here in
            ["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "::1", "::", "::ffff:127.0.0.1", "224.0.0.1", "ff02::1", "255.255.255.255"]
        {
            assert!(!is_remote(here.parse().unwrap()), "{here}");
        }
        for there in ["192.0.2.1", "10.1.2.3", "2001:db8::1", "fd00::1"] {
            assert!(is_remote(there.parse().unwrap()), "{there}");
        }
    }

    #[test]
    fn address_literals_are_read_in_both_families() {
        assert_eq!(literal("[192.0.2.1]"), "192.0.2.1".parse().ok());
        assert_eq!(literal("[IPv6:2001:db8::1]"), "2001:db8::1".parse().ok());
        assert_eq!(literal("[ipv6:::1]"), "::1".parse().ok());
        for text in ["192.0.2.1", "[192.0.2.1", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[é:]", "[]", "x"] {
            assert_eq!(literal(text), None, "{text}");
        }
    }
}
