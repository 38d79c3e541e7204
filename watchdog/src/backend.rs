//! What answers calls: by mode, with all that stays from one call to the next.
//!
//! Here the modes are told apart; a new one is a variant here and a room in `mode`.

use std::rc::Rc;

use crate::config::{Fork, Mode};
use crate::connection::{Connection, Next, too_many};
use crate::mode::{fork, http, static_files, worker};
use crate::reply::Failure;
use crate::request::Request;
use crate::service::Service;

/// What answers calls.
#[derive(Debug)]
pub(crate) enum Backend {
    /// A process for each call; some may be started already.
    Fork(Fork, Rc<fork::Shelf>),
    /// One process with an HTTP server.
    Http(Rc<http::Function>),
    /// Processes that take one call after the other.
    Worker(Rc<worker::Pool>),
    /// No process.
    Static,
}

impl Backend {
    /// # Errors
    /// A sentence that names the setting.
    pub(crate) fn new(mode: &Mode) -> Result<Self, String> {
        Ok(match mode {
            Mode::Fork(fork) => Self::Fork(*fork, Rc::new(fork::Shelf::new(fork.prefork))),
            Mode::Http(http) => Self::Http(Rc::new(http::Function::new(http)?)),
            Mode::Worker(settings) => Self::Worker(Rc::new(worker::Pool::new(settings))),
            Mode::Static(_) => Self::Static,
        })
    }

    /// Begins what goes on beside the calls.
    pub(crate) fn start(&self, service: &Rc<Service>) {
        match self {
            Self::Fork(_, shelf) if shelf.is_on() => {
                net::spawn(fork::fill(Rc::clone(shelf), Rc::clone(service)));
            }
            Self::Http(function) => {
                net::spawn(http::keep(Rc::clone(function), Rc::clone(service)));
            }
            Self::Worker(pool) => pool.start(service),
            Self::Fork(..) | Self::Static => {}
        }
    }

    /// Where calls are passed on to, if they are.
    pub(crate) fn place(&self) -> Option<&str> {
        match self {
            Self::Http(function) => Some(function.place()),
            Self::Fork(..) | Self::Worker(_) | Self::Static => None,
        }
    }

    /// Why nothing should be sent here.
    pub(crate) fn not_healthy(&self) -> Option<Failure> {
        match self {
            Self::Http(function) => function.not_listening(),
            Self::Fork(..) | Self::Worker(_) | Self::Static => None,
        }
    }

    /// Why a call now would fail.
    pub(crate) async fn not_ready(&self, service: &Service) -> Option<Failure> {
        if let Mode::Static(files) = &service.config.mode {
            return static_files::not_ready(&files.folder);
        }
        if let Err(why) = service.template() {
            return Some(Failure::new(503, "no-program", why));
        }
        match self {
            Self::Http(function) => http::not_ready(function).await,
            Self::Worker(pool) => pool.not_ready(),
            Self::Fork(..) | Self::Static => None,
        }
    }

    /// Ends, in order, the processes that wait for calls; all calls are over.
    pub(crate) async fn end(&self) {
        match self {
            Self::Http(function) => function.end().await,
            Self::Worker(pool) => pool.end().await,
            Self::Fork(..) | Self::Static => {}
        }
    }
}

/// Answers one call.
pub(crate) async fn call(connection: &mut Connection, request: &Request) -> Next {
    let service = Rc::clone(&connection.service);
    let max = service.config.max_inflight;
    // Held until the answer is through, or a tunnel is closed; `fork` gives it back itself.
    let Some(place) = service.calls.enter(max) else {
        let failure = too_many(max.unwrap_or_default());
        return connection.refuse(request, &failure).await;
    };
    match &service.backend {
        Backend::Fork(settings, shelf) => {
            fork::call(connection, request, place, *settings, shelf).await
        }
        Backend::Http(function) => http::call(connection, request, function).await,
        Backend::Worker(pool) => worker::call(connection, request, pool).await,
        Backend::Static => match connection.found.take() {
            Some(found) => static_files::call(connection, request, found).await,
            // Each head that is read leaves one.
            None => Next::BreakOff,
        },
    }
}
