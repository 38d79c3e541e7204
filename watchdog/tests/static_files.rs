//! static mode, looked at directly: what is found, what of it is sent, and what keeps a client out.
//! `static_transfer` is about large files and slow clients.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};

use process::{Exit, Signal};
use support::site::{put, start};
use support::{Answer, Client, noise, on_each_driver, wait_until};

fn ask(client: &mut Client, path: &str, fields: &str) -> Answer {
    client.send_raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
    client.answer()
}

/// The tag of a file, once it has been left alone for a moment.
fn tag(client: &mut Client, path: &str) -> String {
    let mut tag = None;
    wait_until("the file has a tag", || {
        tag = ask(client, path, "").header("etag").map(str::to_owned);
        tag.is_some()
    });
    tag.expect("a tag")
}

#[test]
fn files_are_found_by_their_names() {
    on_each_driver(|driver| {
        let site = start(driver, &[]);
        put(&site, "index.html", "<p>home");
        put(&site, "docs/index.html", "<p>docs");
        put(&site, "a b/é.txt", "text");
        put(&site, "empty", "");
        put(&site, ".well-known/x.json", "{}");
        let mut client = site.connect();
        for (path, content, kind) in [
            ("/", "<p>home", "text/html; charset=utf-8"),
            ("/?q=1", "<p>home", "text/html; charset=utf-8"),
            ("/index.html", "<p>home", "text/html; charset=utf-8"),
            ("/docs/", "<p>docs", "text/html; charset=utf-8"),
            ("/a%20b/%C3%A9.txt", "text", "text/plain; charset=utf-8"),
            ("/empty", "", "application/octet-stream"),
            ("/.well-known/x.json", "{}", "application/json"),
        ] {
            let answer = ask(&mut client, path, "");
            assert_eq!((answer.status, answer.text()), (200, content), "{path}");
            assert_eq!(answer.header("content-type"), Some(kind), "{path}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("accept-ranges"), Some("bytes"));
            assert!(answer.header("last-modified").is_some());
        }
    });
}

#[test]
fn a_folder_is_pointed_to_and_never_listed() {
    let site = start("epoll", &[]);
    put(&site, "a/http:/file", "x");
    let mut client = site.connect();
    for (path, to) in [
        ("/a", "./a/"),
        ("/a?x=/y", "./a/?x=/y"),
        ("/a/http:", "./http:/"),
        ("/a/%68ttp:", "./%68ttp:/"),
    ] {
        let answer = ask(&mut client, path, "");
        assert_eq!((answer.status, answer.header("location")), (301, Some(to)));
    }
    for path in ["/", "/a/", "/a/http:/"] {
        let answer = ask(&mut client, path, "");
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("no index.html"), "{}", answer.text());
    }
    fs::create_dir(site.public().join("a/index.html")).expect("a folder");
    assert_eq!(ask(&mut client, "/a/", "").status, 404);
}

#[test]
fn nothing_outside_the_folder_can_be_had() {
    on_each_driver(|driver| {
        let site = start(driver, &[]);
        put(&site, "file", "inside");
        put(&site, ".env", "secret");
        put(&site, ".git/config", "secret");
        let (dir, public) = (site.dir.path(), site.public());
        fs::write(dir.join("secret"), "secret").expect("a file");
        fs::create_dir(dir.join("public2")).expect("a folder");
        fs::write(dir.join("public2/secret"), "secret").expect("a file");
        for (to, name) in [
            ("../secret", "out"),
            ("..", "up"),
            ("/etc/passwd", "absolute"),
            ("/proc/self/root", "root"),
            ("file", "in"),
            ("dangling", "nowhere"),
        ] {
            symlink(to, public.join(name)).expect("a link");
        }
        let mut client = site.connect();
        assert_eq!(ask(&mut client, "/in", "").text(), "inside");
        for path in [
            "/../secret",
            "/..%2fsecret",
            "/%2e%2e/secret",
            "/%2e%2e%2fsecret",
            "/x/../../secret",
            "/..\\secret",
            "/out",
            "/up/secret",
            "/up/public2/secret",
            "/absolute",
            "/root/etc/passwd",
            "/nowhere",
            "/.env",
            "/.git/config",
            "/%2egit/config",
            "//etc/passwd",
            "//host/..",
            "/file/",
            "/file/x",
            "/FILE",
            "/./file",
            "//file",
        ] {
            let answer = ask(&mut client, path, "");
            assert_eq!(answer.status, 404, "{path}");
            assert!(!answer.text().contains("secret\n"), "{path}");
            assert_eq!(answer.header("location"), None);
        }
        for path in ["/%", "/%g0", "/a%00b", "/%0"] {
            let answer = ask(&mut client, path, "");
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        }
        let long = format!("/{}", "x".repeat(5000));
        assert_eq!(ask(&mut client, &long, "").status, 404);
    });
}

#[test]
fn what_is_no_file_is_not_there_and_blocks_nobody() {
    let site = start("epoll", &[]);
    let public = site.public();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, public.join("pipe"), kind, mode, 0).expect("a pipe");
    assert_eq!(site.get("/pipe").status, 404);
}

