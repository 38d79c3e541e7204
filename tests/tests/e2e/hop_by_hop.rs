//! Fields that are for one connection only (RFC 9110, 7.6.1): which stay on it, and which are said
//! anew on the next.

use tests::{Driver, Upstream, under_each_driver};

use crate::forwarding::serving;

under_each_driver! {
    headers_of_one_connection_stay_on_it
    a_client_that_takes_trailers_says_so_to_the_function
}

fn headers_of_one_connection_stay_on_it(driver: Driver) {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nConnection: x-private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Authenticate: Basic\r\nX-Public: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = serving(driver, &upstream);
    let headers = "Connection: x-mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 9\r\nTE: deflate\r\n\
                   Upgrade: websocket\r\nProxy-Connection: keep-alive\r\nX-Yours: 2\r\n";
    let answer = gateway
        .connect()
        .request("GET", "/function/f", headers, b"");
    let seen = upstream.last();
    for dropped in [
        "connection",
        "x-mine",
        "keep-alive",
        "te",
        "upgrade",
        "proxy-connection",
    ] {
        assert_eq!(seen.header(dropped), None, "{dropped}: {}", seen.head);
    }
    assert_eq!(seen.header("x-yours"), Some("2"));
    for dropped in ["connection", "x-private", "keep-alive"] {
        assert_eq!(answer.head.header(dropped), None, "{dropped}");
    }
    assert_eq!(answer.head.header("x-public"), Some("2"));
}

fn a_client_that_takes_trailers_says_so_to_the_function(driver: Driver) {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let gateway = serving(driver, &upstream);
    let headers = "Connection: TE\r\nTE: deflate, trailers\r\n";
    let answer = gateway
        .connect()
        .request("GET", "/function/f", headers, b"");
    assert_eq!(answer.head.header("trailer"), Some("X-Sum"));
    let seen = upstream.last();
    assert_eq!(seen.header("te"), Some("trailers"), "{}", seen.head);
    assert_eq!(seen.header("connection"), Some("TE"), "{}", seen.head);
}
