//! Paths are bytes: what stands behind a function's name reaches the function as it was sent, and no
//! spelling of it reaches anybody else.

use tests::{Builder, Driver, Gateway, Upstream, under_each_driver};

use crate::forwarding::serving;

under_each_driver! {
    what_stands_behind_the_name_arrives_as_it_was_sent
    what_a_functions_path_spells_stays_inside_the_function
    no_spelling_of_a_route_is_another_route
    a_target_in_absolute_form_is_routed_by_its_path_alone
    an_asterisk_is_nobodys_path
}

/// Answers with the request line that came.
fn mirror(name: &'static str) -> Upstream {
    Upstream::start(move |peer| {
        while let Some(seen) = peer.request() {
            let line = format!("{name}: {}", seen.line());
            let length = line.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{line}"
            ));
        }
    })
}

/// What is sent behind `/function/f`, and what the function sees.
const SEEN: [(&str, &str); 34] = [
    ("", "/"),
    ("/", "/"),
    ("//", "//"),
    ("///a//b//", "///a//b//"),
    ("/a", "/a"),
    ("/a/", "/a/"),
    ("/%2f", "/%2f"),
    ("/%2F%2f", "/%2F%2f"),
    ("/%5c..%5C", "/%5c..%5C"),
    ("/.", "/."),
    ("/./a/.", "/./a/."),
    ("/..", "/.."),
    ("/a/../b", "/a/../b"),
    ("/a/b/../../../c", "/a/b/../../../c"),
    ("/..%2f..%2fsystem/functions", "/..%2f..%2fsystem/functions"),
    ("/%2e%2e/%2E%2e/system/info", "/%2e%2e/%2E%2e/system/info"),
    ("/..;/system/info", "/..;/system/info"),
    ("/a;v=1/b;c", "/a;v=1/b;c"),
    ("/%00%01%7f", "/%00%01%7f"),
    ("/%ff%FE%c3%a4", "/%ff%FE%c3%a4"),
    ("/%", "/%"),
    ("/%zz%2", "/%zz%2"),
    ("/%25%32%66", "/%25%32%66"),
    ("/+%20~!$&'()*,:@", "/+%20~!$&'()*,:@"),
    ("/|\"<>{}^`\\[]", "/|\"<>{}^`\\[]"),
    ("?", "/?"),
    ("/?", "/?"),
    ("?a=b", "/?a=b"),
    ("??a", "/??a"),
    ("?a?b=c&&d=&=e;f", "/?a?b=c&&d=&=e;f"),
    ("/x?/../../system/info", "/x?/../../system/info"),
    ("?/system/functions", "/?/system/functions"),
    ("/a?b=%2f..%00%ff+", "/a?b=%2f..%00%ff+"),
    ("/http://g/function/g", "/http://g/function/g"),
];

fn what_stands_behind_the_name_arrives_as_it_was_sent(driver: Driver) {
    let upstream = mirror("f");
    let gateway = serving(driver, &upstream);
    let mut client = gateway.connect();
    for (sent, seen) in SEEN {
        for method in ["GET", "DELETE"] {
            let answer = client.request(method, &format!("/function/f{sent}"), "", b"");
            assert_eq!(answer.status(), 200, "{sent}: {}", answer.text());
            assert_eq!(answer.text(), format!("f: {method} {seen}"), "{sent}");
        }
    }
    assert_eq!(upstream.seen().len(), 2 * SEEN.len());
}

/// A gateway with the functions `f` and `g`, whose answers tell them apart.
fn two(driver: Driver) -> (Gateway, Upstream, Upstream) {
    let (f, g) = (mirror("f"), mirror("g"));
    let gateway = Builder::new(driver)
        .serving("f", &f)
        .serving("g", &g)
        .start();
    (gateway, f, g)
}

fn what_a_functions_path_spells_stays_inside_the_function(driver: Driver) {
    let (gateway, f, g) = two(driver);
    let mut client = gateway.connect();
    let mut sent = 0;
    for up in [
        "..", "%2e%2e", ".%2E", "..;", "..;x=y", "..%00", "...", "..\\",
    ] {
        for slash in ["/", "//", "%2f", "%5c", "/./", "\\"] {
            for times in 1..=3 {
                let climb = format!("{up}{slash}").repeat(times);
                for goal in ["g", "function/g", "system/functions", "healthz", "metrics"] {
                    let path = format!("/x/{climb}{goal}");
                    let answer = client.get(&format!("/function/f{path}"));
                    assert_eq!(answer.text(), format!("f: GET {path}"));
                    sent += 1;
                }
            }
        }
    }
    assert_eq!((f.seen().len(), g.seen().len()), (sent, 0));
}

