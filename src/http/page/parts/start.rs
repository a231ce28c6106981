//! What to do where nothing happens, as a command to copy.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use askama::Template;

use crate::service::status::report::Report;

/// What to do where nothing happens.
#[derive(Debug, Template)]
#[template(path = "start.html")]
pub(super) struct Start {
    /// What the command does, and the command.
    command: Option<(&'static str, String)>,
}

/// The address that commands ask without a flag.
const DEFAULT: &str = "127.0.0.1:8000";

impl Start {
    /// For a server that listens on this address: the one under which a browser knows it is not the same for everybody.
    pub(super) fn new(report: &Report, listens: SocketAddr) -> Start {
        let command = report.start.map(|start| {
            let server = reachable(listens).to_string();
            let flag = if server == DEFAULT { String::new() } else { format!(" --url {server}") };
            (start.words, format!("{}{flag}", start.command))
        });
        Start { command }
    }
}

/// The address under which a terminal on the server's machine reaches it.
fn reachable(mut listens: SocketAddr) -> SocketAddr {
    match listens {
        SocketAddr::V4(address) if address.ip().is_unspecified() => {
            listens.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            listens.set_ip(Ipv6Addr::LOCALHOST.into());
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    listens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_every_network_is_reached_on_this_machine() {
        let reached = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:8000"), DEFAULT);
        assert_eq!(reached("[::]:9000"), "[::1]:9000");
        assert_eq!(reached("10.1.2.3:8000"), "10.1.2.3:8000");
    }
}
