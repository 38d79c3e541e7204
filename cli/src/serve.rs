//! Starting a gateway in this process: the flags that `up` and `gateway` share, and what they make
//! of them.
//!
//! Everything is checked here, before a port is bound or a folder is made; the crate `gateway` gets
//! a `Config` that is valid.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use gateway::config::StaticUpstream;
use gateway::{Config, Ready, RunError};
use net::DriverChoice;
use tracing::Level;

use crate::address::Address;
use crate::exit::{Exit, Failure};
use crate::limits::LimitFlags;

/// How long an address may stay taken before it counts as taken. The kernel tears the rings of a
/// killed gateway down after the process has gone, and its listeners live on until then: some
/// milliseconds, in which whoever starts it again must not be refused.
const FREE_WITHIN: Duration = Duration::from_secs(1);

/// Time between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Where it listens, what it keeps and how it runs.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; a port alone means 127.0.0.1, port 0 takes a free one
    /// (repeatable)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = listen)]
    listen: Vec<SocketAddr>,
    /// Listen even where another gateway does, to replace it: its listening sockets are taken over,
    /// so that no connection is lost when it ends
    #[arg(long)]
    reuse_port: bool,
    /// Directory for functions, sockets and logs [default: $XDG_STATE_HOME/ringway, else
    /// ~/.local/state/ringway]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Threads of the data plane [default: one per core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// How it waits for the network: auto takes io_uring (ring) where the kernel allows it, else
    /// epoll; monoio-uring is there to be compared with ring
    #[arg(long, value_name = "DRIVER", default_value = "auto",
          value_parser = ["auto", "ring", "io_uring", "monoio-uring", "epoll"])]
    driver: String,
    /// Serve a server that already runs as a function: NAME=http://HOST:PORT or NAME=unix:PATH
    /// (repeatable; one name several times makes replicas)
    #[arg(long = "static", value_name = "NAME=URL")]
    statics: Vec<StaticUpstream>,
    /// Least important messages that are logged to stderr
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = LogLevel::Info)]
    log_level: LogLevel,
    #[command(flatten)]
    limits: LimitFlags,
}

/// The small watchdog, in builds that carry it; see `build.rs`.
#[cfg(carries_watchdog)]
const CARRIED_WATCHDOG: Option<&[u8]> =
    Some(include_bytes!(concat!(env!("OUT_DIR"), "/fwatchdog")));
#[cfg(not(carries_watchdog))]
const CARRIED_WATCHDOG: Option<&[u8]> = None;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    /// Only what failed.
    Error,
    /// Also what may fail soon.
    Warn,
    /// Also what happens rarely.
    Info,
    /// Also what happens often.
    Debug,
    /// Everything.
    Trace,
}

