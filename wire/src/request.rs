//! The head of a request.
//!
//! [`parse_request`] is the story: cut, split, judge each part, conclude. It looks at the same bytes
//! again whenever a head arrives in pieces; `Limits::head_bytes_max` bounds that work.

use crate::diagnose;
use crate::error::Error;
use crate::fields::Fields;
use crate::framing::Framing;
use crate::head::{self, Parsed, Version};
use crate::headers::Headers;
use crate::limits::Limits;
use crate::method::Method;
use crate::octets::find;
use crate::target::{self, Target};

/// The head of a request that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'b> {
    /// Any token but `CONNECT`.
    pub method: Method<'b>,
    /// Path and query as they were sent: it begins with `/`, or is `*` (for OPTIONS only). Visible
    /// ASCII without `#`. The target in absolute-form is reduced to this (RFC 9112 §3.2.2). One that
    /// has a query and no path (`http://host?query`) leaves the query with its `?`, whose path is
    /// `/`: [`RequestHead::origin_form`] puts it before.
    pub target: &'b [u8],
    /// The version of the message.
    pub version: Version,
    /// All fields, in order.
    pub headers: Headers<'b>,
    /// How the end of the body is found; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// May another request follow on this connection (RFC 9112 §9.3)?
    pub keep_alive: bool,
    /// The client takes trailers (`TE: trailers`, RFC 9110 §10.1.4).
    pub te_trailers: bool,
    /// The client waits for a 100 before it sends the body. Not set where no body follows or the
    /// version is 1.0 (RFC 9110 §10.1.1).
    pub expect_continue: bool,
    /// The client offers to switch protocols: HTTP/1.1, `Connection: upgrade` and an `Upgrade`
    /// field (RFC 9110 §7.8).
    pub upgrade: bool,
    /// The authority the request is for: that of the target in absolute-form, else `Host`. Where
    /// both are there they are equal, so the `Host` field may be passed on as it is. Empty where an
    /// empty `Host` was sent; `None` only in HTTP/1.0.
    pub host: Option<&'b [u8]>,
}

impl<'b> RequestHead<'b> {
    /// The target as it is sent on, in two parts of which the first is mostly empty: origin-form, or
    /// `*` (RFC 9112 §3.2.1).
    #[must_use]
    pub fn origin_form(&self) -> [&'b [u8]; 2] {
        let slash: &[u8] = match self.target {
            [b'?', ..] => b"/",
            _ => b"",
        };
        [slash, self.target]
    }

    /// The path alone, without the query; `*` for the whole server.
    #[must_use]
    pub fn path(&self) -> &'b [u8] {
        let end = find(self.target, b'?').unwrap_or(self.target.len());
        match &self.target[..end] {
            [] => b"/",
            path => path,
        }
    }

    /// What follows the first `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&'b [u8]> {
        find(self.target, b'?').map(|at| &self.target[at + 1..])
    }
}

/// Reads one request head from the front of `buf`.
///
/// One CRLF before it is skipped (RFC 9112 §2.2) and counted in `len`. Nothing is allocated. The
/// verdict does not depend on how the bytes are cut into calls; of several faults, the one that
/// shows first is named.
///
/// # Errors
/// Every variant of [`Error`] that speaks of a request line, a header or a head; its
/// [`Error::status`] is the answer to give before the connection is closed.
pub fn parse_request<'b>(buf: &'b [u8], limits: &Limits) -> Result<Parsed<RequestHead<'b>>, Error> {
    let window = head::window(buf, limits);
    let Some(skipped) = leading_line_end(window)? else {
        return head::partial(window, limits);
    };
    let message = &window[skipped..];
    let mut slots = head::slots();
    let mut request = httparse::Request::new(&mut []);
    let status = request.parse_with_uninit_headers(message, head::allowed(&mut slots, limits));
    let len = match status {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => {
            diagnose::check_target_length(message, limits)?;
            return head::partial(window, limits);
        }
        Err(error) => {
            diagnose::check_target_length(message, limits)?;
            return Err(diagnose::request_fault(message, error));
        }
    };
    let target = request.path.unwrap_or_default().as_bytes();
    if target.len() > limits.target_bytes_max {
        return Err(Error::TargetTooLong);
    }
    let method = Method::from_token(request.method.unwrap_or_default());
    let version = Version::from_minor(request.version);
    // The target comes before the fields, as it does in the message.
    let target = target::judge(target, method)?;
    let mut fields = Fields::default();
    let headers = head::judge(&message[..len], request.headers, &mut fields)?;
    let head = conclude(method, target, version, headers, &fields)?;
    Ok(Parsed::Complete {
        head,
        len: skipped + len,
    })
}

/// How many bytes of an empty line stand before the request: `None` where that is not known yet.
///
/// Old clients send a CRLF after a body. One is accepted, more are not: a request that begins
/// with line ends has often lost its beginning to the message before it.
fn leading_line_end(window: &[u8]) -> Result<Option<usize>, Error> {
    match window {
        [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => Ok(None),
        [b'\r', b'\n', b'\r' | b'\n', ..] => Err(Error::EmptyLines),
        [b'\r', b'\n', ..] => Ok(Some(2)),
        [b'\r', ..] => Err(Error::BareCr),
        [b'\n', ..] => Err(Error::BareLf),
        _ => Ok(Some(0)),
    }
}

/// What follows from the parts together (RFC 9112 §3.2, §6.3, §9.3).
fn conclude<'b>(
    method: Method<'b>,
    target: Target<'b>,
    version: Version,
    headers: Headers<'b>,
    fields: &Fields<'b>,
) -> Result<RequestHead<'b>, Error> {
    let host = conclude_host(target.authority, version, fields)?;
    fields.check_framing()?;
    let framing = match (fields.chunked, fields.content_length) {
        (true, _) if version == Version::Http10 => return Err(Error::TransferEncodingInHttp10),
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::None,
    };
    if fields.expect_unknown {
        return Err(Error::UnknownExpectation);
    }
    let is_http11 = version == Version::Http11;
    Ok(RequestHead {
        method,
        target: target.path_and_query,
        version,
        headers,
        framing,
        keep_alive: version.keeps_alive(fields.close, fields.keep_alive),
        te_trailers: fields.te_trailers && is_http11,
        expect_continue: fields.expect_continue && is_http11 && !framing.is_empty(),
        upgrade: fields.upgrade_option && fields.upgrade_field && is_http11,
        host,
    })
}

/// Whom the request is for. The target wins over `Host` (RFC 9112 §3.2.2), but the two may not
/// differ: the next hop, which sees only `Host`, would serve somebody else.
fn conclude_host<'b>(
    authority: Option<&'b [u8]>,
    version: Version,
    fields: &Fields<'b>,
) -> Result<Option<&'b [u8]>, Error> {
    if fields.host_repeated {
        return Err(Error::RepeatedHost);
    }
    let Some(host) = fields.host else {
        return match version {
            Version::Http11 => Err(Error::MissingHost),
            Version::Http10 => Ok(authority),
        };
    };
    // An empty Host is right where the target has no authority (RFC 9110 §7.2).
    if !host.is_empty() && !target::is_authority(host) {
        return Err(Error::BadHost);
    }
    match authority {
        Some(authority) if !authority.eq_ignore_ascii_case(host) => Err(Error::HostMismatch),
        _ => Ok(Some(host)),
    }
}

#[cfg(test)]
mod tests;
