//! The runtime of one core: sockets, pipes, timers and tasks, for gateway and watchdog alike.
//!
//! Why it exists: the data plane runs one thread per core over io_uring where the kernel allows
//! it and over epoll where not, and nobody outside this crate should know which. So the door
//! speaks in [`Chunk`]s: [`Receiver::recv`] yields bytes in a buffer that this crate owns and
//! takes back when the chunk is dropped, and [`Sender::send`] takes chunks. A back end may
//! read into a buffer of its own choosing at the moment when bytes arrive.
//!
//! What it does not do: it knows no protocol, starts no process and shares nothing between
//! threads. All types but [`Bell`]'s [`Ringer`] stay on the thread that made them.
//!
//! Behind the door are two back ends: `ring`, our own executor on io_uring, and monoio, whose epoll
//! driver is the fallback and whose io_uring driver is there to be compared with (`monoio` and
//! `io_uring` are named nowhere else in the tree).
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! let driver = net::Driver::select(net::DriverChoice::Auto).expect("auto always finds one");
//! net::Runtime::new(&driver)?.block_on(async {
//!     let to = net::Endpoint::Tcp(([127, 0, 0, 1], 8080).into());
//!     let mut stream = net::Stream::connect(&to).await?;
//!     stream.sender.send(net::Chunk::copied(b"GET / HTTP/1.0\r\n\r\n")).await?;
//!     let reply = stream.receiver.recv().await?;
//!     assert!(reply.starts_with(b"HTTP/1."));
//!     Ok(())
//! })
//! # }
//! ```

#![deny(unsafe_code)]

mod bell;
mod chunk;
mod combine;
mod driver;
mod endpoint;
#[expect(
    unsafe_code,
    reason = "adopts raw descriptors and lends buffers to the kernel"
)]
mod fd;
mod hang_up;
mod listener;
mod pace;
mod pipe;
mod refusal;
mod ring;
mod runtime;
mod signals;
mod stream;
mod timer;
mod waiters;

pub use bell::{Bell, Ringer, bell};
pub use chunk::{CHUNK_BYTES, Chunk, ChunkMut};
pub use combine::{Either, Race, race};
pub use driver::{Driver, DriverChoice, DriverKind, SelectError};
pub use endpoint::Endpoint;
pub use fd::{Readiness, inherited_listener, inherited_pipe};
pub use hang_up::{HangUp, Parting};
pub use listener::{BACKLOG, Listener, bind_tcp, bind_unix};
pub use pace::Pace;
pub use pipe::{PipeReader, PipeWriter};
pub use refusal::Cause;
pub use runtime::{Runtime, spawn};
pub use signals::Signals;
pub use stream::{Receiver, Sender, Stopper, Stream};
pub use timer::{Timer, sleep};
pub use waiters::Waiters;
