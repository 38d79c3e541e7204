//! Asking a replica for its health: `GET /_/health` over its Unix socket.
//!
//! Each check opens a connection of its own: it is rare (every few seconds), and what is to be
//! known is whether a new caller is served.
//!
//! What it does not do: decide what follows from the answer.

use std::path::Path;

use http_body_util::Empty;
use hyper::{Request, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::launch::Unhealthy;

const PATH: &str = "/_/health";

/// Asks once. The listener's backlog holds the question until the replica accepts, so the first
/// answer comes as soon as there can be one, without polling. The caller limits the time.
///
/// # Errors
/// [`Unhealthy`] says what came instead of a 200.
pub(crate) async fn check(socket: &Path, authority: &str) -> Result<(), Unhealthy> {
    let stream = UnixStream::connect(socket).await.map_err(no_answer)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(no_answer)?;
    let request = Request::get(PATH)
        .header("Host", authority)
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(no_answer)?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    // Once the connection has ended, the answer is known, whichever it is.
    let answer = tokio::select! {
        answer = &mut answer => answer,
        _end = connection => answer.await,
    };
    match answer.map_err(no_answer)?.status() {
        status if status.is_success() => Ok(()),
        status => Err(Unhealthy::SaysNo(status.as_u16())),
    }
}

fn no_answer(error: impl std::fmt::Display) -> Unhealthy {
    Unhealthy::NoAnswer(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    /// A server that answers one request with these bytes.
    async fn answer(bytes: &'static [u8]) -> Result<(), Unhealthy> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            assert!(
                request.starts_with("GET /_/health HTTP/1.1\r\n"),
                "{request}"
            );
            assert!(
                request.to_lowercase().contains("\r\nhost: wc\r\n"),
                "{request}"
            );
            stream.write_all(bytes).await.unwrap();
        };
        tokio::join!(check(&path, "wc"), serve).0
    }

    #[tokio::test]
    async fn only_a_success_is_healthy() {
        let ok = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(ok, Ok(()));
        let no = answer(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(no, Err(Unhealthy::SaysNo(503)));
        for broken in [&b""[..], b"HTTP/1.1 2", b"what?\r\n\r\n"] {
            let error = answer(broken).await.unwrap_err();
            assert!(matches!(error, Unhealthy::NoAnswer(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_socket_without_server_is_no_answer() {
        let error = check(Path::new("/no/such/socket"), "wc").await.unwrap_err();
        assert!(matches!(error, Unhealthy::NoAnswer(_)), "{error}");
    }
}
