//! The request method, a case-sensitive token.
//!
//! Any token is a method: the set is open (RFC 9110 §9.1), and functions may use their own. What
//! the standard says about safety and repetition is answered here; what to do about it is not.

use crate::octets::is_token;

/// A method, borrowed from the head or from a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method<'b>(&'b str);

impl Method<'static> {
    /// `GET`, RFC 9110 §9.3.1.
    pub const GET: Self = Self("GET");
    /// `HEAD`, RFC 9110 §9.3.2: its response has no body.
    pub const HEAD: Self = Self("HEAD");
    /// `POST`, RFC 9110 §9.3.3.
    pub const POST: Self = Self("POST");
    /// `PUT`, RFC 9110 §9.3.4.
    pub const PUT: Self = Self("PUT");
    /// `DELETE`, RFC 9110 §9.3.5.
    pub const DELETE: Self = Self("DELETE");
    /// `CONNECT`, RFC 9110 §9.3.6: never accepted in a request.
    pub const CONNECT: Self = Self("CONNECT");
    /// `OPTIONS`, RFC 9110 §9.3.7.
    pub const OPTIONS: Self = Self("OPTIONS");
    /// `TRACE`, RFC 9110 §9.3.8.
    pub const TRACE: Self = Self("TRACE");
    /// `PATCH`, RFC 5789.
    pub const PATCH: Self = Self("PATCH");
}

impl<'b> Method<'b> {
    /// A method of this name, or `None` if it is not a token.
    #[must_use]
    pub fn new(name: &'b str) -> Option<Self> {
        is_token(name.as_bytes()).then_some(Self(name))
    }

    /// For names that the tokeniser has judged already.
    pub(crate) const fn from_token(name: &'b str) -> Self {
        Self(name)
    }

    /// The name as it was sent.
    #[must_use]
    pub const fn as_str(self) -> &'b str {
        self.0
    }

    /// Asks for nothing to change: GET, HEAD, OPTIONS, TRACE (RFC 9110 §9.2.1).
    #[must_use]
    pub fn is_safe(self) -> bool {
        matches!(self.0, "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }

    /// May be sent twice with the effect of once: the safe ones, PUT, DELETE (RFC 9110 §9.2.2).
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        self.is_safe() || matches!(self.0, "PUT" | "DELETE")
    }

    /// Is it `HEAD`, whose response has the headers of a body but not the body?
    #[must_use]
    pub fn is_head(self) -> bool {
        self.0 == "HEAD"
    }

    /// Is it `CONNECT`?
    #[must_use]
    pub fn is_connect(self) -> bool {
        self.0 == "CONNECT"
    }

    /// Is it `OPTIONS`, the only one whose target may be `*`?
    #[must_use]
    pub fn is_options(self) -> bool {
        self.0 == "OPTIONS"
    }
}
