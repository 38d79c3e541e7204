//! One connection: request after request, in order.
//!
//! This is the way of a request through the watchdog, from its first byte to the decision whether
//! another may follow. Pipelined requests wait in the input until their turn.

use std::rc::Rc;
use std::time::Instant;

use conduit::{Pump, Reframe};
use net::{Chunk, ChunkMut, Either, Sender, Stream, race, sleep};
use process::Environment;
use wire::{Framing, RequestHead};

use crate::config::{Config, Mode};
use crate::input::Input;
use crate::limits::{ERROR_REPLY_MAX, IDLE_MAX, LINGER_BYTES_MAX, LINGER_MAX, RETRY_AFTER_S};
use crate::marshal::Marshal;
use crate::mode::{http, static_files, worker};
use crate::reply::{self, About, Failure};
use crate::request::{Request, Route};
use crate::service::{OpenConnection, Service};
use crate::timers::Timers;
use crate::{backend, cgi, log};

/// A client's connection and what is reused from request to request.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) service: Rc<Service>,
    /// When the first byte of the current request was there.
    arrived: Instant,
    pub(crate) input: Input,
    pub(crate) sender: Sender,
    /// The body of the current request.
    pub(crate) body: Pump,
    /// Variables of the current request.
    pub(crate) environment: Environment,
    /// The current request as a JSON document, if that is asked for.
    pub(crate) marshal: Option<Marshal>,
    /// The current request's head as the function's own server, or a worker, gets it.
    pub(crate) forward: Option<ChunkMut>,
    /// What was found for the current request, in static mode.
    pub(crate) found: Option<Result<static_files::Answer, Failure>>,
    pub(crate) timers: Timers,
}

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another request may follow.
    Request,
    /// Nothing more is to be sent; what still comes is read for a moment, then it is closed.
    Linger,
    /// The client is gone, or is to see that the answer is not complete.
    BreakOff,
}

/// Serves a connection to its end, counted as `open`.
pub(crate) async fn serve(service: Rc<Service>, stream: Stream, open: OpenConnection) {
    let input = Input::new(stream.receiver);
    let mut connection = Connection {
        service: Rc::clone(&service),
        arrived: Instant::now(),
        input,
        sender: stream.sender,
        body: Pump::new(Framing::None, Reframe::Keep, None),
        environment: Environment::default(),
        marshal: None,
        forward: None,
        found: None,
        timers: Timers::default(),
    };
    while let Some(request) = connection.next_request(&open).await {
        let is_counted = request.route == Route::Function;
        let metrics = service.metrics.as_ref().filter(|_| is_counted);
        if let Some(metrics) = metrics {
            metrics.begin();
        }
        let next = connection.answer(&request).await;
        if let Some(metrics) = metrics {
            metrics.end(connection.arrived, &request);
        }
        match next {
            // A shutdown may end it from now on: calls have flushed their answers by then, within
            // their own time, and the end of a short reply has its time in `close`.
            Next::Request => open.set_busy(false),
            Next::Linger => return connection.linger().await,
            Next::BreakOff => break,
        }
        if connection.service.is_stopping() {
            break;
        }
    }
    connection.close().await;
}

