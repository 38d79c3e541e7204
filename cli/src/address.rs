//! Where the gateway is: which of the four places that may say so wins, and what its URL means.
//!
//! Every client verb resolves its gateway here, so that all of them agree. Nothing is looked up or
//! connected.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Uri;

use crate::exit::Failure;

/// Where `ringway up` listens unless told otherwise.
pub(crate) const DEFAULT: &str = "http://127.0.0.1:8080";

/// The variable that OpenFaaS's own tools read.
pub(crate) const VARIABLE: &str = "OPENFAAS_URL";

/// The gateway's URL, proved usable.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    tls: bool,
    /// Host as in the URL; an IPv6 address keeps its brackets.
    host: String,
    port: u16,
    /// A path that a reverse proxy may have put the gateway under; empty, or `/x` without a slash
    /// at the end.
    prefix: String,
    /// Value of the `Authorization` header for the gateway's own routes.
    authorization: Option<String>,
}

/// Without the credentials: this reaches logs and terminals.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.prefix)
    }
}

impl Address {
    /// Chooses between what the flag, the stack file and the environment say, in this order, as
    /// OpenFaaS's CLI does: a stack file that only repeats the default does not hide the
    /// environment.
    ///
    /// # Errors
    /// Usage, when the one that wins is not an `http:` or `https:` URL.
    pub(crate) fn resolve(
        flag: Option<&str>,
        stack: Option<&str>,
        environment: Option<&str>,
    ) -> Result<Self, Failure> {
        let stack = stack.filter(|url| url.trim_end_matches('/') != DEFAULT && !url.is_empty());
        let environment = environment.filter(|url| !url.is_empty());
        let (url, source) = match (flag, stack, environment) {
            (Some(url), _, _) => (url, "--gateway"),
            (None, Some(url), _) => (url, "the stack file's provider.gateway"),
            (None, None, Some(url)) => (url, VARIABLE),
            (None, None, None) => (DEFAULT, "the default"),
        };
        Self::parse(url).map_err(|reason| Failure::usage(format!("{source}: {reason}")))
    }

    /// Reads `http[s]://[user:password@]host[:port][/prefix]`; a URL without scheme counts as
    /// `http`.
    ///
    /// # Errors
    /// A sentence that says what is wrong; it never repeats a password.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let with_scheme = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let uri: Uri = with_scheme
            .parse()
            .map_err(|error| format!("this is not a URL ({error})"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            other => {
                let scheme = other.unwrap_or("no");
                return Err(format!(
                    "scheme `{scheme}` is not supported, write http://HOST:PORT or https://HOST"
                ));
            }
        };
        let authority = uri.authority().ok_or("the URL names no host")?;
        if authority.host().is_empty() {
            return Err("the URL names no host".to_owned());
        }
        if uri.query().is_some() {
            return Err("a gateway's URL has no query".to_owned());
        }
        let credentials = authority
            .as_str()
            .rsplit_once('@')
            .map(|(user, _host)| user);
        // `Uri` drops a port that is no u16 without a word, so look at the text behind the host.
        let port = match authority
            .as_str()
            .rsplit_once(authority.host())
            .map(|(_, port)| port)
        {
            None | Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => port
                .strip_prefix(':')
                .and_then(|digits| digits.parse().ok())
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("`{port}` is not a port from 1 to 65535"))?,
        };
        Ok(Self {
            tls,
            host: authority.host().to_owned(),
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            authorization: credentials.map(basic),
        })
    }

    /// Whether the connection is TLS.
    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// Host and port for a socket, without the brackets of an IPv6 address.
    pub(crate) fn endpoint(&self) -> (&str, u16) {
        (
            self.host.trim_start_matches('[').trim_end_matches(']'),
            self.port,
        )
    }

    /// Host and port as the `Host` header has them: without a port that the scheme implies.
    pub(crate) fn authority(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The request target of `path` at this gateway, `/prefix` included.
    pub(crate) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The `Authorization` value for `/system` routes. It is for the gateway: functions never get
    /// it.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }
}

/// `Basic` credentials (RFC 7617) from the URL's user part, whose two fields are percent-encoded.
fn basic(user_part: &str) -> String {
    let decoded = percent_decode(user_part);
    let user_and_password = if user_part.contains(':') {
        decoded
    } else {
        [decoded, b":".to_vec()].concat()
    };
    format!("Basic {}", STANDARD.encode(user_and_password))
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    decoded
}

/// Percent-encodes everything but RFC 3986's unreserved characters, for one key or value of a
/// query.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(flag: Option<&str>, stack: Option<&str>, environment: Option<&str>) -> String {
        Address::resolve(flag, stack, environment)
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_flag_wins_then_the_stack_then_the_environment() {
        assert_eq!(
            shown(Some("http://a"), Some("http://b"), Some("http://c")),
            "http://a"
        );
        assert_eq!(shown(None, Some("http://b"), Some("http://c")), "http://b");
        assert_eq!(shown(None, None, Some("http://c")), "http://c");
        assert_eq!(shown(None, None, None), DEFAULT);
    }

    #[test]
    fn a_stack_file_with_the_default_does_not_hide_the_environment() {
        assert_eq!(
            shown(None, Some("http://127.0.0.1:8080/"), Some("http://c:1")),
            "http://c:1"
        );
        assert_eq!(shown(None, Some(""), Some("")), DEFAULT);
    }

    #[test]
    fn reads_every_part() {
        let address = Address::parse("https://me:p%40ss@host.example:8443/gw/").unwrap();
        assert!(address.tls());
        assert_eq!(address.endpoint(), ("host.example", 8443));
        assert_eq!(address.authority(), "host.example:8443");
        assert_eq!(address.target("/system/info"), "/gw/system/info");
        assert_eq!(address.authorization(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(
            format!("{address:?}"),
            "Address(https://host.example:8443/gw)"
        );
    }

    #[test]
    fn ports_come_from_the_scheme_and_ipv6_keeps_its_brackets() {
        assert_eq!(
            Address::parse("localhost").unwrap().endpoint(),
            ("localhost", 80)
        );
        assert_eq!(Address::parse("https://x").unwrap().endpoint(), ("x", 443));
        let v6 = Address::parse("http://[::1]:8080").unwrap();
        assert_eq!(
            (v6.endpoint(), v6.authority()),
            (("::1", 8080), "[::1]:8080".to_owned())
        );
    }

    #[test]
    fn refuses_what_is_no_gateway() {
        for url in [
            "",
            "ftp://x",
            "http://",
            "http://x:99999",
            "http://x:0",
            "http://x:",
            "unix:/x",
            "http://x/?q=1",
            "http://a b",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn query_text_is_encoded() {
        assert_eq!(percent_encode("a b&c=d/é~"), "a%20b%26c%3Dd%2F%C3%A9~");
    }
}
