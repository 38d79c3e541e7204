//! curl, the client that most people have.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::Child,
    sync::{Mutex, mpsc},
};

use tempfile::TempDir;
use tests::{Builder, Cli, Driver, Gateway, Upstream, eventually, under_each_driver};

use crate::forwarding::serving;

under_each_driver! {
    each_version_of_http_is_answered_in_1_1
    http_2_without_asking_is_refused_and_reaches_nobody
    a_large_file_goes_up_and_comes_back
    standard_input_goes_up_in_chunks
    an_early_answer_stops_an_upload
    a_head_has_no_body
    an_event_stream_arrives_event_by_event
    a_compressed_answer_passes_as_it_is
    a_range_is_the_functions_business
    many_headers_arrive_in_order
    a_path_as_it_is_arrives_as_it_is
    a_gateway_on_ipv6_serves_as_well
    two_urls_share_a_connection
    a_client_that_gives_up_ends_the_functions_process
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// What curl is to print behind the body.
const STATUS_AND_VERSION: &str = " %{http_code} %{http_version}";

fn each_version_of_http_is_answered_in_1_1(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let url = format!("{}/function/f", gateway.url());
    // `--http2` offers `Upgrade: h2c`, which nobody need accept.
    for flag in ["--http1.0", "--http1.1", "--http2"] {
        let done = Cli::curl(&format!("{flag} {url} -w")).arg(STATUS_AND_VERSION);
        assert_eq!(done.run().ok().stdout, "ok 200 1.1", "{flag}");
        for dropped in ["connection", "upgrade", "http2-settings"] {
            assert_eq!(upstream.last().header(dropped), None, "{flag}: {dropped}");
        }
    }
    let body = Cli::curl(&format!("--http1.0 -d hello {url}")).run().ok();
    assert_eq!(body.stdout, "ok");
    assert_eq!(upstream.last().body, b"hello");
}

fn http_2_without_asking_is_refused_and_reaches_nobody(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let url = format!("{}/function/f", gateway.url());
    let done = Cli::curl(&format!("--http2-prior-knowledge {url}")).run();
    assert_ne!(done.code, 0, "{done:?}");
    assert_eq!(upstream.opened(), 0);
    assert_eq!(gateway.call("f", b"x").status(), 200, "others are served");
}

/// A file of this many bytes in a folder of its own.
fn file(length: usize) -> (TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::Builder::new().prefix("ringway-curl-").tempdir();
    let folder = folder.unwrap();
    let path = folder.path().join("body");
    let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
    fs::write(&path, &bytes).unwrap();
    (folder, path, bytes)
}

fn a_large_file_goes_up_and_comes_back(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("cat", "cat");
    let (folder, path, bytes) = file(32 * 1024 * 1024);
    let back = folder.path().join("back");
    let done = Cli::curl(&format!("{}/function/cat", gateway.url()))
        .arg("-v")
        .arg("-T")
        .arg(&path)
        .arg("-o")
        .arg(&back)
        .run()
        .ok();
    assert!(done.stderr.contains("> Expect: 100-continue"));
    assert!(done.stderr.contains("< HTTP/1.1 100 Continue"));
    assert!(fs::read(&back).unwrap() == bytes);
}

fn standard_input_goes_up_in_chunks(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("wc", "wc -c");
    let (_folder, path, bytes) = file(3_000_000);
    let url = format!("{}/function/wc", gateway.url());
    let done = Cli::curl(&format!("-v -T - {url}")).run_from(File::open(path).unwrap());
    let done = done.ok();
    assert!(done.stderr.contains("> Transfer-Encoding: chunked"));
    assert_eq!(done.stdout.trim(), bytes.len().to_string());
}

fn an_early_answer_stops_an_upload(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        if peer.head().is_some() {
            peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nno room");
            peer.wait_for_end();
        }
    });
    let gateway = serving(driver, &upstream);
    let (_folder, path, _) = file(64 * 1024 * 1024);
    let url = format!("{}/function/f", gateway.url());
    let done = Cli::curl(&format!("{url} -w"))
        .arg(STATUS_AND_VERSION)
        .arg("-T")
        .arg(path);
    assert_eq!(done.run().ok().stdout, "no room 403 1.1");
    upstream.until_closed(1);
}

fn a_head_has_no_body(driver: Driver) {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nX-A: b\r\n\r\n");
    let gateway = serving(driver, &upstream);
    let url = format!("{}/function/f", gateway.url());
    let done = Cli::curl(&format!("-I {url} {url}")).run().ok();
    assert_eq!(done.stdout.matches("Content-Length: 12345\r\n").count(), 2);
    assert_eq!(done.stdout.matches("X-A: b\r\n").count(), 2);
    assert_eq!(upstream.last().line(), "HEAD /");
}

/// The standard output of a child, and the child.
fn reading(mut child: Child) -> (BufReader<impl Read>, Child) {
    (BufReader::new(child.stdout.take().unwrap()), child)
}