impl Serve {
    /// The settings, proved valid as far as that is possible before starting.
    ///
    /// # Errors
    /// Usage.
    pub(crate) fn config(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, Failure> {
        let state_dir = match &self.state_dir {
            Some(folder) => folder.clone(),
            None => default_state_dir(variable).ok_or_else(|| {
                Failure::usage(
                    "neither XDG_STATE_HOME nor HOME is set: \
                     say with --state-dir where to keep functions",
                )
            })?,
        };
        let threads = match self.threads {
            Some(threads) => threads,
            None => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        Ok(Config {
            watchdog: CARRIED_WATCHDOG,
            listen: self.listen.clone(),
            take_over: self.reuse_port,
            state_dir,
            threads: threads.get(),
            driver: self
                .driver
                .parse::<DriverChoice>()
                .map_err(Failure::usage)?,
            statics: self.statics.clone(),
            limits: self.limits.limits(),
        })
    }

    /// Runs a gateway in this process until a signal ends it and what was in flight is done. Calls
    /// `on_ready` once it answers.
    ///
    /// # Errors
    /// `CannotStart` for an address that cannot be bound, a state directory that another gateway
    /// holds or a driver that the kernel refuses; `Software` when it broke down later.
    pub(crate) fn run(
        &self,
        config: &Config,
        on_ready: impl FnMut(&Ready<'_>),
    ) -> Result<(), Failure> {
        self.start_logging();
        for address in config
            .listen
            .iter()
            .filter(|address| !address.ip().is_loopback())
        {
            tracing::warn!(
                %address,
                "whoever reaches this address can run programs here: there is no authentication yet"
            );
        }
        if !self.reuse_port {
            refuse_shared(&config.listen)?;
        }
        gateway::run(config, on_ready).map_err(|error| {
            let exit = match error {
                RunError::Broken(_) => Exit::Software,
                _ => Exit::CannotStart,
            };
            Failure::new(exit, error.to_string())
        })
    }

    /// Sends log lines to stderr from now on.
    fn start_logging(&self) {
        let level = match self.log_level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        };
        let colours = io::IsTerminal::is_terminal(&io::stderr());
        // Fails only where a subscriber is set already, which then logs.
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(colours)
            .with_writer(io::stderr)
            .try_init()
            .ok();
    }
}

/// Refuses an address that somebody listens on already.
///
/// The workers share each address among themselves (SO_REUSEPORT), so the kernel would let a second
/// gateway of the same user in without a word, and every other request would go to the wrong one.
fn refuse_shared(addresses: &[SocketAddr]) -> Result<(), Failure> {
    let deadline = Instant::now() + FREE_WITHIN;
    for address in addresses.iter().filter(|address| address.port() != 0) {
        let is_taken = || {
            TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
        };
        let mut taken = is_taken();
        while taken && Instant::now() < deadline {
            thread::park_timeout(LOOK_EVERY);
            taken = is_taken();
        }
        if taken {
            return Err(Failure::new(
                Exit::CannotStart,
                format!(
                    "cannot listen on {address}: somebody listens there already; choose another \
                     with --listen, or take over from another gateway with --reuse-port"
                ),
            ));
        }
    }
    Ok(())
}

/// How a client on this machine reaches a gateway that listens on `listening`: an unspecified
/// address stands for all, loopback among them.
///
/// # Errors
/// Never in practice: every socket address makes a URL.
pub(crate) fn client_address(mut listening: SocketAddr) -> Result<Address, String> {
    match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listening.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listening.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Address::parse(&format!("http://{listening}"))
}

/// `ADDRESS:PORT`, `localhost:PORT` or a port alone. Names are not looked up: a listener wants one
/// address.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("`{text}` is not an address such as 127.0.0.1:8080, [::1]:8080 or 8080");
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse().map_err(|_not_an_address| wrong())
}

/// The state directory by the XDG base directory specification, which ignores relative paths.
fn default_state_dir(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state: PathBuf| state.join(Path::new("ringway")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        serve: Serve,
    }

    fn config(line: &[&str]) -> Config {
        let arguments = std::iter::once("up").chain(line.iter().copied());
        let variable = |name: &str| (name == "HOME").then(|| "/home/x".to_owned());
        Line::try_parse_from(arguments)
            .unwrap()
            .serve
            .config(variable)
            .unwrap()
    }

    #[test]
    fn defaults_are_for_one_machine() {
        let config = config(&[]);
        assert_eq!(config.listen, [SocketAddr::from(([127, 0, 0, 1], 8080))]);
        assert_eq!(config.state_dir, Path::new("/home/x/.local/state/ringway"));
        assert!(config.threads >= 1 && config.statics.is_empty());
        assert_eq!(config.driver, DriverChoice::Auto);
    }

    #[test]
    fn flags_replace_defaults() {
        let config = config(&[
            "--listen",
            "[::1]:1",
            "--listen",
            "0",
            "--threads",
            "3",
            "--driver",
            "epoll",
            "--state-dir",
            "s",
        ]);
        assert_eq!(
            config.listen,
            [
                "[::1]:1".parse().unwrap(),
                SocketAddr::from(([127, 0, 0, 1], 0))
            ]
        );
        assert_eq!((config.threads, config.driver), (3, DriverChoice::Epoll));
        assert_eq!(config.state_dir, Path::new("s"));
    }

    #[test]
    fn addresses_in_every_form() {
        assert_eq!(
            listen("localhost:80"),
            Ok(SocketAddr::from(([127, 0, 0, 1], 80)))
        );
        assert_eq!(listen("0.0.0.0:1"), Ok(SocketAddr::from(([0, 0, 0, 0], 1))));
        for wrong in [
            "",
            "x",
            "127.0.0.1",
            "127.0.0.1:99999",
            "example.org:80",
            ":80",
        ] {
            assert!(listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_refused_before_anything_starts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap();
        let failure = refuse_shared(&[taken]).unwrap_err();
        assert_eq!(failure.exit(), Exit::CannotStart);
        assert!(failure.to_string().contains("--reuse-port"), "{failure}");
        refuse_shared(&[SocketAddr::from(([127, 0, 0, 1], 0))]).unwrap();
    }

    #[test]
    fn all_addresses_are_reached_through_loopback() {
        for (listening, url) in [
            ("127.0.0.1:1", "http://127.0.0.1:1"),
            ("0.0.0.0:1", "http://127.0.0.1:1"),
            ("[::]:1", "http://[::1]:1"),
            ("192.0.2.1:1", "http://192.0.2.1:1"),
        ] {
            let address = client_address(listening.parse().unwrap()).unwrap();
            assert_eq!(address.to_string(), url);
        }
    }

    #[test]
    fn the_state_directory_follows_xdg() {
        let xdg = |value: &'static str| {
            move |name: &str| match name {
                "XDG_STATE_HOME" => Some(value.to_owned()),
                _ => None,
            }
        };
        assert_eq!(
            default_state_dir(xdg("/s")),
            Some(PathBuf::from("/s/ringway"))
        );
        assert_eq!(default_state_dir(xdg("relative")), None);
    }
}
