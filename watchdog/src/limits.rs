//! Every limit that is not a setting, with its unit in its name.

use std::time::Duration;

/// How much of a request head is accepted: 64 KiB, 100 lines, 16 KiB of target.
pub(crate) const HEAD: wire::Limits = wire::Limits::DEFAULT;

/// How much output is held back while the program runs, in bytes. Up to here a failure can still
/// become a status; above, the answer is streamed. Memory for calls in flight is bounded by this.
pub(crate) const HELD_BYTES_MAX: usize = 64 * 1024;

/// The largest piece in which held bytes are kept, in bytes: large enough to be sent in few writes, and
/// as much as may be allocated in vain.
pub(crate) const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// How many processes may wait for their requests.
pub(crate) const PREFORK_MAX: usize = 256;

/// The pause between two processes that are started ahead of their requests: each takes the only thread
/// for some 300 µs, and requests come first.
pub(crate) const PREFORK_PAUSE: Duration = Duration::from_millis(1);

/// The pause before trying again when one could not be started.
pub(crate) const PREFORK_RETRY: Duration = Duration::from_secs(1);

/// A held body up to this size goes out in one write with its head, in bytes; above, copying it
/// would cost more than a second write.
pub(crate) const JOINED_BYTES_MAX: usize = net::CHUNK_BYTES - 1024;

/// A body up to this size, in bytes, is written to the program's pipe before the program starts: a
/// new pipe always takes this much without blocking (PIPE_BUF, pipe(7)).
pub(crate) const READY_BYTES_MAX: usize = 4096;

/// What a new pipe holds, in bytes, pipe(7).
pub(crate) const PIPE_BYTES: u64 = 64 * 1024;

/// What a pipe for a large body is made to hold, in bytes. 200 MiB through `cat` took 955 ms with 64 KiB,
/// 585 ms with this and 526 ms with 1 MiB, and the CPU time of both sides fell by a fifth and by half;
/// the kernel allows a user 64 MiB in all his pipes together.
pub(crate) const LARGE_PIPE_BYTES: usize = 256 * 1024;

/// The longest line of a program that is kept together in the log, in bytes, unless
/// `log_buffer_size` says otherwise.
pub(crate) const LOG_LINE_BYTES: usize = 64 * 1024;

/// What `log_buffer_size` may be at least, in bytes. A line needs room for a character, and short
/// ones would cost more than what they hold.
pub(crate) const LOG_LINE_BYTES_MIN: usize = 256;

/// And at most: each process that runs may take so much.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much of a request's or an answer's body `write_debug` logs, in bytes.
pub(crate) const DEBUG_BYTES_MAX: usize = 1024;

/// How long a connection may wait for its next request. Longer than a gateway keeps connections in
/// its pool, so that it is the gateway that closes them and no request meets a closing connection.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(180);

/// A call that takes longer than this is watched for a client that leaves and for a program that
/// ends while something else holds its output. Nearly all end sooner and are spared the cost.
pub(crate) const SLOW_CALL: Duration = Duration::from_millis(10);

/// After a program has ended, what it started may go on writing to its output; this long a silence
/// ends the call.
pub(crate) const SILENCE_AFTER_END: Duration = Duration::from_millis(100);

/// The longest that such writing is waited for.
pub(crate) const OUTPUT_AFTER_END_MAX: Duration = Duration::from_secs(1);

/// How long a process that was sent SIGKILL is waited for before the call goes on without it (a
/// process in the middle of disk I/O can take a while). It is reaped later in any case.
pub(crate) const KILL_WAIT_MAX: Duration = Duration::from_secs(1);

/// http mode: for one connection to the function's own server; it may be busy, and then is asked
/// again.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(5);

/// http mode: between two looks whether it listens, at first; it doubles from there.
pub(crate) const CONNECT_PAUSE: Duration = Duration::from_millis(1);

/// http mode: the same, at most. This much of a start may be lost; a look costs some 20 µs.
pub(crate) const CONNECT_PAUSE_MAX: Duration = Duration::from_millis(16);

/// http mode: how long the function may take to say whether it is ready.
pub(crate) const READY_MAX: Duration = Duration::from_secs(5);

/// http mode: how much of its reason for not being ready is passed on, in bytes.
pub(crate) const READY_TEXT_BYTES_MAX: usize = 256;

/// http mode: from SIGTERM until the function is killed. The gateway gives a whole replica 5 s.
pub(crate) const FUNCTION_END_MAX: Duration = Duration::from_secs(4);

/// How long an error may take to reach the client once the limits of the call are used up.
pub(crate) const ERROR_REPLY_MAX: Duration = Duration::from_secs(5);

/// Before a connection is closed with part of a request unread, that much time and that many bytes
/// are spent on reading it: closing at once would make the kernel drop the answer on its way
/// (RFC 9112 §9.6).
pub(crate) const LINGER_MAX: Duration = Duration::from_secs(2);
/// See [`LINGER_MAX`].
pub(crate) const LINGER_BYTES_MAX: usize = 1 << 20;

/// How many pairs of status and method are counted apart from each other. Functions answer with a
/// handful; each takes 120 bytes, and a kilobyte of the metrics' text.
pub(crate) const SERIES_MAX: usize = 200;

/// How many connections for metrics may be open. A monitor needs one.
pub(crate) const METRICS_CONNECTIONS_MAX: usize = 32;

/// How often, while there are calls, processes that were left behind are looked for.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The pause before accepting again when no descriptor was left.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// At the shutdown: how long the backlog is emptied. Without an end, clients that keep coming would
/// keep the watchdog from ending.
pub(crate) const BACKLOG_MAX: Duration = Duration::from_millis(100);

/// What a client that meets `max_inflight` is told to wait, seconds.
pub(crate) const RETRY_AFTER_S: u32 = 1;

const _: () = assert!(HELD_BYTES_MAX >= JOINED_BYTES_MAX);
const _: () = assert!(PIECE_BYTES_MAX >= HELD_BYTES_MAX);
const _: () = assert!(SILENCE_AFTER_END.as_millis() < OUTPUT_AFTER_END_MAX.as_millis());
// A character of four bytes must fit, or cutting would not get on.
const _: () = assert!(LOG_LINE_BYTES_MIN > 4 && LOG_LINE_BYTES <= LOG_LINE_BYTES_MAX);