fn an_event_stream_arrives_event_by_event(driver: Driver) {
    let (next, told) = mpsc::channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
            for number in 0..5 {
                told.lock().unwrap().recv().unwrap();
                peer.send(format!("data: {number}\n\n"));
            }
        }
    });
    let gateway = serving(driver, &upstream);
    let curl = Cli::curl(&format!("-N {}/function/f", gateway.url()));
    let (mut lines, mut child) = reading(curl.start());
    for number in 0..5 {
        next.send(()).unwrap();
        for expected in [format!("data: {number}\n"), "\n".to_owned()] {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, expected);
        }
    }
    assert!(child.wait().unwrap().success());
}

/// `hello`, stored in a gzip member (RFC 1952) without being made smaller.
const GZIP: [u8; 28] = [
    0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, // The head.
    1, 5, 0, 0xfa, 0xff, b'h', b'e', b'l', b'l', b'o', // A stored block.
    0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0, // CRC-32 and length.
];

fn a_compressed_answer_passes_as_it_is(driver: Driver) {
    let upstream = Upstream::start(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 28\r\n\r\n");
            peer.send(GZIP);
        }
    });
    let gateway = serving(driver, &upstream);
    let done = Cli::curl(&format!("--compressed {}/function/f", gateway.url()));
    assert_eq!(done.run().ok().stdout, "hello");
    let accepted = upstream.last();
    assert!(accepted.header("accept-encoding").unwrap().contains("gzip"));
}

fn a_range_is_the_functions_business(driver: Driver) {
    let upstream = Upstream::answering(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/9\r\nContent-Length: 3\r\n\r\ncde",
    );
    let gateway = serving(driver, &upstream);
    let done = Cli::curl(&format!("-i -r 2-4 {}/function/f", gateway.url())).run();
    let done = done.ok();
    assert!(done.stdout.starts_with("HTTP/1.1 206 Partial Content\r\n"));
    assert!(done.stdout.contains("\r\nContent-Range: bytes 2-4/9\r\n"));
    assert!(done.stdout.ends_with("\r\n\r\ncde"));
    assert_eq!(upstream.last().header("range"), Some("bytes=2-4"));
}

fn many_headers_arrive_in_order(driver: Driver) {
    const MANY: usize = 90;
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let mut curl = Cli::curl(&format!("{}/function/f", gateway.url()));
    for number in 0..MANY {
        curl = curl.arg("-H").arg(format!("X-Many: {number} of {MANY}"));
    }
    assert_eq!(curl.arg("-H").arg("X-Empty;").run().ok().stdout, "ok");
    let expected: Vec<_> = (0..MANY).map(|n| format!("{n} of {MANY}")).collect();
    assert_eq!(upstream.last().all("x-many"), expected);
    assert_eq!(upstream.last().header("x-empty"), Some(""));
}

fn a_path_as_it_is_arrives_as_it_is(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let path = "/a/../../b/./..%2f//c;d?e=/../f";
    let url = format!("{}/function/f{path}", gateway.url());
    Cli::curl(&format!("--path-as-is {url}")).run().ok();
    assert_eq!(upstream.last().line(), format!("GET {path}"));
}

fn a_gateway_on_ipv6_serves_as_well(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let listening = Builder::new(driver).listening_on("[::1]:0".parse().unwrap());
    let gateway = listening.serving("f", &upstream).start();
    let url = format!("{}/function/f", gateway.url());
    assert!(url.starts_with("http://[::1]:"), "{url}");
    let done = Cli::curl(&format!("-g {url}")).run().ok();
    assert_eq!(done.stdout, "ok");
    assert_eq!(upstream.last().header("x-forwarded-for"), Some("::1"));
}

fn two_urls_share_a_connection(driver: Driver) {
    let upstream = Upstream::answering(OK);
    let gateway = serving(driver, &upstream);
    let url = format!("{}/function/f", gateway.url());
    let done = Cli::curl(&format!("{url} {url}/b {url}?c -w")).arg(" %{num_connects}\n");
    assert_eq!(done.run().ok().stdout, "ok 1\nok 0\nok 0\n");
    // Nor does a body, a HEAD or an error of ours end it.
    let nobody = format!("{}/function/nobody", gateway.url());
    let done = Cli::curl(&format!("-d x {url} {nobody} {url} -o /dev/null -w"));
    let done = done
        .arg("%{num_connects}\n")
        .arg("-o/dev/null")
        .arg("-o/dev/null");
    assert_eq!(done.run().ok().stdout, "1\n0\n0\n");
    assert_eq!(upstream.seen().len(), 5);
}

fn a_client_that_gives_up_ends_the_functions_process(driver: Driver) {
    let gateway = Gateway::start(driver);
    gateway.deploy("slow", "sleep 1008");
    let url = format!("{}/function/slow", gateway.url());
    let mut child = Cli::curl(&format!("--max-time 2 {url}")).start();
    eventually("it runs", || {
        (gateway.descendants().len() == 2).then_some(())
    });
    assert_eq!(child.wait().unwrap().code(), Some(28), "curl's own limit");
    eventually("it has ended", || {
        (gateway.descendants().len() == 1).then_some(())
    });
}