impl Connection {
    /// Waits for the next request; none at the end of the connection. What is wrong with it has
    /// been answered by then.
    async fn next_request(&mut self, open: &OpenConnection) -> Option<Request> {
        self.timers.read.set(Some(IDLE_MAX));
        match race(self.input.wait(), self.timers.read.expired()).await {
            Either::First(Ok(true)) => {}
            Either::First(_) | Either::Second(()) => return None,
        }
        // From the first byte on, a shutdown waits for this request.
        open.set_busy(true);
        self.arrived = Instant::now();
        let read_timeout = self.service.config.read_timeout;
        let deadline = read_timeout.map(|limit| self.arrived + limit);
        self.timers.read.set_at(deadline);
        let config = &self.service.config;
        let make = |head: &RequestHead<'_>| {
            let request = Request::from_head(head);
            self.environment.clear();
            (self.marshal, self.forward, self.found) = (None, None, None);
            if request.route == Route::Function {
                if config.switches.debug_headers {
                    log_headers(head);
                }
                match &config.mode {
                    Mode::Fork(_) => {
                        self.marshal = prepare_fork(head, config, &mut self.environment);
                    }
                    Mode::Http(http) => self.forward = Some(http::head(head, http)),
                    Mode::Worker(_) => self.forward = Some(worker::head(head)),
                    Mode::Static(files) => self.found = Some(static_files::find(head, files)),
                }
            }
            request
        };
        let failure = match race(self.input.head(make), self.timers.read.expired()).await {
            Either::First(Ok(request)) => {
                self.body = self.service.config.mode.body(request.framing);
                return Some(request);
            }
            Either::First(Err(error)) => error.failure()?,
            Either::Second(()) => self.read_timeout(),
        };
        if self
            .send(reply::failure(
                &failure,
                About {
                    request: None,
                    keep: false,
                },
            ))
            .await
            .is_ok()
        {
            self.linger().await;
        }
        None
    }

    async fn answer(&mut self, request: &Request) -> Next {
        let ill = match request.route {
            Route::Function => return backend::call(self, request).await,
            Route::Health | Route::Ready if !request.is_read => Some(only_to_read()),
            Route::Health => self.not_healthy(),
            Route::Ready => self.not_ready().await,
        };
        if let Some(failure) = ill {
            return self.refuse(request, &failure).await;
        }
        let keep = self.skip_body(request);
        let about = About {
            request: Some(request),
            keep,
        };
        self.send_last(reply::text(200, "OK\n", about), keep).await
    }

    /// Why nothing should be sent here.
    fn not_healthy(&self) -> Option<Failure> {
        if !self.service.is_healthy() {
            return Some(Failure::new(
                503,
                "not-healthy",
                "not healthy: it is shutting down, or its lock file is gone",
            ));
        }
        self.service.backend.not_healthy()
    }

    /// Why a call now would be refused.
    async fn not_ready(&self) -> Option<Failure> {
        if let Some(failure) = self.not_healthy() {
            return Some(failure);
        }
        let max = self.service.config.max_inflight;
        if let Some(max) = max.filter(|max| self.service.calls.in_flight() >= *max) {
            return Some(too_many(max));
        }
        self.service.backend.not_ready(&self.service).await
    }

    /// Answers with a failure before anything of the body was used.
    pub(crate) async fn refuse(&mut self, request: &Request, failure: &Failure) -> Next {
        let keep = self.skip_body(request);
        self.send_last(
            reply::failure(
                failure,
                About {
                    request: Some(request),
                    keep,
                },
            ),
            keep,
        )
        .await
    }

    /// Tells the client that its call has failed, before anything was answered; with no failure
    /// nobody is there to hear it. If the rest of the body `is_lost`, no other request can follow.
    pub(crate) async fn give_up(
        &mut self,
        request: &Request,
        failure: Option<Failure>,
        is_lost: bool,
    ) -> Next {
        match failure {
            None => Next::BreakOff,
            Some(failure) if is_lost => {
                let about = About {
                    request: Some(request),
                    keep: false,
                };
                self.send_last(reply::failure(&failure, about), false).await
            }
            Some(failure) => self.refuse(request, &failure).await,
        }
    }

    /// Sends the last part of an answer and says how the connection goes on.
    pub(crate) async fn send_last(&mut self, chunk: Chunk, keep: bool) -> Next {
        match self.send(chunk).await {
            Ok(()) if keep => Next::Request,
            Ok(()) => Next::Linger,
            Err(_) => Next::BreakOff,
        }
    }

    /// Sends a short answer; its time is bounded, since the client's window may be closed.
    pub(crate) async fn send(&mut self, chunk: Chunk) -> std::io::Result<()> {
        self.timers.call.set(ERROR_REPLY_MAX);
        match race(self.sender.send(chunk), self.timers.call.expired()).await {
            Either::First(sent) => sent,
            Either::Second(()) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    /// Whether the connection can go on after the current request: its body must have come whole.
    pub(crate) fn can_keep(&self, request: &Request) -> bool {
        request.keep_alive
            && self.body.is_done()
            && !self.input.is_cut_off()
            && !self.service.is_stopping()
    }

    /// Skips the body, as far as it is there already, and says whether the connection can go on.
    pub(crate) fn skip_body(&mut self, request: &Request) -> bool {
        while let Ok(Some(_)) = self.input.ready_body(&mut self.body) {}
        self.can_keep(request)
    }

    pub(crate) fn read_timeout(&self) -> Failure {
        let limit = self.service.config.read_timeout.unwrap_or_default();
        let message = format!(
            "the request did not arrive within read_timeout ({limit:?}); send it faster, or raise read_timeout"
        );
        Failure::new(408, "read-timeout", message)
    }

    /// Lets what is on its way to the client go out.
    async fn close(&mut self) {
        race(self.sender.flush(), sleep(ERROR_REPLY_MAX)).await;
    }

    /// Lets the client read the last answer before the connection is closed.
    async fn linger(&mut self) {
        let finished = race(self.sender.finish(), sleep(ERROR_REPLY_MAX)).await;
        if !matches!(finished, Either::First(Ok(()))) {
            return;
        }
        let drain = async {
            let mut bytes = 0;
            // A receive that was given up may take some of it: nobody wants it.
            let mut skip = Pump::new(Framing::UntilClose, Reframe::Keep, None);
            while let Ok(Some(piece)) = self.input.body(&mut skip).await {
                bytes += piece.len();
                if bytes > LINGER_BYTES_MAX {
                    return;
                }
            }
        };
        race(drain, sleep(LINGER_MAX)).await;
    }
}

/// What a program is to get of a head: variables, or a document.
fn prepare_fork(
    head: &RequestHead<'_>,
    config: &Config,
    environment: &mut Environment,
) -> Option<Marshal> {
    if config.switches.cgi_headers {
        cgi::fill(environment, head);
    }
    config.switches.marshal_request.then(|| Marshal::new(head))
}

fn log_headers(head: &RequestHead<'_>) {
    let target = head.origin_form().concat();
    let target = String::from_utf8_lossy(&target);
    log::line(&format!("{} {target}", head.method.as_str()));
    for header in &head.headers {
        let (name, value) = (
            String::from_utf8_lossy(header.name),
            String::from_utf8_lossy(header.value),
        );
        log::line(&format!("  {name}: {value}"));
    }
}

fn only_to_read() -> Failure {
    let message = "health and readiness can be asked for with GET and HEAD only";
    Failure {
        header: Some(("Allow", b"GET, HEAD".to_vec())),
        ..Failure::new(405, "method-not-allowed", message)
    }
}

pub(crate) fn too_many(max: usize) -> Failure {
    let message = format!(
        "max_inflight is reached: {max} calls are running; try again later, or raise max_inflight"
    );
    Failure {
        retry_after_s: Some(RETRY_AFTER_S),
        ..Failure::new(429, "max-inflight", message)
    }
}
