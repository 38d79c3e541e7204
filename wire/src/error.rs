//! Why a message was refused.
//!
//! One enum for the whole codec. A variant carries no bytes of the message, so that it may be
//! logged or sent back as it is. For a response, [`Error::status`] is not what the client sees:
//! the replica is at fault, and the caller answers 502.

/// A message that this codec does not accept. After it the connection cannot be used further,
/// since the end of the message is not known.
#[expect(
    clippy::error_impl_error,
    reason = "named through its crate everywhere: `wire::Error`"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// RFC 9112 §2.2 allows one empty line before a request line, and none before a status line.
    #[error("empty lines stand before the message")]
    EmptyLines,
    /// RFC 9112 §3: `method SP request-target SP HTTP-version CRLF`, one space each.
    #[error("the request line is malformed")]
    BadRequestLine,
    /// RFC 9110 §9.1: a method is a token.
    #[error("the method is not a token")]
    BadMethod,
    /// RFC 9112 §3.2: visible ASCII only, in origin-form or absolute-form (`*` for OPTIONS).
    #[error("the request target is malformed")]
    BadTarget,
    /// RFC 9112 §3.2: no form of a request target has a fragment.
    #[error("the request target contains a fragment ('#')")]
    TargetFragment,
    /// The target is over [`crate::Limits::target_bytes_max`].
    #[error("the request target is too long")]
    TargetTooLong,
    /// `CONNECT` makes a tunnel through a forward proxy, which this is not.
    #[error("the method CONNECT is not supported")]
    ConnectNotSupported,
    /// RFC 9112 §2.3: `HTTP/` in capitals, then one digit, a dot, and one digit.
    #[error("the HTTP version is malformed")]
    BadVersion,
    /// Only HTTP/1.0 and HTTP/1.1 are spoken here.
    #[error("only HTTP/1.0 and HTTP/1.1 are supported")]
    UnsupportedVersion,
    /// RFC 9112 §4: `HTTP-version SP status-code SP [reason] CRLF`.
    #[error("the status line is malformed")]
    BadStatusLine,
    /// RFC 9110 §15: three digits, 100 to 599.
    #[error("the status code is not between 100 and 599")]
    BadStatus,
    /// RFC 9112 §2.2: a CR that no LF follows is invalid.
    #[error("a carriage return stands alone")]
    BareCr,
    /// A line that ends in LF alone; others may not see a line end there.
    #[error("a line ends in a line feed alone")]
    BareLf,
    /// RFC 9112 §5.2: folded field lines are obsolete.
    #[error("a header line begins with whitespace (obsolete line folding)")]
    ObsoleteFold,
    /// RFC 9112 §5.1: no whitespace between the name and the colon.
    #[error("whitespace stands before the colon of a header")]
    WhitespaceBeforeColon,
    /// RFC 9110 §5.1: a field name is a token.
    #[error("a header name is not a token")]
    BadHeaderName,
    /// RFC 9110 §5.5: no control characters except HTAB.
    #[error("a header value contains a control character")]
    BadHeaderValue,
    /// The head is over [`crate::Limits::head_bytes_max`].
    #[error("the head of the message is too large")]
    HeadTooLarge,
    /// The head is over [`crate::Limits::headers_max`].
    #[error("the message has too many headers")]
    TooManyHeaders,
    /// RFC 9112 §3.2: an HTTP/1.1 request has a `Host`.
    #[error("the Host header is missing")]
    MissingHost,
    /// RFC 9112 §3.2: one `Host` only.
    #[error("there is more than one Host header")]
    RepeatedHost,
    /// RFC 9110 §7.2: `Host` is a name or address with an optional port.
    #[error("the Host header is malformed")]
    BadHost,
    /// RFC 9112 §3.2.2: a client sends the same authority in both places.
    #[error("the Host header differs from the host of the request target")]
    HostMismatch,
    /// RFC 9110 §8.6: digits only; not over [`crate::LENGTH_BYTES_MAX`].
    #[error("the Content-Length header is malformed")]
    BadContentLength,
    /// More than one `Content-Length` line, whether they differ or not: the choice between them
    /// is the root of request smuggling, and no sender needs two.
    #[error("there is more than one Content-Length header")]
    RepeatedContentLength,
    /// RFC 9112 §6.1: an attempt at request smuggling or a faulty sender.
    #[error("both Content-Length and Transfer-Encoding are present")]
    ConflictingFraming,
    /// Anything but one `chunked` (RFC 9112 §6.1, §7).
    #[error("the Transfer-Encoding header is malformed")]
    BadTransferEncoding,
    /// A transfer coding other than `chunked`.
    #[error("only the transfer coding 'chunked' is supported")]
    UnknownTransferCoding,
    /// RFC 9112 §6.1: HTTP/1.0 has no transfer codings; the framing is faulty.
    #[error("Transfer-Encoding is present in an HTTP/1.0 message")]
    TransferEncodingInHttp10,
    /// RFC 9110 §7.6.1: a list of tokens, none of which may name a field meant for everybody.
    #[error("the Connection header is malformed")]
    BadConnection,
    /// Over [`crate::NOMINATING_BYTES_MAX`], or in more than one line: nobody needs that, and to keep
    /// one short value is what makes dropping the named fields cheap.
    #[error("the Connection header names too many other headers")]
    TooManyConnectionOptions,
    /// RFC 9110 §10.1.1: only `100-continue` is defined.
    #[error("only the expectation '100-continue' is supported")]
    UnknownExpectation,
    /// RFC 9112 §7.1: 1 to 16 hexadecimal digits.
    #[error("a chunk size is malformed")]
    BadChunkSize,
    /// Over [`crate::LENGTH_BYTES_MAX`].
    #[error("a chunk size is too large")]
    ChunkTooLarge,
    /// RFC 9112 §7.1.1: `;name`, `;name=token` or `;name="quoted"`, without whitespace.
    #[error("a chunk extension is malformed")]
    BadChunkExtension,
    /// Over [`crate::CHUNK_EXTENSION_BYTES_MAX`].
    #[error("a chunk extension is too long")]
    ChunkExtensionTooLong,
    /// RFC 9112 §7.1: CRLF after the data of a chunk.
    #[error("a chunk is longer or shorter than its size says")]
    BadChunkEnd,
    /// RFC 9112 §7.1.2: a trailer line is a field line, judged as strictly as one in a head.
    #[error("a trailer line is malformed")]
    BadTrailer,
    /// RFC 9110 §6.5.1: framing, routing, authentication and content fields are not for trailers.
    #[error("a trailer uses a name that is not allowed there")]
    ForbiddenTrailer,
    /// Over [`crate::TRAILER_BYTES_MAX`] or [`crate::TRAILERS_MAX`].
    #[error("the trailers are too large")]
    TrailersTooLarge,
    /// RFC 9112 §8: the connection ended within a message.
    #[error("the connection ended before the end of the message")]
    Truncated,
}

