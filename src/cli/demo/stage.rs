//! Scenarios for people who watch the page: one address for all of them, and a pause before each.

use std::io::IsTerminal as _;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::show;
use crate::cli::show::outln;
use crate::cli::show::styled;

/// The port of a server with the default settings.
const PORT: u16 = 8000;

/// Without a terminal, nobody presses Enter: time to look at how the scenario before has ended.
const PAUSE: Duration = Duration::from_secs(4);

/// Where the scenarios are shown.
pub(super) struct Stage {
    /// The port of each scenario's server.
    pub(super) port: u16,
}

impl Stage {
    /// Chooses the port, and prints the address.
    ///
    /// # Errors
    /// When no port is free.
    pub(super) fn new() -> anyhow::Result<Stage> {
        // Free again as soon as it is dropped.
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))
            .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let port = taken.and_then(|it| it.local_addr()).context("no free port")?.port();
        let address = styled(show::STRONG, format!("http://127.0.0.1:{port}/"));
        outln!("\nOpen {address} in a browser, and keep it open: each scenario shows there.");
        Ok(Stage { port })
    }

    /// Waits for Enter, or a moment where nobody can press it.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(super) fn wait(&self) -> anyhow::Result<()> {
        self.pause("Press Enter to begin the next scenario.")
    }

    /// Likewise, before the server of the last scenario ends.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(super) fn wait_at_end(&self) -> anyhow::Result<()> {
        self.pause("Press Enter to end.")
    }

    fn pause(&self, words: &str) -> anyhow::Result<()> {
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            std::thread::sleep(PAUSE);
            return Ok(());
        }
        outln!("\n{}", styled(show::FAINT, words));
        std::io::stdin().read_line(&mut String::new()).context("cannot read the terminal")?;
        Ok(())
    }
}
