//! A process for each request: body to standard input, standard output to the body.
//!
//! These are four modes. They differ in how much of the output is held back, `config::Holding`, and in
//! whether the body is collected first: fork and classic hold the beginning back, serializing all of
//! it, streaming nothing. In each of them processes may be started ahead of the requests (`shelf`).
//!
//! [`call`] is the whole of it, top to bottom. The two sides of a call, the client (`client`) and
//! the program (`program`), go on at the same time, so that a program which fills its output before
//! it reads its input cannot block; the first end of either, or the time limit, ends the call.

mod client;
mod output;
mod pieces;
mod program;
mod shelf;
mod start;
mod stop;

pub(crate) use shelf::{Shelf, fill};

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use net::{Either, race};
use process::Exit;

use crate::calls::InFlight;
use crate::config::{Fork, Holding};
use crate::connection::{Connection, Next};
use crate::deadline::Deadline;
use crate::limits::{ERROR_REPLY_MAX, SLOW_CALL};
use crate::log;
use crate::reply::{self, About, Failure};
use crate::request::Request;

use client::Feed;
use output::Output;
use program::Program;
use stop::Stop;

/// Answers one request by running the program.
pub(crate) async fn call(
    connection: &mut Connection,
    request: &Request,
    // Held until the process has been reaped, so that the limit counts processes; and as long as a
    // whole output is in memory, so that it bounds that too.
    mut place: InFlight,
    fork: Fork,
    shelf: &Rc<Shelf>,
) -> Next {
    let service = Rc::clone(&connection.service);
    let template = match service.template() {
        Ok(template) => template,
        Err(why) => {
            return connection
                .refuse(request, &Failure::new(500, "no-program", why))
                .await;
        }
    };
    let mut deadline = match Deadline::of(&service.config, request) {
        Ok(deadline) => deadline,
        Err(failure) => return connection.refuse(request, &failure).await,
    };
    let body = match client::prepare(connection, request, fork.body_bytes_max).await {
        Ok(body) => body,
        Err(next) => return next,
    };
    if fork.body_bytes_max.is_some() {
        // The program is not to pay for a client that was slow.
        deadline.begin_again();
    }
    log::line(&format!("Forking fprocess {}", service.config.command_line));
    let started = Instant::now();
    let (mut program, mut feed) = match shelf.take() {
        Some((program, stdin)) => (program, Feed::through(stdin, body)),
        None => match start::start(&template, &service, &connection.environment, Some(body)) {
            Ok(both) => both,
            Err(failure) => return connection.refuse(request, &failure).await,
        },
    };
    place.has_process(program.child.pid());

    let mut output = Output::new(request, &service, fork, started);
    let result = run(connection, &mut program, &mut feed, &mut output, &deadline).await;

    let end = match result {
        Ok(()) => program.finish(),
        Err(stop) => {
            program.end().await;
            Err(stop)
        }
    };
    place.has_no_process();
    let _place = matches!(fork.holding, Holding::Whole(_)).then_some(place);
    match end {
        Ok(exit) => answer(connection, request, output, exit, &deadline).await,
        Err(stop) => give_up(connection, request, &output, &stop, &deadline).await,
    }
}

/// Moves bytes both ways until the program has ended and its output is read, or something stops
/// the call.
async fn run(
    connection: &mut Connection,
    program: &mut Program,
    feed: &mut Feed,
    output: &mut Output<'_>,
    deadline: &Deadline,
) -> Result<(), Stop> {
    let Connection {
        input,
        sender,
        body,
        marshal,
        timers,
        ..
    } = connection;
    timers.slow_client.set(SLOW_CALL);
    timers.slow_program.set(SLOW_CALL);
    deadline.set(&timers.call);
    // Pinned where they are: what `race` takes by value is copied, and kept twice.
    let program_side = pin!(program.read_output(output, sender, &timers.slow_program));
    let client_side = pin!(client::feed(input, body, feed, marshal.as_mut(), timers));
    let stopped = pin!(async {
        match race(client_side, timers.call.expired()).await {
            Either::First(stop) => stop,
            Either::Second(()) => Stop::Deadline,
        }
    });
    match race(program_side, stopped).await {
        Either::First(result) => result,
        Either::Second(stop) => Err(stop),
    }
}

/// The program has ended by itself.
async fn answer(
    connection: &mut Connection,
    request: &Request,
    mut output: Output<'_>,
    exit: Exit,
    deadline: &Deadline,
) -> Next {
    let keep = connection.can_keep(request);
    let about = About {
        request: Some(request),
        keep,
    };
    output.log(exit);
    if output.is_streaming() && !exit.success() {
        // The status is gone; only an answer without an end can still tell.
        return Next::BreakOff;
    }
    if !exit.success() && output.is_silent() {
        let message =
            format!("the function failed without output: {exit}; its standard error may say why");
        return connection
            .send_last(
                reply::failure(&Failure::new(500, "function-failed", message), about),
                keep,
            )
            .await;
    }
    // The program's time is over, but not that of writing its answer.
    deadline.set_write(&connection.timers.call);
    let sender = &mut connection.sender;
    let sending = async {
        output.finish(exit, about, sender).await?;
        sender.flush().await
    };
    match race(sending, connection.timers.call.expired()).await {
        Either::First(Ok(())) if keep && output.is_delimited(about) => Next::Request,
        Either::First(Ok(())) => Next::Linger,
        Either::First(Err(_)) | Either::Second(()) => Next::BreakOff,
    }
}

/// Something else has ended the call.
async fn give_up(
    connection: &mut Connection,
    request: &Request,
    output: &Output<'_>,
    stop: &Stop,
    deadline: &Deadline,
) -> Next {
    let failure = stop.failure(connection, deadline);
    if let Some(failure) = &failure {
        log::line(&format!("call ended: {}", failure.message));
    } else {
        log::line("call ended: the client went away");
    }
    let Some(failure) = failure.filter(|_| !output.is_streaming()) else {
        return Next::BreakOff;
    };
    let keep = connection.can_keep(request);
    connection.timers.call.set(ERROR_REPLY_MAX);
    connection
        .send_last(
            reply::failure(
                &failure,
                About {
                    request: Some(request),
                    keep,
                },
            ),
            keep,
        )
        .await
}
