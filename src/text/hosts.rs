//! Hosts of addresses.

use std::net::IpAddr;

/// Whether the host is this machine. Other names need a lookup, whose result may change.
pub(crate) fn is_loopback(host: &str) -> bool {
    let number = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || number.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
