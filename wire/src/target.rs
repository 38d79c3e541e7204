//! The request target and the authority it may carry (RFC 9112 §3.2, RFC 3986 §3.2).
//!
//! The path goes through as bytes: nothing is decoded, merged or resolved here, because two
//! readers that normalise differently are a way around every rule that one of them enforces.

use std::net::Ipv6Addr;

use crate::error::Error;
use crate::method::Method;
use crate::octets::{find, is_reg_name_octet};

/// A target in the form in which it is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'b> {
    /// Begins with `/`, or with `?` for a path that was left out, or is `*`.
    pub(crate) path_and_query: &'b [u8],
    /// Host and port of a target in absolute-form.
    pub(crate) authority: Option<&'b [u8]>,
}

/// Judges a `target` that the tokeniser has cut out and reduces absolute-form to origin-form.
pub(crate) fn judge<'b>(target: &'b [u8], method: Method<'_>) -> Result<Target<'b>, Error> {
    if method.is_connect() {
        return Err(Error::ConnectNotSupported);
    }
    // The tokeniser lets nothing through but visible ASCII and bytes from 0x80 on, so these two
    // searches see all that is left to refuse.
    if !target.is_ascii() {
        return Err(Error::BadTarget);
    }
    if find(target, b'#').is_some() {
        return Err(Error::TargetFragment);
    }
    match target {
        [b'/', ..] => Ok(Target {
            path_and_query: target,
            authority: None,
        }),
        [b'*'] if method.is_options() => Ok(Target {
            path_and_query: target,
            authority: None,
        }),
        _ => absolute(target, method),
    }
}

/// `http://authority/path?query`. User information is refused (RFC 9110 §4.2.4). The path may be
/// left out (RFC 3986 §3.3); it is `/` then, which is not in the buffer where a query follows.
fn absolute<'b>(target: &'b [u8], method: Method<'_>) -> Result<Target<'b>, Error> {
    let rest = strip_prefix_ignore_case(target, b"http://")
        .or_else(|| strip_prefix_ignore_case(target, b"https://"))
        .ok_or(Error::BadTarget)?;
    let end = rest
        .iter()
        .position(|octet| matches!(octet, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(Error::BadTarget);
    }
    let path_and_query = match path {
        [b'/' | b'?', ..] => path,
        // RFC 9112 §3.2.4: OPTIONS for a whole server, sent by way of a proxy.
        [] if method.is_options() => b"*",
        _ => b"/",
    };
    Ok(Target {
        path_and_query,
        authority: Some(authority),
    })
}

fn strip_prefix_ignore_case<'b>(bytes: &'b [u8], prefix: &[u8]) -> Option<&'b [u8]> {
    let (front, rest) = bytes.split_at_checked(prefix.len())?;
    front.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Is this `host [":" port]` with a host that is not empty (RFC 3986 §3.2)?
pub(crate) fn is_authority(bytes: &[u8]) -> bool {
    if let [b'[', rest @ ..] = bytes {
        return is_bracketed_authority(rest);
    }
    let end = bytes
        .iter()
        .position(|&octet| octet == b':')
        .unwrap_or(bytes.len());
    let (host, port) = bytes.split_at(end);
    is_reg_name(host) && is_port_suffix(port)
}

/// What follows the `[` of an IPv6 address. The future address forms of RFC 3986 are refused.
fn is_bracketed_authority(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|&octet| octet == b']') else {
        return false;
    };
    let (address, port) = rest.split_at(end);
    let address = str::from_utf8(address).unwrap_or_default();
    address.parse::<Ipv6Addr>().is_ok() && is_port_suffix(&port[1..])
}

/// A registered name or an IPv4 address, which is written with the same characters.
fn is_reg_name(host: &[u8]) -> bool {
    // Nearly every name ends the search here; the rest may hold percent-encoding.
    let plain = host
        .iter()
        .take_while(|&&octet| is_reg_name_octet(octet))
        .count();
    let mut rest = &host[plain..];
    while let Some((&octet, after)) = rest.split_first() {
        rest = match (octet, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            _ if is_reg_name_octet(octet) => after,
            _ => return false,
        };
    }
    !host.is_empty()
}

/// Nothing, or a colon and up to five digits that make a port; the digits may be absent.
fn is_port_suffix(suffix: &[u8]) -> bool {
    match suffix {
        [] => true,
        [b':', digits @ ..] => {
            digits.len() <= 5
                && digits.iter().all(u8::is_ascii_digit)
                && digits
                    .iter()
                    .fold(0u32, |port, digit| port * 10 + u32::from(digit - b'0'))
                    <= u32::from(u16::MAX)
        }
        _ => false,
    }
}
