//! Request heads: the verdict does not depend on how the bytes are cut, limits hold, and what is
//! accepted reads the same once it has been written anew.
#![no_main]

use fuzz::agree;
use libfuzzer_sys::fuzz_target;
use wire::{Framing, Limits, Parsed, RequestHead, Version, encode, parse_request};

/// Small enough for the fuzzer to reach them.
const LIMITS: Limits = Limits {
    head_bytes_max: 600,
    headers_max: 12,
    target_bytes_max: 100,
};

fuzz_target!(|data: &[u8]| {
    let Some((seed, data)) = data.split_first() else {
        return;
    };
    let whole = parse_request(data, &LIMITS);
    for cut in fuzz::cuts(*seed, data.len()) {
        agree(&parse_request(&data[..cut], &LIMITS), &whole, same);
    }
    if let Ok(Parsed::Complete { head, len }) = &whole {
        assert!(*len <= data.len() && *len <= LIMITS.head_bytes_max + 2);
        assert!(head.headers.iter().count() <= LIMITS.headers_max);
        assert!(head.target.len() <= LIMITS.target_bytes_max);
        assert!(head.target.is_ascii() && !head.target.contains(&b'#'));
        assert!(!matches!(head.framing, Framing::UntilClose));
        // What follows a head changes nothing about it.
        agree(&whole, &parse_request(&data[..*len], &LIMITS), same);
        if head.version == Version::Http11 {
            written_anew(head);
        }
    }
});

fn same(one: &RequestHead<'_>, other: &RequestHead<'_>) {
    assert_eq!(one.method, other.method);
    assert_eq!(one.origin_form().concat(), other.origin_form().concat());
    assert_eq!(one.framing, other.framing);
    assert_eq!(one.host, other.host);
    assert_eq!(one.keep_alive, other.keep_alive);
    assert_eq!(one.expect_continue, other.expect_continue);
    assert_eq!(one.upgrade, other.upgrade);
    assert_eq!(one.te_trailers, other.te_trailers);
    assert!(one.headers.iter().eq(other.headers.iter()));
}

fn written_anew(head: &RequestHead<'_>) {
    let mut out = Vec::new();
    encode::request_line(&mut out, head.method, &head.origin_form());
    for header in &head.headers {
        encode::header(&mut out, header.name, header.value);
    }
    encode::end_of_headers(&mut out);
    match parse_request(&out, &Limits::DEFAULT) {
        Ok(Parsed::Complete { head: again, len }) => {
            assert_eq!(len, out.len());
            same(head, &again);
        }
        other => panic!("{other:?} for {}", out.escape_ascii()),
    }
}
