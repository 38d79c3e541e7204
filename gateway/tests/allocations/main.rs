//! A worker that is warm allocates nothing for a request on connections that stay: a promise of the
//! data plane, kept here by counting.
//!
//! Each test: (1) a worker, clients and a replica that answers; (2) rounds of requests until all that
//! is kept has its size; (3) more rounds, in which the worker's thread allocates nothing; (4) the end.
//!
//! Under epoll a pause is begun, and allocated, after each 32 receives in a row that found bytes at
//! once (`net`'s `pace`): there the promise is a small share of the requests.
//!
//! What it does not do: measure, or look at the control plane, which allocates as it likes.

#![deny(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a test helper that fails ends the test, as it should"
)]

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature")]
mod counting;
mod world;

use std::time::{Duration, Instant};

use gateway::limits::FunctionLimits;
use net::DriverChoice;

use world::{Script, World};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

/// Rounds that count.
const ROUNDS: u64 = 300;

/// What `net` lets a connection receive at once before others must have had their turn.
const RECEIVES_PER_PAUSE: u64 = 32;

/// Buffers that a request has in hand at most.
const BUFFERS_PER_REQUEST: u64 = 4;

/// Each test under each driver.
macro_rules! under_each_driver {
    ($($name:ident)*) => {
        mod ring { $(#[test] fn $name() { super::$name(net::DriverChoice::Ring); })* }
        mod monoio_uring { $(#[test] fn $name() { super::$name(net::DriverChoice::MonoioUring); })* }
        mod epoll { $(#[test] fn $name() { super::$name(net::DriverChoice::Epoll); })* }
    };
}

under_each_driver! {
    a_request_without_a_body_costs_no_allocation
    a_small_body_costs_no_allocation
    an_answer_in_chunks_costs_no_allocation
    bodies_of_many_buffers_cost_no_allocation
    a_limit_for_the_whole_call_costs_no_allocation
    many_connections_at_once_cost_no_allocation
    a_new_second_costs_no_allocation
}

const GET: &[u8] = b"GET /function/f/path?query HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok~";

fn small() -> Script {
    Script {
        request: GET.to_vec(),
        request_end: b"\r\n\r\n",
        answer: OK.to_vec(),
        answer_end: b"~",
        connections: 1,
        receives: 2,
        limits: FunctionLimits::default(),
    }
}

fn with_body(head: &str, bytes: usize) -> Vec<u8> {
    let mut message = format!("{head}\r\nContent-Length: {bytes}\r\n\r\n").into_bytes();
    message.resize(message.len() + bytes - 1, b'x');
    message.push(b'~');
    message
}

fn posting(bytes: usize) -> Script {
    Script {
        request: with_body("POST /function/f HTTP/1.1\r\nHost: h", bytes),
        request_end: b"~",
        answer: with_body("HTTP/1.1 200 OK", bytes),
        // A socket may give them in small pieces.
        receives: 2 + bytes as u64 / 1024,
        ..small()
    }
}

fn assert_free(driver: DriverChoice, script: Script) {
    assert_free_for(driver, script, Duration::ZERO);
}

fn assert_free_for(driver: DriverChoice, script: Script, at_least: Duration) {
    let receives = script.receives;
    // How many of them are in hand at the same time is chance: the shelf of buffers may grow once more,
    // up to what can be in use at once, but not with the number of requests.
    let growth = match script.connections {
        1 => 0,
        many => many as u64 * BUFFERS_PER_REQUEST,
    };
    let mut world = World::new(driver, script);
    let connections = world.upstream_connections();
    let mut rounds = 0;
    let begun = Instant::now();
    let allocations = counting::allocations_of(world.worker(), || {
        while rounds < ROUNDS || begun.elapsed() < at_least {
            world.round();
            rounds += 1;
        }
    });
    assert_eq!(world.upstream_connections(), connections, "it keeps them");
    world.end();
    let allowed = match driver {
        DriverChoice::Epoll => rounds * receives / RECEIVES_PER_PAUSE,
        _ => growth,
    };
    assert!(
        allocations.count <= allowed,
        "{} allocations in {rounds} rounds, {allowed} are allowed; the first:\n{}",
        allocations.count,
        allocations.first.unwrap_or_default()
    );
}

fn a_request_without_a_body_costs_no_allocation(driver: DriverChoice) {
    assert_free(driver, small());
}

fn a_small_body_costs_no_allocation(driver: DriverChoice) {
    assert_free(driver, posting(100));
}

fn an_answer_in_chunks_costs_no_allocation(driver: DriverChoice) {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let script = Script {
        answer: answer.to_vec(),
        answer_end: b"\r\n0\r\n\r\n",
        ..small()
    };
    assert_free(driver, script);
}

fn bodies_of_many_buffers_cost_no_allocation(driver: DriverChoice) {
    assert_free(driver, posting(100_000));
}

fn a_limit_for_the_whole_call_costs_no_allocation(driver: DriverChoice) {
    let limits = FunctionLimits {
        upstream_timeout: Some(Duration::from_secs(60)),
        ..FunctionLimits::default()
    };
    assert_free(driver, Script { limits, ..small() });
}

fn many_connections_at_once_cost_no_allocation(driver: DriverChoice) {
    let script = Script {
        connections: 64,
        receives: 2 * 64,
        ..small()
    };
    assert_free(driver, script);
}

/// `Date` is written anew, and the timers look at all deadlines.
fn a_new_second_costs_no_allocation(driver: DriverChoice) {
    assert_free_for(driver, small(), Duration::from_millis(1100));
}