impl Error {
    /// The status to answer a faulty request with: 400, 414, 417, 431, 501 or 505.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.facts().0
    }

    /// A stable word for logs, metrics and error bodies, such as `conflicting-framing`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        self.facts().1
    }

    /// Status and kind in one table, so that no variant can have the one without the other.
    const fn facts(self) -> (u16, &'static str) {
        match self {
            Self::EmptyLines => (400, "empty-lines"),
            Self::BadRequestLine => (400, "bad-request-line"),
            Self::BadMethod => (400, "bad-method"),
            Self::BadTarget => (400, "bad-target"),
            Self::TargetFragment => (400, "target-fragment"),
            Self::TargetTooLong => (414, "target-too-long"),
            Self::ConnectNotSupported => (501, "connect-not-supported"),
            Self::BadVersion => (400, "bad-version"),
            Self::UnsupportedVersion => (505, "unsupported-version"),
            Self::BadStatusLine => (400, "bad-status-line"),
            Self::BadStatus => (400, "bad-status"),
            Self::BareCr => (400, "bare-cr"),
            Self::BareLf => (400, "bare-lf"),
            Self::ObsoleteFold => (400, "obsolete-fold"),
            Self::WhitespaceBeforeColon => (400, "whitespace-before-colon"),
            Self::BadHeaderName => (400, "bad-header-name"),
            Self::BadHeaderValue => (400, "bad-header-value"),
            Self::HeadTooLarge => (431, "head-too-large"),
            Self::TooManyHeaders => (431, "too-many-headers"),
            Self::MissingHost => (400, "missing-host"),
            Self::RepeatedHost => (400, "repeated-host"),
            Self::BadHost => (400, "bad-host"),
            Self::HostMismatch => (400, "host-mismatch"),
            Self::BadContentLength => (400, "bad-content-length"),
            Self::RepeatedContentLength => (400, "repeated-content-length"),
            Self::ConflictingFraming => (400, "conflicting-framing"),
            Self::BadTransferEncoding => (400, "bad-transfer-encoding"),
            Self::UnknownTransferCoding => (501, "unknown-transfer-coding"),
            Self::TransferEncodingInHttp10 => (400, "transfer-encoding-in-http10"),
            Self::BadConnection => (400, "bad-connection"),
            Self::TooManyConnectionOptions => (400, "too-many-connection-options"),
            Self::UnknownExpectation => (417, "unknown-expectation"),
            Self::BadChunkSize => (400, "bad-chunk-size"),
            Self::ChunkTooLarge => (400, "chunk-too-large"),
            Self::BadChunkExtension => (400, "bad-chunk-extension"),
            Self::ChunkExtensionTooLong => (400, "chunk-extension-too-long"),
            Self::BadChunkEnd => (400, "bad-chunk-end"),
            Self::BadTrailer => (400, "bad-trailer"),
            Self::ForbiddenTrailer => (400, "forbidden-trailer"),
            Self::TrailersTooLarge => (431, "trailers-too-large"),
            Self::Truncated => (400, "truncated"),
        }
    }
}
