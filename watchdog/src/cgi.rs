//! The request as environment variables of the program.
//!
//! `Http_Method`, `Http_Path`, `Http_Query` (if there is one), `Http_Host`, the length of the body as
//! `Http_ContentLength` and `Http_Content_Length` (0 without a body, -1 if it is chunked), and
//! `Http_NAME` for each header, NAME being its name in the usual capitals with `_` for `-`: the
//! names and values that OpenFaaS's watchdogs use.
//!
//! Left out is what could fool the program:
//! - headers that would come out under one of the first six names;
//! - `Proxy`, since Python takes `Http_Proxy` for the proxy to use (CVE-2016-1000110);
//! - names with `_` in them. `X_Forwarded_For` would become the same variable as
//!   `X-Forwarded-For`, and of two variables of one name most programs take the first: a client
//!   could speak for the gateway. nginx drops such headers by default for the same reason
//!   (`underscores_in_headers`). A function that needs one reads it with `marshal_request`.
//!
//! Several headers of one name are one variable, so no name is ever set twice.

use process::Environment;
use wire::{Framing, RequestHead};

use crate::by_name::by_name;

/// Fills `environment` from `head`. What is in it before is kept.
pub(crate) fn fill(environment: &mut Environment, head: &RequestHead<'_>) {
    set(environment, b"Http_Method", head.method.as_str().as_bytes());
    set(environment, b"Http_Path", head.path());
    if let Some(query) = head.query().filter(|query| !query.is_empty()) {
        set(environment, b"Http_Query", query);
    }
    if let Some(host) = head.host {
        set(environment, b"Http_Host", host);
    }
    let mut digits = itoa::Buffer::new();
    let length = match head.framing {
        Framing::None => "0",
        Framing::Length(length) => digits.format(length),
        // RFC 9112 §6.3: a request never ends with its connection.
        Framing::Chunked | Framing::UntilClose => "-1",
    };
    for name in [&b"Http_ContentLength"[..], b"Http_Content_Length"] {
        set(environment, name, length.as_bytes());
    }
    fill_headers(environment, head);
}

fn fill_headers(environment: &mut Environment, head: &RequestHead<'_>) {
    const LEFT_OUT: [&str; 7] = [
        "method",
        "path",
        "query",
        "host",
        "contentlength",
        "content-length",
        "proxy",
    ];
    let mut name = Vec::with_capacity(32);
    let mut joined = Vec::new();
    for (header, values) in by_name(head.headers) {
        if header.name.contains(&b'_') || LEFT_OUT.iter().any(|left_out| header.is(left_out)) {
            continue;
        }
        // Several lines of one name are one list, RFC 9110 §5.3; cookies have a separator of their
        // own, RFC 6265 §5.4.
        let separator: &[u8] = if header.is("cookie") { b"; " } else { b", " };
        joined.clear();
        for (nth, value) in values.enumerate() {
            if nth > 0 {
                joined.extend_from_slice(separator);
            }
            joined.extend_from_slice(value);
        }
        write_name(&mut name, header.name);
        set(environment, &name, &joined);
    }
}

/// `x-call-id` as `Http_X_Call_Id`.
fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    out.clear();
    out.extend_from_slice(b"Http_");
    let mut is_first = true;
    for byte in name {
        let byte = match byte {
            b'-' => b'_',
            byte if is_first => byte.to_ascii_uppercase(),
            byte => byte.to_ascii_lowercase(),
        };
        is_first = byte == b'_';
        out.push(byte);
    }
}

fn set(environment: &mut Environment, name: &[u8], value: &[u8]) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let set = environment.set(OsStr::from_bytes(name), OsStr::from_bytes(value));
    debug_assert!(
        set.is_ok(),
        "a head has no NUL, and its names are tokens, which have no `=`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Limits, Parsed};

    fn variables(head: &str) -> Vec<String> {
        let Parsed::Complete { head, .. } =
            wire::parse_request(head.as_bytes(), &Limits::DEFAULT).unwrap()
        else {
            panic!("the test's head is not complete");
        };
        let mut environment = Environment::default();
        fill(&mut environment, &head);
        let mut variables: Vec<_> = environment
            .iter()
            .map(|entry| entry.to_string_lossy().into_owned())
            .collect();
        variables.sort();
        variables
    }

    #[test]
    fn names_and_values_are_as_functions_expect_them() {
        let head = "POST /a/b?x=1&y=2 HTTP/1.1\r\nHost: example.com:80\r\ncontent-length: 5\r\n\
                    X-CALL-ID: 7\r\naccept: text/html\r\nContent-Type: text/plain\r\n\r\n";
        assert_eq!(
            variables(head),
            [
                "Http_Accept=text/html",
                "Http_ContentLength=5",
                "Http_Content_Length=5",
                "Http_Content_Type=text/plain",
                "Http_Host=example.com:80",
                "Http_Method=POST",
                "Http_Path=/a/b",
                "Http_Query=x=1&y=2",
                "Http_X_Call_Id=7",
            ]
        );
    }

    #[test]
    fn the_length_of_a_chunked_body_is_not_known_and_an_empty_query_is_none() {
        let head = "PUT /? HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let want = [
            "Http_ContentLength=-1",
            "Http_Content_Length=-1",
            "Http_Host=x",
            "Http_Method=PUT",
            "Http_Path=/",
            "Http_Transfer_Encoding=chunked",
        ];
        assert_eq!(variables(head), want);
    }

    #[test]
    fn repeated_headers_become_one_list() {
        let head =
            "GET / HTTP/1.1\r\nHost: x\r\nVia: a\r\nCookie: p=1\r\nvia: b\r\ncookie: q=2\r\n\r\n";
        let variables = variables(head);
        assert!(
            variables.contains(&"Http_Via=a, b".to_owned()),
            "{variables:?}"
        );
        assert!(
            variables.contains(&"Http_Cookie=p=1; q=2".to_owned()),
            "{variables:?}"
        );
        assert_eq!(
            variables
                .iter()
                .filter(|entry| entry.starts_with("Http_Via"))
                .count(),
            1
        );
    }

    #[test]
    fn no_header_can_pose_as_something_else() {
        let head = "GET /real HTTP/1.1\r\nHost: x\r\nPath: /forged\r\nMETHOD: PUT\r\nQuery: q\r\n\
                    ContentLength: 9\r\nProxy: http://evil\r\nX_Forwarded_For: 6.6.6.6\r\n\
                    X-Forwarded_For: 6.6.6.6\r\nx_call_id: forged\r\nContent_Length: 9\r\n\
                    X_Start_Time: 0\r\n_: _\r\nX-Forwarded-For: 10.0.0.1\r\nX-Call-Id: 7\r\n\r\n";
        assert_eq!(
            variables(head),
            [
                "Http_ContentLength=0",
                "Http_Content_Length=0",
                "Http_Host=x",
                "Http_Method=GET",
                "Http_Path=/real",
                "Http_X_Call_Id=7",
                "Http_X_Forwarded_For=10.0.0.1",
            ]
        );
    }
}
