//! The function's own server as its callers see it: whether it listens, and a connection to it.
//!
//! `life` starts, watches and ends the process behind it and says here what has become of it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use net::{Either, Endpoint, Stream, Waiters, race, sleep};

use super::hosts;
use super::pool::Pool;
use super::ready::Ready;
use super::trouble::Trouble;
use crate::config::{Http, Place};
use crate::limits::{CONNECT_MAX, CONNECT_PAUSE, CONNECT_PAUSE_MAX, RETRY_AFTER_S};
use crate::reply::Failure;

/// What has become of the process.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// It is starting, or will be started again: requests wait.
    Starting,
    /// It listens there.
    Listening(Endpoint),
    /// There will be none before something is changed: requests are told at once.
    Impossible(Failure),
}

/// The function's own server. It lives on one thread.
#[derive(Debug)]
pub(crate) struct Function {
    /// Where it may listen, as found at the start; a chosen port is put in later.
    pub(super) endpoints: Vec<Endpoint>,
    /// Where it listens, in words.
    place: String,
    pub(super) start_timeout: Duration,
    pub(super) tunnel_idle_timeout: Option<Duration>,
    /// Bodies of requests are collected whole before they go on.
    pub(super) collects_bodies: bool,
    /// How it is asked whether it is ready, if it is.
    pub(super) ready: Option<Ready>,
    state: RefCell<State>,
    /// How the process before went down.
    last_end: RefCell<Option<Rc<str>>>,
    /// Goes up with each process; a connection belongs to one.
    generation: Cell<u64>,
    pool: Pool,
    is_ending: Cell<bool>,
    is_gone: Cell<bool>,
    changed: Waiters,
}

/// A connection to the server.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) stream: Stream,
    /// It has been idle, so that the server may be closing it at this moment.
    pub(super) reused: bool,
    /// Which process it leads to.
    pub(super) generation: u64,
}

