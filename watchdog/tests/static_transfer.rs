//! static mode: large files, slow clients, and files that change while they are sent.

mod support;

use std::fs::{self, File};
use std::io::Read;

use support::site::{put, start};
use support::{noise, on_each_driver, wait_until};

#[test]
fn a_large_file_arrives_whole_and_others_have_their_turn() {
    on_each_driver(|driver| {
        let site = start(driver, &[]);
        let content = noise(4_000_000);
        put(&site, "large", &content);
        put(&site, "small", "small");
        // Nobody reads this one.
        let mut stalled = site.connect();
        stalled.send_raw(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(stalled.head().status, 200);
        let mut client = site.connect();
        client.send_raw(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.head().status, 200);
        assert_eq!(site.get("/small").text(), "small");
        let mut body = vec![0; content.len() - client.received().len()];
        let mut start = client.received().to_vec();
        client.stream.read_exact(&mut body).expect("all of it");
        start.append(&mut body);
        assert!(start == content);
    });
}

#[test]
fn a_file_that_shrinks_breaks_its_answer_off() {
    on_each_driver(|driver| {
        let site = start(driver, &[]);
        put(&site, "file", noise(4_000_000));
        let mut client = site.connect();
        client.send_raw(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
        let head = client.head();
        assert_eq!(head.header("content-length"), Some("4000000"));
        let path = site.public().join("file");
        File::create(path).expect("it can be emptied");
        let mut rest = Vec::new();
        let ended = client.stream.read_to_end(&mut rest);
        assert!(ended.is_err() || rest.len() < 4_000_000);
        wait_until("it is told", || {
            site.log()
                .contains("file was not sent to its end: it became shorter meanwhile")
        });
        assert_eq!(site.get("/file").status, 200);
    });
}

#[test]
fn a_pause_has_a_limit_and_a_client_may_set_one_for_the_whole() {
    on_each_driver(|driver| {
        for (settings, field) in [
            (&[("write_timeout", "200ms")][..], ""),
            (&[], "X-Timeout: 200ms\r\n"),
        ] {
            let site = start(driver, settings);
            put(&site, "file", noise(4_000_000));
            let mut client = site.connect();
            let head = format!("GET /file HTTP/1.1\r\nHost: x\r\n{field}\r\n");
            client.send_raw(head.as_bytes());
            assert_eq!(client.head().status, 200);
            // Nothing is read until it has been given up.
            let count = || {
                let pid = site.child.pid();
                let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
                let links = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
                links.filter(|to| to.ends_with("public/file")).count()
            };
            wait_until("it is given up", || count() == 0);
            let mut rest = Vec::new();
            let ended = client.stream.read_to_end(&mut rest);
            assert!(ended.is_err() || rest.len() < 4_000_000);
        }
        let site = start(driver, &[]);
        put(&site, "file", "x");
        let answer = site.call("GET /file HTTP/1.1\r\nHost: x\r\nX-Timeout: soon\r\n", "");
        assert_eq!(answer.status, 400, "{}", answer.text());
    });
}

#[test]
fn no_more_than_max_inflight_are_sent_at_once() {
    let site = start("epoll", &[("max_inflight", "1")]);
    put(&site, "file", noise(4_000_000));
    let mut client = site.connect();
    client.send_raw(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.head().status, 200);
    let answer = site.get("/file");
    assert_eq!(answer.status, 429);
    assert!(answer.text().contains("max_inflight"), "{}", answer.text());
    assert_eq!(site.get("/_/ready").status, 429);
    drop(client);
    wait_until("its place is free", || site.get("/_/ready").status == 200);
}
