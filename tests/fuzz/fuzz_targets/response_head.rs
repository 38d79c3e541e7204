//! Answers' heads, for each kind of request: as for requests.
#![no_main]

use fuzz::agree;
use libfuzzer_sys::fuzz_target;
use wire::{Framing, Limits, Method, Parsed, ResponseHead, Version, encode, parse_response};

const LIMITS: Limits = Limits {
    head_bytes_max: 600,
    headers_max: 12,
    target_bytes_max: 100,
};

fuzz_target!(|data: &[u8]| {
    let [seed, which, data @ ..] = data else {
        return;
    };
    let method = [Method::GET, Method::HEAD, Method::POST][usize::from(*which % 3)];
    let parse = |bytes| parse_response(bytes, method, &LIMITS);
    let whole = parse(data);
    for cut in fuzz::cuts(*seed, data.len()) {
        agree(&parse(&data[..cut]), &whole, same);
    }
    if let Ok(Parsed::Complete { head, len }) = &whole {
        assert!(*len <= data.len() && *len <= LIMITS.head_bytes_max);
        assert!(head.headers.iter().count() <= LIMITS.headers_max);
        assert!((100..600).contains(&head.status));
        if method.is_head() || matches!(head.status, 100..=199 | 204 | 304) {
            assert_eq!(head.framing, Framing::None);
        }
        // A connection goes on only behind an answer whose end is known.
        assert!(!(head.keep_alive && head.framing == Framing::UntilClose));
        agree(&whole, &parse(&data[..*len]), same);
        if head.version == Version::Http11 {
            written_anew(head, method);
        }
    }
});

fn same(one: &ResponseHead<'_>, other: &ResponseHead<'_>) {
    assert_eq!(one.status, other.status);
    assert_eq!(one.framing, other.framing);
    assert_eq!(one.keep_alive, other.keep_alive);
    assert_eq!(one.upgrade, other.upgrade);
    assert!(one.headers.iter().eq(other.headers.iter()));
}

fn written_anew(head: &ResponseHead<'_>, method: Method<'_>) {
    let mut out = Vec::new();
    encode::status_line(&mut out, head.status);
    for header in &head.headers {
        encode::header(&mut out, header.name, header.value);
    }
    encode::end_of_headers(&mut out);
    match parse_response(&out, method, &Limits::DEFAULT) {
        Ok(Parsed::Complete { head: again, len }) => {
            assert_eq!(len, out.len());
            same(head, &again);
        }
        other => panic!("{other:?} for {}", out.escape_ascii()),
    }
}