fn no_spelling_of_a_route_is_another_route(driver: Driver) {
    let (gateway, f, g) = two(driver);
    let mut client = gateway.connect();
    for path in [
        "/function/../system/functions",
        "/function/..%2fsystem/functions",
        "/function/%2e%2e/system/functions",
        "/function/./f",
        "/function/%66",
        "/function/f%2f",
        "/function/f%2fx",
        "/function/f%3f",
        "/function/f%00",
        "/function/f;x",
        "/function/f;/x",
        "/function/f:/x",
        "/function/F",
        "/function//f",
        "/function//f/x",
        "/function///",
        "/function/",
        "/function",
        "/function?f",
        "/function/?f",
        "/FUNCTION/f",
        "/Function/f",
        "/%66unction/f",
        "/function%2ff",
        "/function\\f",
        "//function/f",
        "/./function/f",
        "/x/../function/f",
        "/system/../function/f",
        "/healthz/../function/f",
        "//system/functions",
        "/./system/functions",
        "/SYSTEM/functions",
        "/system%2ffunctions",
        "/%73ystem/functions",
        "/system;/functions",
        "/systemx/functions",
        "/x/../system/functions",
        "/healthz/",
        "/healthz;",
        "/healthz%20",
        "/HEALTHZ",
        "/metrics/",
        "/metrics/../healthz",
        "/system/../healthz",
        "/system/./functions",
        "/system//functions",
        "/system/%66unctions",
        "/system/functions/../info",
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status(), 404, "{path}: {}", answer.text());
    }
    assert_eq!((f.seen().len(), g.seen().len()), (0, 0));
}

fn a_target_in_absolute_form_is_routed_by_its_path_alone(driver: Driver) {
    let (gateway, f, g) = two(driver);
    let mut client = gateway.connect();
    // Its host is not a route, whatever it is called.
    for (target, host, expected) in [
        ("http://g/function/f/x?y", "g", "f: GET /x?y"),
        ("HTTP://g:80/function/f", "g:80", "f: GET /"),
        ("https://function/function/f/", "function", "f: GET /"),
        ("http://h//function/g", "h", ""),
        ("http://h/function/../function/g", "h", ""),
        ("http://function/g", "function", ""),
        ("http://h/x/../function/g", "h", ""),
    ] {
        client.send(format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n"
        ));
        let answer = client.response();
        if expected.is_empty() {
            assert_eq!(answer.status(), 404, "{target}: {}", answer.text());
        } else {
            assert_eq!(answer.text(), expected, "{target}");
            // RFC 9112, 3.2.2: the target's host is the one that counts.
            assert_eq!(f.last().header("x-forwarded-host"), Some(host));
        }
    }
    // Without a path it is the root's, whatever its query looks like.
    let root = "http://h?/function/f HTTP/1.1\r\nHost: h\r\nX-Function: f\r\n\r\n";
    client.send(format!("GET {root}"));
    assert_eq!(client.response().status(), 405);
    client.send(format!("POST {root}"));
    assert_eq!(client.response().text(), "f: POST /?/function/f");
    for target in [
        "http://u@h/function/f",
        "http:///function/f",
        "http:/function/f",
        "ftp://h/function/f",
        "function/f",
        "h:80",
        "?/function/f",
        "../function/f",
    ] {
        let mut client = gateway.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(client.response().status(), 400, "{target}");
        client.expect_close();
    }
    assert_eq!((f.seen().len(), g.seen().len()), (4, 0));
}

fn an_asterisk_is_nobodys_path(driver: Driver) {
    let (gateway, f, g) = two(driver);
    let mut client = gateway.connect();
    let answer = client.request("OPTIONS", "*", "", b"");
    assert_eq!(answer.status(), 404, "{}", answer.text());
    client.send("GET * HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    client.expect_close();
    assert_eq!((f.seen().len(), g.seen().len()), (0, 0));
}
