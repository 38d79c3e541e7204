//! What a proxy moves from one connection to another: bodies and tunnels.
//!
//! Gateway and watchdog are both proxies, and where a body ends, or in what form it goes on, must
//! not be written twice: the one that is wrong would let requests be smuggled past the other.
//!
//! - [`Pump`]: which of the bytes that came belong to a body, and in what form ([`Reframe`]) they go
//!   on.
//! - [`Passage`]: which form an answer needs on its way to a client.
//! - [`tunnel`]: both directions of a connection that has switched protocols.
//! - [`offered_protocol`], [`encode_switch`], [`encode_interim`]: what is the same in all heads.
//!
//! What it does not do: write other heads, choose a server, keep connections or decide what a client is
//! told; its users differ in these.
#![forbid(unsafe_code)]

mod body;
mod head;
mod passage;
mod tunnel;

pub use body::{BodyError, Pump, Reframe};
pub use head::{encode_interim, encode_switch, offered_protocol};
pub use passage::Passage;
pub use tunnel::{Ended, Side, tunnel};
