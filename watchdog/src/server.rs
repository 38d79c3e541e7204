//! The start: take over what was inherited, listen, accept.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;

use net::{Driver, Listener, Runtime, Signals, Stream, sleep};
use nix::sys::signal::Signal;
use socket2::Socket;

use crate::backend::Backend;
use crate::calls::Calls;
use crate::config::{Config, MetricsPort, Mode};
use crate::limits::ACCEPT_PAUSE;
use crate::lock_file::LockFile;
use crate::mode::static_files;
use crate::service::Service;
use crate::{connection, identity, log, metrics, shutdown};

/// Exit code when it cannot do its work: `EX_UNAVAILABLE` of sysexits(3).
const EXIT_UNAVAILABLE: u8 = 69;

/// The first descriptor that is handed over, sd_listen_fds(3).
const HANDED_OVER_FD: i32 = 3;

/// Runs until the shutdown is over.
pub(crate) fn run(config: Config) -> ExitCode {
    log::set_style(config.log);
    match try_run(config) {
        Ok(code) => code,
        Err(error) => {
            log::last_words(&error);
            ExitCode::from(EXIT_UNAVAILABLE)
        }
    }
}

fn try_run(mut config: Config) -> Result<ExitCode, String> {
    // First of all, before anything else can get their numbers.
    let socket = listening_socket(&config)?;
    let lifeline = config.lifeline_fd.map(lifeline).transpose()?;
    let metrics_socket = metrics_socket(&mut config)?;
    // After the sockets, since low ports are root's, and before all else: the lock file is then the
    // user's to remove, and the driver is one that the user may have. There is one thread yet.
    identity::apply(&config.process)?;
    let driver = Driver::select(config.driver).map_err(|error| error.to_string())?;
    process::become_subreaper().map_err(|error| format!("orphans cannot be adopted: {error}"))?;
    let failed = |what: &str, error: io::Error| format!("{what}: {error}");
    let (mut runtime, driver) = Runtime::on_any(driver).map_err(|error| error.to_string())?;
    let backend = Backend::new(&config.mode)?;
    let calls = Calls::new();
    runtime.block_on(async {
        let signals = Signals::new(&[Signal::SIGTERM, Signal::SIGINT])
            .map_err(|error| failed("signals cannot be watched", error))?;
        let listener =
            Listener::new(socket).map_err(|error| failed("the socket cannot be used", error))?;
        let metrics_listener = metrics_socket
            .map(Listener::new)
            .transpose()
            .map_err(|error| failed("the socket for metrics cannot be used", error))?;
        let lock_file = match config.switches.suppress_lock {
            true => None,
            false => Some(write_lock_file(&config)?),
        };
        calls.keep_as_first_process();
        let service = Rc::new(Service::new(config, calls, lock_file, backend));
        log_start(&service, &driver);
        if let Some(listener) = metrics_listener {
            net::spawn(metrics::serve(Rc::clone(&service), listener));
        }
        service.backend.start(&service);
        Ok(shutdown::run(&service, listener, signals, lifeline).await)
    })
}

fn listening_socket(config: &Config) -> Result<Socket, String> {
    if config.is_handed_over {
        return net::inherited_listener(HANDED_OVER_FD)
            .ok_or_else(|| "LISTEN_FDS: descriptor 3 is not a listening socket".to_owned());
    }
    let port = config.port;
    bind(port).map_err(|error| {
        format!("port: {port} cannot be listened on: {error}; set `port` to a free one")
    })
}

/// None if there are to be no metrics, or if the port that nobody asked for is taken.
fn metrics_socket(config: &mut Config) -> Result<Option<Socket>, String> {
    let Some(MetricsPort {
        number: port,
        is_default,
    }) = config.metrics_port
    else {
        return Ok(None);
    };
    match bind(port) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if is_default => {
            log::line(&format!(
                "no metrics: port {port} cannot be listened on: {error}; set `metrics_port` to a free one, or to 0"
            ));
            config.metrics_port = None;
            Ok(None)
        }
        // Whoever asks there would read another's numbers.
        Err(error) => Err(format!(
            "metrics_port: {port} cannot be listened on: {error}; set `metrics_port` to a free one, or to 0 for no metrics"
        )),
    }
}

fn bind(port: u16) -> io::Result<Socket> {
    // One socket for both IP versions where the machine has IPv6.
    let any = [
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
    ];
    net::bind_tcp(any[0], false).or_else(|_no_ipv6| net::bind_tcp(any[1], false))
}

fn lifeline(fd: i32) -> Result<OwnedFd, String> {
    net::inherited_pipe(fd)
        .ok_or_else(|| format!("RINGWAY_LIFELINE_FD: descriptor {fd} is not open"))
}

fn write_lock_file(config: &Config) -> Result<LockFile, String> {
    LockFile::write(&config.temp_dir).map_err(|error| {
        format!(
            "the lock file cannot be written to {}: {error}; set TMPDIR to a folder that can be written, or suppress_lock=true",
            config.temp_dir.display()
        )
    })
}

fn log_start(service: &Service, driver: &Driver) {
    let config = &service.config;
    let place = match config.is_handed_over {
        true => "the socket that was handed over".to_owned(),
        false => format!("port {}", config.port),
    };
    let to = match service.backend.place() {
        None => String::new(),
        Some(place) => format!(", passed on to {place}"),
    };
    let what = match &config.mode {
        Mode::Static(files) => format!("files of {}", files.folder.display()),
        _ => format!("fprocess `{}`", config.command_line),
    };
    let metrics = match config.metrics_port {
        None => String::new(),
        Some(port) => format!(", metrics on port {}", port.number),
    };
    log::line(&format!(
        "ringway watchdog {}: {what} on {place}{to}{metrics}, driver {} ({})",
        env!("CARGO_PKG_VERSION"),
        driver.kind,
        driver.reason
    ));
    if let Mode::Static(files) = &config.mode {
        if files.has_program {
            log::line("fprocess is not used in static mode");
        }
        if let Some(failure) = static_files::not_ready(&files.folder) {
            let why = failure.message;
            log::line(&format!("{why}; every call will get status 503 until then"));
        }
    } else if let Err(why) = service.template() {
        log::line(&format!(
            "{why}; every call will get status 500 until it is there"
        ));
    }
}

/// Accepts connections for ever. Dropping it loses none.
pub(crate) async fn accept(service: &Rc<Service>, listener: &Listener) {
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => serve(service, stream),
            Err(error) => not_accepted(&error).await,
        }
    }
}

/// Accepts the connections that wait in the backlog already.
pub(crate) async fn accept_waiting(service: &Rc<Service>, listener: &Listener) {
    loop {
        match listener.accept_waiting().await {
            Ok(Some((stream, _peer))) => serve(service, stream),
            Ok(None) => return,
            Err(error) => not_accepted(&error).await,
        }
    }
}

fn serve(service: &Rc<Service>, stream: Stream) {
    // Here and not in the task, which has not begun yet: a shutdown must know of it from now on.
    let open = service.open(stream.receiver.stopper());
    net::spawn(connection::serve(Rc::clone(service), stream, open));
}

/// Waits a moment before the next try.
pub(crate) async fn not_accepted(error: &io::Error) {
    // The connection was gone before it could be accepted.
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    log::line(&format!(
        "no connection can be accepted: {error}; trying again"
    ));
    sleep(ACCEPT_PAUSE).await;
}