impl Function {
    /// Looks the name in the URL up, if it has one.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub(crate) fn new(http: &Http) -> Result<Self, String> {
        let (endpoints, place) = match &http.upstream.place {
            Place::Unix(path) => {
                let endpoint = Endpoint::Unix(path.clone());
                (vec![endpoint.clone()], endpoint.to_string())
            }
            Place::Address(address, port) => {
                let endpoint = Endpoint::Tcp((*address, *port).into());
                (
                    vec![endpoint],
                    format!("http://{}", http.upstream.authority),
                )
            }
            Place::Name(name, port) => {
                let addresses = hosts::look_up(name).map_err(|error| {
                    format!(
                        "http_upstream_url: the address of `{name}` cannot be found: {error}; give an address, such as http://127.0.0.1:5000"
                    )
                })?;
                let endpoint = |address| Endpoint::Tcp((address, *port).into());
                let endpoints = addresses.into_iter().map(endpoint).collect();
                (endpoints, format!("http://{}", http.upstream.authority))
            }
        };
        Ok(Self {
            endpoints,
            place,
            start_timeout: http.start_timeout,
            tunnel_idle_timeout: http.tunnel_idle_timeout,
            collects_bodies: http.buffer_bytes_max.is_some(),
            ready: Ready::of(http),
            state: RefCell::new(State::Starting),
            last_end: RefCell::default(),
            generation: Cell::new(0),
            pool: Pool::default(),
            is_ending: Cell::new(false),
            is_gone: Cell::new(false),
            changed: Waiters::default(),
        })
    }

    /// Where it listens, in words.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Where the process that runs now listens, if it does.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        match &*self.state.borrow() {
            State::Listening(endpoint) => Some(endpoint.clone()),
            _ => None,
        }
    }

    /// Why nothing should be sent here, if so.
    pub(crate) fn not_listening(&self) -> Option<Failure> {
        match &*self.state.borrow() {
            State::Listening(_) => None,
            State::Impossible(failure) => Some(Failure {
                status: 503,
                ..failure.clone()
            }),
            State::Starting => Some(Failure::new(
                503,
                "not-listening",
                format!(
                    "not ready: the function does not listen at {} yet{}",
                    self.place,
                    self.before()
                ),
            )),
        }
    }

    /// What to tell a request at once, if waiting is of no use.
    pub(super) fn impossible(&self) -> Option<Failure> {
        match &*self.state.borrow() {
            State::Impossible(failure) => Some(failure.clone()),
            _ => None,
        }
    }

    /// What to tell a request that has waited for nothing.
    pub(super) fn never_listened(&self) -> Failure {
        let message = format!(
            "the function did not listen at {} within start_timeout ({:?}){}; see its log",
            self.place,
            self.start_timeout,
            self.before()
        );
        Failure {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Failure::new(503, "not-listening", message)
        }
    }

    /// Takes a connection that has carried a request before, if there is one.
    pub(super) fn idle_connection(&self) -> Option<Upstream> {
        Some(Upstream {
            stream: self.pool.take()?,
            reused: true,
            generation: self.generation.get(),
        })
    }

    /// Makes a connection, and waits for the server to listen as long as that takes, but no longer
    /// than `start_timeout`.
    ///
    /// # Errors
    /// [`Trouble::Refused`] where it does not listen in time or never will,
    /// [`Trouble::ConnectFailed`] for what waiting cannot mend.
    pub(super) async fn connect(&self) -> Result<Upstream, Trouble> {
        // Nearly always it listens, and nothing needs a timer.
        if let Some(connected) = self.try_connect().await {
            return connected;
        }
        let waiting = async {
            let mut pause = CONNECT_PAUSE;
            loop {
                self.changed.until(|| !self.is_starting()).await;
                if let Some(connected) = self.try_connect().await {
                    return connected;
                }
                // It runs but does not listen any more, or its end has not been noticed yet.
                sleep(pause).await;
                pause = (pause * 2).min(CONNECT_PAUSE_MAX);
            }
        };
        match race(pin!(waiting), sleep(self.start_timeout)).await {
            Either::First(connected) => connected,
            Either::Second(()) => Err(Trouble::Refused(self.never_listened())),
        }
    }

    /// Makes a connection now; none if nobody listens.
    async fn try_connect(&self) -> Option<Result<Upstream, Trouble>> {
        let endpoint = match &*self.state.borrow() {
            State::Starting => return None,
            State::Impossible(failure) => return Some(Err(Trouble::Refused(failure.clone()))),
            State::Listening(endpoint) => endpoint.clone(),
        };
        let generation = self.generation.get();
        match within(CONNECT_MAX, Stream::connect(&endpoint)).await {
            Ok(stream) => Some(Ok(Upstream {
                stream,
                reused: false,
                generation,
            })),
            Err(error) if is_not_there(&error) => None,
            Err(error) => Some(Err(Trouble::ConnectFailed(error))),
        }
    }

    /// Puts a connection back that is between two requests.
    pub(super) fn put_back(&self, upstream: Upstream) {
        if upstream.generation == self.generation.get() && self.is_listening() {
            self.pool.put(upstream.stream);
        }
    }

    /// Says what has become of the process.
    pub(super) fn set(&self, state: State) {
        if matches!(state, State::Listening(_)) {
            self.generation.set(self.generation.get() + 1);
        } else {
            self.pool.clear();
        }
        *self.state.borrow_mut() = state;
        self.changed.wake_all();
    }

    /// Says that the process went down, and how.
    pub(super) fn fell(&self, how: &str, state: State) {
        *self.last_end.borrow_mut() = Some(how.into());
        self.set(state);
    }

    /// Waits until the process of this generation is down, for `limit` at most, and says how it
    /// went down if so.
    pub(super) async fn down(&self, generation: u64, limit: Duration) -> Option<Rc<str>> {
        let is_down = || !self.is_listening() || self.generation.get() != generation;
        match race(self.changed.until(is_down), sleep(limit)).await {
            Either::First(()) => self.last_end.borrow().clone(),
            Either::Second(()) => None,
        }
    }

    fn is_starting(&self) -> bool {
        matches!(&*self.state.borrow(), State::Starting)
    }

    fn is_listening(&self) -> bool {
        matches!(&*self.state.borrow(), State::Listening(_))
    }

    fn before(&self) -> String {
        let last = self.last_end.borrow();
        let words = last
            .as_deref()
            .map(|last| format!(" (before that, {last})"));
        words.unwrap_or_default()
    }

    /// Ends the process, in order, and waits until it is gone.
    pub(crate) async fn end(&self) {
        self.is_ending.set(true);
        self.changed.wake_all();
        self.changed.until(|| self.is_gone.get()).await;
    }

    /// Waits until it is to end.
    pub(super) async fn ending(&self) {
        self.changed.until(|| self.is_ending.get()).await;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// Says that the process is gone for good.
    pub(super) fn gone(&self) {
        self.is_gone.set(true);
        self.changed.wake_all();
    }
}

/// Waits for `future`, or fails with `TimedOut`.
pub(super) async fn within<T>(
    limit: Duration,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match race(future, sleep(limit)).await {
        Either::First(result) => result,
        Either::Second(()) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Nobody listens there, or it accepts nothing: that may change.
fn is_not_there(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound, TimedOut};
    matches!(error.kind(), ConnectionRefused | NotFound | TimedOut)
}
