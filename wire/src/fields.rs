//! The fields that decide about framing and the connection, read once while a head is parsed.
//!
//! Every other field is passed over: what it means is the function's affair. What follows from
//! these fields differs for requests and responses and is concluded in those rooms.

use crate::error::Error;
use crate::framing;
use crate::headers::is_hop_by_hop_by_nature;
use crate::limits::NOMINATING_BYTES_MAX;
use crate::octets::{is_token, list};

/// What the fields of one head say.
#[derive(Default)]
pub(crate) struct Fields<'b> {
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) host: Option<&'b [u8]>,
    pub(crate) host_repeated: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    /// `Connection` lists `upgrade`.
    pub(crate) upgrade_option: bool,
    /// There is an `Upgrade` field.
    pub(crate) upgrade_field: bool,
    /// `TE` lists `trailers`.
    pub(crate) te_trailers: bool,
    pub(crate) expect_continue: bool,
    pub(crate) expect_unknown: bool,
    /// The value of the `Connection` line that names other fields; empty without one.
    pub(crate) nominating: &'b [u8],
}

impl<'b> Fields<'b> {
    /// Takes in one field line. The length of the name decides first: most names match none.
    pub(crate) fn read(&mut self, name: &'b [u8], value: &'b [u8]) -> Result<(), Error> {
        match name.len() {
            2 if name.eq_ignore_ascii_case(b"te") => {
                self.te_trailers |=
                    list(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
            }
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.host_repeated |= self.host.replace(value).is_some();
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                self.expect_continue |= known;
                self.expect_unknown |= !known;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade_field = true,
            10 if name.eq_ignore_ascii_case(b"connection") => self.read_connection(value)?,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = framing::content_length(value)?;
                if self.content_length.replace(length).is_some() {
                    return Err(Error::RepeatedContentLength);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                // A second line would continue the list of the first: `chunked, chunked` at best.
                if self.chunked {
                    return Err(Error::BadTransferEncoding);
                }
                framing::transfer_encoding(value)?;
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Both fields at once are refused in every message (RFC 9112 §6.1, §6.3).
    pub(crate) const fn check_framing(&self) -> Result<(), Error> {
        if self.chunked && self.content_length.is_some() {
            return Err(Error::ConflictingFraming);
        }
        Ok(())
    }

    /// RFC 9110 §7.6.1. Several lines add up, but only one of them may name other fields.
    fn read_connection(&mut self, value: &'b [u8]) -> Result<(), Error> {
        let mut nominates = false;
        for option in list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_option = true;
            } else if !is_hop_by_hop_by_nature(option) {
                check_nomination(option)?;
                nominates = true;
            }
        }
        if nominates {
            if value.len() > NOMINATING_BYTES_MAX || !self.nominating.is_empty() {
                return Err(Error::TooManyConnectionOptions);
            }
            self.nominating = value;
        }
        Ok(())
    }
}

/// Dropping these two on the sender's wish would leave a body without its length, or a request
/// without its host: the next hop would read another message than this one did.
fn check_nomination(name: &[u8]) -> Result<(), Error> {
    let vital = name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"host");
    if vital || !is_token(name) {
        return Err(Error::BadConnection);
    }
    Ok(())
}
