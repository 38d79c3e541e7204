//! Functions that are files: what passes gateway and watchdog. The watchdog's own tests look at it more
//! closely.

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::json;
use tempfile::TempDir;
use tests::{Driver, Gateway, eventually, under_each_driver};

under_each_driver! {
    a_function_can_be_a_folder_of_files
    what_a_client_has_is_not_sent_again
    parts_of_a_large_file_pass
    a_folder_that_is_replaced_is_served_at_once
}

fn put(dir: &TempDir, name: &str, content: impl AsRef<[u8]>) {
    let path = dir.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Deploys the folder `public` of an application's directory, without a command.
fn deploy(gateway: &Gateway, app: &Path) {
    let image = format!("file:{}", app.display());
    let variables = json!({ "mode": "static", "static_path": "public" });
    let more = json!({ "image": image, "envVars": variables });
    gateway.deploy_with("site", "", &more);
}

fn a_function_can_be_a_folder_of_files(driver: Driver) {
    let app = tempfile::tempdir().unwrap();
    put(&app, "public/index.html", "<p>home");
    put(&app, "public/docs/index.html", "<p>docs");
    put(&app, "public/a b.css", "p {}");
    put(&app, "secret", "secret");
    symlink("../secret", app.path().join("public/out")).unwrap();
    let gateway = Gateway::start(driver);
    deploy(&gateway, app.path());
    let mut client = gateway.connect();
    for (path, text, kind) in [
        ("/function/site/", "<p>home", "text/html; charset=utf-8"),
        ("/function/site", "<p>home", "text/html; charset=utf-8"),
        ("/function/site?x", "<p>home", "text/html; charset=utf-8"),
        (
            "/function/site/docs/?x",
            "<p>docs",
            "text/html; charset=utf-8",
        ),
        (
            "/function/site/a%20b.css",
            "p {}",
            "text/css; charset=utf-8",
        ),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.status(), answer.text().as_str()), (200, text));
        assert_eq!(answer.head.header("content-type"), Some(kind), "{path}");
        assert_eq!(
            answer.head.header("x-content-type-options"),
            Some("nosniff")
        );
    }
    // Beside what was asked for, so that the gateway's part of the address stays.
    let answer = client.get("/function/site/docs?x=1");
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.head.header("location"), Some("./docs/?x=1"));
    for path in ["/secret", "/../secret", "/%2e%2e/secret", "/out", "/none"] {
        let answer = client.get(&format!("/function/site{path}"));
        assert_eq!(answer.status(), 404, "{path}");
    }
    let answer = client.post("/function/site/index.html", b"x");
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.head.header("allow"), Some("GET, HEAD"));
    assert_eq!(client.get("/function/site/%zz").status(), 400);
}

fn what_a_client_has_is_not_sent_again(driver: Driver) {
    let app = tempfile::tempdir().unwrap();
    put(&app, "public/file", "content");
    let gateway = Gateway::start(driver);
    deploy(&gateway, app.path());
    let mut client = gateway.connect();
    let path = "/function/site/file";
    let tag = eventually("the file has a tag", || {
        client.get(path).head.header("etag").map(str::to_owned)
    });
    let fields = format!("If-None-Match: {tag}\r\n");
    let answer = client.request("GET", path, &fields, b"");
    assert_eq!((answer.status(), answer.body.len()), (304, 0));
    assert_eq!(answer.head.header("etag"), Some(tag.as_str()));
    let answer = client.request("HEAD", path, "", b"");
    assert_eq!(answer.head.header("content-length"), Some("7"));
    assert_eq!(answer.head.header("etag"), Some(tag.as_str()));
    put(&app, "public/file", "CONTENT");
    let answer = client.request("GET", path, &fields, b"");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "CONTENT"));
}

fn parts_of_a_large_file_pass(driver: Driver) {
    let app = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..4_000_000_u32).flat_map(u32::to_le_bytes).collect();
    put(&app, "public/large", &content);
    let gateway = Gateway::start(driver);
    deploy(&gateway, app.path());
    let mut client = gateway.connect();
    let path = "/function/site/large";
    assert!(client.get(path).body == content);
    for (range, part) in [
        ("8000000-", &content[8_000_000..]),
        ("-5", &content[15_999_995..]),
    ] {
        let answer = client.request("GET", path, &format!("Range: bytes={range}\r\n"), b"");
        assert!((answer.status(), &*answer.body) == (206, part), "{range}");
    }
    let answer = client.request("GET", path, "Range: bytes=16000000-\r\n", b"");
    assert_eq!(answer.status(), 416);
    let said = answer.head.header("content-range");
    assert_eq!(said, Some("bytes */16000000"));
}

fn a_folder_that_is_replaced_is_served_at_once(driver: Driver) {
    let app = tempfile::tempdir().unwrap();
    put(&app, "v1/version", "1");
    put(&app, "v2/version", "2");
    let public = app.path().join("public");
    symlink("v1", &public).unwrap();
    let gateway = Gateway::start(driver);
    deploy(&gateway, app.path());
    let mut client = gateway.connect();
    assert_eq!(client.get("/function/site/version").text(), "1");
    let next = app.path().join("next");
    symlink("v2", &next).unwrap();
    fs::rename(&next, &public).unwrap();
    assert_eq!(client.get("/function/site/version").text(), "2");
    fs::remove_file(&public).unwrap();
    let answer = client.get("/function/site/version");
    assert_eq!(answer.status(), 503);
    assert!(
        answer.text().starts_with("static_path: "),
        "{}",
        answer.text()
    );
}
