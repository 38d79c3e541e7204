//! The head of a response.
//!
//! Judged as strictly as a request: a replica may be broken or hostile, and a body that ends at a
//! different place for us than for it poisons the connection's next user.

use crate::diagnose;
use crate::error::Error;
use crate::fields::Fields;
use crate::framing::Framing;
use crate::head::{self, Parsed, Version};
use crate::headers::Headers;
use crate::limits::Limits;
use crate::method::Method;
use crate::octets::find;

/// The head of a response that was accepted.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'b> {
    /// 100 to 599. A 1xx but 101 is an interim response: another head follows.
    pub status: u16,
    /// The reason phrase as it was sent; may be empty and may hold obs-text. Nobody should read
    /// meaning into it (RFC 9112 §4).
    pub reason: &'b [u8],
    /// The version of the message.
    pub version: Version,
    /// All fields, in order.
    pub headers: Headers<'b>,
    /// How the end of the body is found.
    pub framing: Framing,
    /// May another request be sent on this connection (RFC 9112 §9.3)? Never with
    /// [`Framing::UntilClose`].
    pub keep_alive: bool,
    /// The server has switched protocols: status 101 with `Connection: upgrade` and an `Upgrade`
    /// field. What follows is no longer HTTP/1.
    pub upgrade: bool,
}

/// Reads one response head from the front of `buf`.
///
/// `request_method` is that of the request it answers: a response to HEAD has no body, nor has a
/// 2xx to CONNECT; nor have 1xx, 204 and 304, whatever their fields say (RFC 9112 §6.3). The fields
/// must be right even then, since they are passed on.
///
/// A status line may end after the code without a space, as many servers write it.
///
/// # Errors
/// Every variant of [`Error`] that speaks of a status line, a header or a head. The server is at
/// fault: the client gets a 502, not [`Error::status`].
pub fn parse_response<'b>(
    buf: &'b [u8],
    request_method: Method<'_>,
    limits: &Limits,
) -> Result<Parsed<ResponseHead<'b>>, Error> {
    let window = head::window(buf, limits);
    if let [b'\r' | b'\n', ..] = window {
        return Err(Error::EmptyLines);
    }
    let mut slots = head::slots();
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let status = config.parse_response_with_uninit_headers(
        &mut response,
        window,
        head::allowed(&mut slots, limits),
    );
    let len = match status {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return head::partial(window, limits),
        Err(error) => return Err(diagnose::response_fault(window, error)),
    };
    let status = response.code.unwrap_or_default();
    if !(100..=599).contains(&status) {
        return Err(Error::BadStatus);
    }
    let version = Version::from_minor(response.version);
    let mut fields = Fields::default();
    let headers = head::judge(&window[..len], response.headers, &mut fields)?;
    let framing = conclude_framing(request_method, status, version, &fields)?;
    let head = ResponseHead {
        status,
        reason: reason(window),
        version,
        headers,
        framing,
        keep_alive: version.keeps_alive(fields.close, fields.keep_alive)
            && framing != Framing::UntilClose,
        upgrade: status == 101 && fields.upgrade_option && fields.upgrade_field,
    };
    Ok(Parsed::Complete { head, len })
}

/// RFC 9112 §6.3, rules 1 to 8 as far as they concern responses.
fn conclude_framing(
    request_method: Method<'_>,
    status: u16,
    version: Version,
    fields: &Fields<'_>,
) -> Result<Framing, Error> {
    fields.check_framing()?;
    if fields.chunked && version == Version::Http10 {
        return Err(Error::TransferEncodingInHttp10);
    }
    let tunnel = request_method.is_connect() && (200..300).contains(&status);
    if request_method.is_head() || tunnel || matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::None);
    }
    Ok(match (fields.chunked, fields.content_length) {
        (true, _) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::UntilClose,
    })
}

/// The reason phrase of a status line that was accepted. Taken from the bytes, because `httparse`
/// gives an empty one in place of obs-text.
fn reason(head: &[u8]) -> &[u8] {
    const BEFORE: usize = "HTTP/1.1 200".len();
    let rest = head.get(BEFORE..).unwrap_or_default();
    let end = find(rest, b'\r').unwrap_or(0);
    rest.get(1..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
