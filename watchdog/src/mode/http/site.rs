//! Where a process is to listen, made ready for it, and the wait until it does.
//!
//! A connection that somebody else accepts would be taken for the function: when two replicas on
//! one machine have the same port, the second cannot listen and ends, and in the meantime the
//! first would answer for it. So a place on this machine must be free before the start.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use net::{Endpoint, Stream, sleep};

use super::function::{Function, within};
use crate::limits::{CONNECT_MAX, CONNECT_PAUSE, CONNECT_PAUSE_MAX};
use crate::reply::Failure;

/// Where one process is to listen.
#[derive(Debug)]
pub(super) struct Site {
    endpoints: Vec<Endpoint>,
    /// The port that was chosen for it.
    pub(super) port: Option<u16>,
}

/// Chooses a port where one is wanted, removes the socket that the last process left, and makes
/// sure that nobody listens there.
///
/// # Errors
/// What is in the way, and what to do.
pub(super) async fn prepare(function: &Function) -> Result<Site, Failure> {
    if let [Endpoint::Tcp(address)] = function.endpoints[..]
        && address.port() == 0
    {
        let address = free_port(address).map_err(|error| {
            let message = format!(
                "no free port can be found at {}: {error}; give a port in http_upstream_url",
                address.ip()
            );
            Failure::new(500, "no-port", message)
        })?;
        return Ok(Site {
            endpoints: vec![Endpoint::Tcp(address)],
            port: Some(address.port()),
        });
    }
    for endpoint in function.endpoints.iter().filter(|place| is_here(place)) {
        if within(CONNECT_MAX, Stream::connect(endpoint)).await.is_ok() {
            return Err(taken(endpoint));
        }
        if let Endpoint::Unix(path) = endpoint {
            remove_socket(path)?;
        }
    }
    Ok(Site {
        endpoints: function.endpoints.clone(),
        port: None,
    })
}

impl Site {
    /// Waits until somebody listens there.
    pub(super) async fn listened_at(&self) -> Endpoint {
        let mut pause = CONNECT_PAUSE;
        loop {
            for endpoint in &self.endpoints {
                // This connection is closed at once: a server that takes one at a time would be
                // waiting for its request, deaf to all others.
                if within(CONNECT_MAX, Stream::connect(endpoint)).await.is_ok() {
                    return endpoint.clone();
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(CONNECT_PAUSE_MAX);
        }
    }
}

/// A port that was free a moment ago. Another program may take it before the function does; then
/// the function ends, and is started with another.
fn free_port(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = net::bind_tcp(address, false)?;
    let bound = socket.local_addr()?;
    bound
        .as_socket()
        .ok_or_else(|| io::Error::other("its address has no port"))
}

fn is_here(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Unix(_) => true,
        Endpoint::Tcp(address) => address.ip().is_loopback(),
    }
}

fn taken(endpoint: &Endpoint) -> Failure {
    let message = format!(
        "another program listens at {endpoint} already, so the function cannot; stop it, or give the function a place of its own: http_upstream_url=http://127.0.0.1:0 (it must listen at $PORT then) or unix:NAME (in $TMPDIR)"
    );
    Failure::new(503, "place-taken", message)
}

/// Removes a socket on which nobody listens. Anything else at its path is left alone.
fn remove_socket(path: &Path) -> Result<(), Failure> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    std::fs::remove_file(path).map_err(|error| {
        let message = format!(
            "the old socket {} cannot be removed: {error}; remove it, or give another path in http_upstream_url",
            path.display()
        );
        Failure::new(500, "place-taken", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_a_socket_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, file) = (dir.path().join("s"), dir.path().join("f"));
        drop(UnixListener::bind(&socket).unwrap());
        std::fs::write(&file, "x").unwrap();
        for path in [&socket, &file, &dir.path().join("none")] {
            remove_socket(path).unwrap();
        }
        assert!(!socket.exists() && file.exists());
    }

    #[test]
    fn a_free_port_can_be_listened_at() {
        let address = free_port(([127, 0, 0, 1], 0).into()).unwrap();
        assert_ne!(address.port(), 0);
        std::net::TcpListener::bind(address).unwrap();
    }
}
