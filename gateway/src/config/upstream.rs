//! `--static NAME=http://HOST:PORT` and `--static NAME=unix:PATH`: a server that already runs,
//! served as a function.

use std::{net::ToSocketAddrs, path::PathBuf, str::FromStr};

use net::Endpoint;

/// A named server. Several with one name are replicas of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticUpstream {
    /// The function's name.
    pub name: String,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// What its `Host` header says.
    pub authority: String,
}

/// Why a `--static` value is no good.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Not of either form.
    #[error("'{0}' is neither NAME=http://HOST:PORT nor NAME=unix:PATH")]
    Form(String),
    /// The name has characters that no function has.
    #[error("'{0}' is no function name: use letters, digits, '-' and '_', at most 63")]
    Name(String),
    /// The host has no address.
    #[error("cannot find the address of '{authority}': {source}")]
    Lookup {
        /// What was looked up.
        authority: String,
        /// What the resolver said.
        source: std::io::Error,
    },
}

impl FromStr for StaticUpstream {
    type Err = UpstreamError;

    /// Parses the value and looks the host up, once: an address that changes later is a matter
    /// for the swarm provider.
    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let form = || UpstreamError::Form(text.to_owned());
        let (name, place) = text.split_once('=').ok_or_else(form)?;
        if !crate::route::is_function_name(name) {
            return Err(UpstreamError::Name(name.to_owned()));
        }
        let (endpoint, authority) = if let Some(path) = place.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(form());
            }
            (Endpoint::Unix(PathBuf::from(path)), name.to_owned())
        } else {
            let authority = place.strip_prefix("http://").ok_or_else(form)?;
            let authority = authority.strip_suffix('/').unwrap_or(authority);
            let with_port = match authority.rsplit_once(':') {
                Some((_, port)) if port.bytes().all(|b| b.is_ascii_digit()) => authority.to_owned(),
                _ => format!("{authority}:80"),
            };
            if authority.is_empty() || authority.contains(['/', '@', '?', '#']) {
                return Err(form());
            }
            let lookup = |source| UpstreamError::Lookup {
                authority: with_port.clone(),
                source,
            };
            let address = with_port
                .to_socket_addrs()
                .map_err(lookup)?
                .next()
                .ok_or_else(|| lookup(std::io::ErrorKind::NotFound.into()))?;
            (Endpoint::Tcp(address), authority.to_owned())
        };
        Ok(Self {
            name: name.to_owned(),
            endpoint,
            authority,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let tcp: StaticUpstream = "web=http://127.0.0.1:9000/".parse().unwrap();
        assert_eq!(tcp.endpoint, Endpoint::Tcp(([127, 0, 0, 1], 9000).into()));
        assert_eq!(tcp.authority, "127.0.0.1:9000");
        let unix: StaticUpstream = "web=unix:/run/web.sock".parse().unwrap();
        assert_eq!(unix.endpoint, Endpoint::Unix("/run/web.sock".into()));
    }

    #[test]
    fn an_address_without_a_port_means_port_80_and_ipv6_stands_in_brackets() {
        let plain: StaticUpstream = "web=http://127.0.0.1".parse().unwrap();
        assert_eq!(plain.endpoint, Endpoint::Tcp(([127, 0, 0, 1], 80).into()));
        let six: StaticUpstream = "web=http://[::1]:8081".parse().unwrap();
        assert_eq!(six.authority, "[::1]:8081");
    }

    #[test]
    fn other_forms_are_refused_with_the_right_ones() {
        for text in [
            "web",
            "web=",
            "web=ftp://x:1",
            "web=http://a/b",
            "web=unix:",
            "web=http://",
        ] {
            let error = text.parse::<StaticUpstream>().unwrap_err();
            assert!(
                error.to_string().contains("NAME=unix:PATH"),
                "{text}: {error}"
            );
        }
        "a/b=unix:/x".parse::<StaticUpstream>().unwrap_err();
    }
}