#[test]
fn a_file_that_may_not_be_read_is_forbidden() {
    // Who is root may read everything.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let site = start("epoll", &[]);
    put(&site, "file", "x");
    let path = site.public().join("file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("its own");
    let answer = site.get("/file");
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[test]
fn only_get_and_head_are_answered() {
    let site = start("epoll", &[]);
    put(&site, "file", "content");
    let mut client = site.connect();
    client.send_raw(b"HEAD /file HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n");
    let head = client.head();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("7"))
    );
    // The connection goes on right behind the head, and behind a body that was not asked for.
    client.send("GET /file HTTP/1.1\r\nHost: x\r\n", b"body");
    assert_eq!(client.answer().text(), "content");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"] {
        let answer = site.call(&format!("{method} /file HTTP/1.1\r\nHost: x\r\n"), "");
        let allow = answer.header("allow");
        assert_eq!((answer.status, allow), (405, Some("GET, HEAD")), "{method}");
    }
    let answer = site.call("OPTIONS * HTTP/1.1\r\nHost: x\r\n", "");
    assert_eq!(answer.status, 405);
}

#[test]
fn a_part_can_be_had() {
    on_each_driver(|driver| {
        let site = start(driver, &[]);
        let content = noise(1_000_000);
        put(&site, "file", &content);
        put(&site, "empty", "");
        let mut client = site.connect();
        let tag = tag(&mut client, "/file");
        for (range, from, to) in [
            ("0-0", 0, 1),
            ("500000-", 500_000, 1_000_000),
            ("-1", 999_999, 1_000_000),
            ("10-40000", 10, 40_001),
        ] {
            let fields = format!("Range: bytes={range}\r\nIf-Range: {tag}\r\n");
            let answer = ask(&mut client, "/file", &fields);
            assert_eq!(answer.status, 206);
            let said = format!("bytes {from}-{}/1000000", to - 1);
            assert_eq!(answer.header("content-range"), Some(said.as_str()));
            assert!(
                answer.is_whole && answer.body == content[from..to],
                "{range}"
            );
        }
        for (fields, status) in [
            ("Range: bytes=0-1,3-4\r\n", 200),
            ("Range: bytes=3-1\r\n", 200),
            ("Range: bytes=0-1\r\nIf-Range: \"other\"\r\n", 200),
            ("Range: bytes=1000000-\r\n", 416),
        ] {
            let answer = ask(&mut client, "/file", fields);
            assert_eq!(answer.status, status, "{fields}");
            assert!(answer.is_whole);
            let said = (status == 416).then_some("bytes */1000000");
            assert_eq!(answer.header("content-range"), said);
        }
        let answer = ask(&mut client, "/empty", "Range: bytes=0-\r\n");
        assert_eq!(answer.status, 416);
    });
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    on_each_driver(|driver| {
        let site = start(driver, &[]);
        put(&site, "file", "one");
        let mut client = site.connect();
        let first = tag(&mut client, "/file");
        let date = ask(&mut client, "/file", "");
        let date = date.header("last-modified").expect("a date").to_owned();
        for fields in [
            format!("If-None-Match: {first}\r\n"),
            format!("If-None-Match: \"x\", W/{first}\r\n"),
            "If-None-Match: *\r\n".to_owned(),
            format!("If-Modified-Since: {date}\r\n"),
        ] {
            client.send_raw(format!("GET /file HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
            let answer = client.head();
            assert_eq!(answer.status, 304, "{fields}");
            assert_eq!(answer.header("etag"), Some(first.as_str()));
            assert_eq!(answer.header("content-length"), None);
        }
        let fields = format!("If-Match: {first}\r\n");
        assert_eq!(ask(&mut client, "/file", &fields).status, 200);
        let other = "If-Match: \"other\"\r\n";
        assert_eq!(ask(&mut client, "/file", other).status, 412);
        // Another content of the same size and date.
        let path = site.public().join("file");
        let modified = fs::metadata(&path).expect("it is there").modified();
        put(&site, "file", "two");
        let file = File::options()
            .write(true)
            .open(&path)
            .expect("it is there");
        file.set_modified(modified.expect("a time"))
            .expect("its own");
        let answer = ask(&mut client, "/file", &format!("If-None-Match: {first}\r\n"));
        assert_eq!((answer.status, answer.text()), (200, "two"));
        assert_ne!(tag(&mut client, "/file"), first);
    });
}

#[test]
fn it_is_ready_when_the_folder_is_there_and_takes_up_another() {
    on_each_driver(|driver| {
        let mut site = start(driver, &[("fprocess", "/no/such")]);
        put(&site, "file", "one");
        assert_eq!(site.get("/_/health").status, 200);
        assert_eq!(site.get("/_/ready").status, 200);
        let public = site.public();
        fs::rename(&public, site.dir.path().join("old")).expect("it can be moved");
        assert_eq!(site.get("/_/health").status, 200);
        for path in ["/_/ready", "/file"] {
            let answer = site.get(path);
            assert_eq!(answer.status, 503);
            let said = answer.text();
            assert!(said.starts_with("static_path: the folder "), "{said}");
        }
        put(&site, "file", "two");
        assert_eq!(site.get("/file").text(), "two");
        let log = site.log();
        assert!(log.contains(": files of "), "{log}");
        assert!(log.contains("fprocess is not used in static mode"), "{log}");
        site.watchdog.child.signal(Signal::TERM).expect("it runs");
        assert_eq!(site.watchdog.wait(), Exit::Code(0));
    });
}
