//! `http_upstream_url`: where the function's own server listens.
//!
//! `http://HOST[:PORT][/PATH]` or `unix:PATH`. It is nearly always on the same machine, so there is
//! no TLS; a name is looked up once, at the start, in /etc/hosts.
//!
//! What it does not do: look names up, or connect.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The longest path of a Unix socket, in bytes, unix(7).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A socket in the file system.
    Unix(PathBuf),
    /// An address and a port; 0 means that one is chosen at each start.
    Address(IpAddr, u16),
    /// A name that has to be looked up, and a port.
    Name(String, u16),
}

/// An upstream that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpstreamUrl {
    pub(crate) place: Place,
    /// What its `Host` is where a client sent none.
    pub(crate) authority: String,
    /// Goes in front of every path; mostly empty, and without a slash at its end.
    pub(crate) prefix: String,
}

impl UpstreamUrl {
    /// Reads what was written. A relative path of a socket is below `temp_dir`.
    ///
    /// # Errors
    /// What is wrong, to stand behind the value.
    pub(crate) fn parse(text: &str, temp_dir: &Path) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path, temp_dir);
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(match text.strip_prefix("https://") {
                Some(_) => {
                    "cannot be used: the function's own server is spoken to without TLS; give http://HOST:PORT or unix:PATH"
                }
                None => "cannot be used; give http://HOST:PORT or unix:PATH",
            }
            .to_owned());
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let is_path = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        if !path.bytes().all(is_path) {
            return Err("cannot be used: its path may have no query, fragment or space".to_owned());
        }
        let place = place(authority)
            .ok_or("cannot be used: its host and port are not like 127.0.0.1:5000 or [::1]:5000")?;
        if let Place::Name(name, 0) = &place {
            return Err(format!(
                "cannot be used: a free port can be chosen on this machine only, not on {name}; give http://127.0.0.1:0"
            ));
        }
        Ok(Self {
            place,
            authority: authority.to_owned(),
            prefix: path.trim_end_matches('/').to_owned(),
        })
    }
}

fn unix(path: &str, temp_dir: &Path) -> Result<UpstreamUrl, String> {
    // `unix:///run/x` is written as often.
    let path = match path.strip_prefix("//") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    let whole = temp_dir.join(path);
    let bytes = whole.as_os_str().len();
    if path.is_empty() || path.contains('\0') {
        return Err("cannot be used: it names no file; give unix:PATH".to_owned());
    }
    if bytes > SOCKET_PATH_BYTES_MAX {
        return Err(format!(
            "cannot be used: {} has {bytes} bytes, and the path of a socket has {SOCKET_PATH_BYTES_MAX} at most",
            whole.display()
        ));
    }
    Ok(UpstreamUrl {
        place: Place::Unix(whole),
        authority: "localhost".to_owned(),
        prefix: String::new(),
    })
}

fn place(authority: &str) -> Option<Place> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = match port {
            "" => 80,
            port => number(port.strip_prefix(':')?)?,
        };
        return Some(Place::Address(address.into(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, number(port)?),
        None => (authority, 80),
    };
    if let Ok(address) = host.parse() {
        return Some(Place::Address(address, port));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_named = !host.is_empty() && host.bytes().all(is_name);
    is_named.then(|| Place::Name(host.to_owned(), port))
}

/// Digits only: `parse` would take a sign as well.
fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| port.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<UpstreamUrl, String> {
        UpstreamUrl::parse(text, Path::new("/tmp/own"))
    }

    #[test]
    fn addresses_names_and_sockets_are_read() {
        let address = |text: &str, port| Place::Address(text.parse().unwrap(), port);
        let name = |text: &str, port| Place::Name(text.to_owned(), port);
        let unix = |path: &str| Place::Unix(path.into());
        let cases = [
            ("http://127.0.0.1:5000", address("127.0.0.1", 5000), ""),
            ("http://127.0.0.1/", address("127.0.0.1", 80), ""),
            ("http://127.0.0.1:0", address("127.0.0.1", 0), ""),
            ("http://[::1]:8082/a/b/", address("::1", 8082), "/a/b"),
            ("http://[::1]", address("::1", 80), ""),
            ("http://localhost:3000", name("localhost", 3000), ""),
            ("http://my-app.local/x", name("my-app.local", 80), "/x"),
            ("unix:/run/f.sock", unix("/run/f.sock"), ""),
            ("unix:///run/f.sock", unix("/run/f.sock"), ""),
            ("unix:f.sock", unix("/tmp/own/f.sock"), ""),
        ];
        for (text, place, prefix) in cases {
            let url = parse(text).unwrap();
            assert_eq!((url.place, url.prefix.as_str()), (place, prefix), "{text}");
        }
        assert_eq!(
            parse("http://[::1]:8082/a").unwrap().authority,
            "[::1]:8082"
        );
    }

    #[test]
    fn everything_else_is_refused_with_what_is_accepted() {
        let long = format!("unix:/{}", "x".repeat(107));
        for (text, why) in [
            ("127.0.0.1:5000", "give http://HOST:PORT or unix:PATH"),
            ("https://127.0.0.1:5000", "without TLS"),
            ("http://", "host and port"),
            ("http://:5000", "host and port"),
            ("http://a b", "host and port"),
            ("http://user@host", "host and port"),
            ("http://h:65536", "host and port"),
            ("http://h:+1", "host and port"),
            ("http://::1:80", "host and port"),
            ("http://[::1", "host and port"),
            ("http://h?x=1", "host and port"),
            ("http://h/?x=1", "no query"),
            ("http://h/a#b", "no query"),
            ("http://h/a b", "no query"),
            ("http://name:0", "free port"),
            ("unix:", "names no file"),
            (&long, "has 108 bytes"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
