//! What reading and writing one head costs: a short request, a browser's, and an answer.
//!
//! What it does not do: compare with anybody; `bench-results/proxy` measures the whole.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use wire::{Limits, Parsed, RequestHead, encode, parse_request, parse_response};

const SHORT: &[u8] = b"GET /function/wc?lines=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const BROWSER: &[u8] = b"GET /function/figlet/page?a=1&b=2 HTTP/1.1\r\n\
    Host: gateway.example.org:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: http://gateway.example.org:8080/ui/\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 12\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    X-Duration-Seconds: 0.000312\r\n\r\n";

fn browser() -> RequestHead<'static> {
    match parse_request(BROWSER, &Limits::DEFAULT) {
        Ok(Parsed::Complete { head, .. }) => head,
        other => panic!("the head of the bench is in order: {other:?}"),
    }
}

fn parse(criterion: &mut Criterion) {
    let limits = Limits::DEFAULT;
    for (name, bytes) in [("request, short", SHORT), ("request, browser", BROWSER)] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| parse_request(black_box(bytes), &limits).is_ok());
        });
    }
    criterion.bench_function("response", |bencher| {
        let method = browser().method;
        bencher.iter(|| parse_response(black_box(ANSWER), method, &limits).is_ok());
    });
}

fn write(criterion: &mut Criterion) {
    let head = browser();
    let mut out = Vec::with_capacity(4096);
    criterion.bench_function("request, browser, written anew", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode::request_line(&mut out, head.method, &[b"/page"]);
            head.headers
                .copy_end_to_end(&mut out, |header| !header.is("host"));
            encode::end_of_headers(&mut out);
            out.len()
        });
    });
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
