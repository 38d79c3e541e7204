//! In what form the body of an answer reaches a client, which may be older than its server.
//!
//! What it does not do: move bytes; [`crate::Pump`] does.

use wire::{Framing, Version};

use crate::Reframe;

/// The form of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// What becomes of the framing in which it came.
    pub reframe: Reframe,
    /// It goes out in chunks, which the head has to say.
    pub chunked: bool,
    /// The client can find its end without the connection being closed.
    pub delimited: bool,
}

impl Passage {
    /// For a body that came with `framing` and goes to a client that speaks `version`.
    #[must_use]
    pub fn of(framing: Framing, version: Version) -> Self {
        let is_http11 = version == Version::Http11;
        let (reframe, chunked, delimited) = match framing {
            Framing::Chunked if is_http11 => (Reframe::Keep, true, true),
            Framing::Chunked => (Reframe::Bare, false, false),
            Framing::UntilClose if is_http11 => (Reframe::Chunks, true, true),
            Framing::UntilClose => (Reframe::Keep, false, false),
            Framing::None | Framing::Length(_) => (Reframe::Keep, false, true),
        };
        Self {
            reframe,
            chunked,
            delimited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_chunks_only_if_it_knows_them_and_an_end_that_it_can_find() {
        let all = [
            (Framing::None, Version::Http10, Reframe::Keep, false, true),
            (
                Framing::Length(5),
                Version::Http11,
                Reframe::Keep,
                false,
                true,
            ),
            (Framing::Chunked, Version::Http11, Reframe::Keep, true, true),
            (
                Framing::Chunked,
                Version::Http10,
                Reframe::Bare,
                false,
                false,
            ),
            (
                Framing::UntilClose,
                Version::Http11,
                Reframe::Chunks,
                true,
                true,
            ),
            (
                Framing::UntilClose,
                Version::Http10,
                Reframe::Keep,
                false,
                false,
            ),
        ];
        for (framing, version, reframe, chunked, delimited) in all {
            let want = Passage {
                reframe,
                chunked,
                delimited,
            };
            assert_eq!(
                Passage::of(framing, version),
                want,
                "{framing:?} {version:?}"
            );
        }
    }
}
