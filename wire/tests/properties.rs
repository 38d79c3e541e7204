//! What must hold for every input, tried with many random ones.
//!
//! Two kinds of bytes: noise, made of the pieces that messages are made of so that it comes close to
//! being one; and messages that the encoder wrote, which must be read back as they were meant.
#![forbid(unsafe_code)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use wire::{
    BodyDecoder, Error, Framing, Limits, Method, Parsed, Version, encode, parse_request,
    parse_response,
};

/// Small limits, so that random input meets them.
const LIMITS: Limits = Limits {
    head_bytes_max: 400,
    headers_max: 12,
    target_bytes_max: 60,
};

/// What a parser said, in a form that can be compared.
#[derive(Debug, PartialEq)]
enum Verdict {
    Complete {
        len: usize,
        framing: Framing,
        headers: usize,
    },
    Partial,
    Refused(Error),
}

fn request_verdict(input: &[u8]) -> Verdict {
    match parse_request(input, &LIMITS) {
        Ok(Parsed::Complete { head, len }) => Verdict::Complete {
            len,
            framing: head.framing,
            headers: head.headers.iter().count(),
        },
        Ok(Parsed::Partial) => Verdict::Partial,
        Err(error) => Verdict::Refused(error),
    }
}

fn response_verdict(input: &[u8]) -> Verdict {
    match parse_response(input, Method::GET, &LIMITS) {
        Ok(Parsed::Complete { head, len }) => Verdict::Complete {
            len,
            framing: head.framing,
            headers: head.headers.iter().count(),
        },
        Ok(Parsed::Partial) => Verdict::Partial,
        Err(error) => Verdict::Refused(error),
    }
}

/// The verdict on the whole is the first verdict on its beginnings that is not `Partial`.
fn check_beginnings(input: &[u8], judge: fn(&[u8]) -> Verdict) -> Result<(), TestCaseError> {
    let whole = judge(input);
    let first = (0..=input.len())
        .map(|end| judge(&input[..end]))
        .find(|v| *v != Verdict::Partial);
    prop_assert_eq!(first.unwrap_or(Verdict::Partial), whole);
    Ok(())
}

/// Start lines and field lines that are right by themselves, if not together.
fn head_lines() -> impl Strategy<Value = Vec<u8>> {
    let start = select(vec![
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /a?b HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404 \r\n",
        "\r\nPUT http://a/b HTTP/1.1\r\nHost: a\r\n",
    ]);
    let field = select(vec![
        "A: b\r\n",
        "X:\r\n",
        "A:b \t\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close, x\r\n",
        "Upgrade: a\r\n",
        "TE: b\r\n",
        "Host: a\r\n",
        "Expect: 100-continue\r\n",
    ]);
    (start, vec(field, 0..5))
        .prop_map(|(start, fields)| [start, &fields.concat(), "\r\n"].concat().into())
}

/// Near heads: right lines with a few pieces put in anywhere that break them, or not.
fn head_noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(vec![
            "\r\n", "\r", "\n", " ", ":", "GET ", "/", "HTTP/", "1.1", "HTTP/2.0", "*", "http://a/", "#", "Host",
            "\t", "\0", "a", "5", "CONNECT ", "\r\n\r\n", "A: b\r\n",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
        1 => (30usize..400).prop_map(|length| vec![b'a'; length]),
    ];
    (
        head_lines(),
        vec((any::<prop::sample::Index>(), piece), 0..4),
    )
        .prop_map(|(mut head, pieces)| {
            for (index, piece) in pieces {
                let at = index.index(head.len());
                head.splice(at..at, piece);
            }
            head
        })
}

/// Pieces of chunked bodies, right and wrong ones.
fn chunk_noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = select(vec![
        "3\r\nabc\r\n",
        "0\r\n",
        "\r\n",
        "1;a=b\r\nx\r\n",
        "1;a=\"\\\"\"\r\nx\r\n",
        "A: b\r\n",
        "\r",
        "\n",
        "5",
        ";",
        "a",
        "\"",
        "=",
        " ",
        "Host: a\r\n",
        "ffffffffffffffff",
        "0\r\n\r\n",
        "2\r\n\r\n\r\n",
    ])
    .prop_map(|piece| piece.as_bytes().to_vec());
    let piece = prop_oneof![12 => piece, 1 => vec(any::<u8>(), 0..4)];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn token() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}"
}

/// Fields without a meaning to the codec, and values without whitespace around them.
fn fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = "([!-~\u{80}-\u{ff}]([ -~\t]{0,12}[!-~])?)?";
    vec((token().prop_map(|name| format!("x-{name}")), value), 0..8)
}

/// The lengths of pieces to cut something into; what is left over is the last piece.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(0usize..9, 0..60)
}

/// Feeds `input` in pieces, as they would be read from a connection: unconsumed bytes come again.
/// Gives the payload and the bytes consumed.
fn decode(framing: Framing, input: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), Error> {
    let mut decoder = BodyDecoder::new(framing);
    let (mut payload, mut start, mut end) = (Vec::new(), 0, 0);
    let ends = cuts.iter().map(Some).chain([None]);
    for cut in ends {
        end = cut.map_or(input.len(), |cut| (end + cut).min(input.len()));
        while start < end && !decoder.is_done() {
            let window = &input[start..end];
            let step = decoder.decode(window)?;
            assert!(step.consumed <= window.len() && step.data.end <= step.consumed);
            assert!(step.data.start <= step.data.end);
            assert!(
                step.consumed > 0,
                "a step over bytes of the body makes progress"
            );
            assert_eq!(step.done, decoder.is_done());
            payload.extend_from_slice(&window[step.data]);
            start += step.consumed;
        }
    }
    assert_eq!(decoder.payload_bytes(), payload.len() as u64);
    assert_eq!(
        decoder.finish_on_eof().is_ok(),
        decoder.is_done() || framing == Framing::UntilClose
    );
    Ok((payload, start, decoder.is_done()))
}

/// As [`decode`], by raw steps: payload bytes, bytes consumed.
fn decode_raw(framing: Framing, input: &[u8], cuts: &[usize]) -> Result<(u64, usize, bool), Error> {
    let mut decoder = BodyDecoder::new(framing);
    let (mut start, mut end) = (0, 0);
    for cut in cuts.iter().map(Some).chain([None]) {
        end = cut.map_or(input.len(), |cut| (end + cut).min(input.len()));
        let step = decoder.decode_raw(&input[start..end])?;
        assert!(step.consumed <= end - start);
        assert!(
            step.done || step.consumed == end - start,
            "all is taken until the end"
        );
        assert_eq!(step.done, decoder.is_done());
        start += step.consumed;
    }
    Ok((decoder.payload_bytes(), start, decoder.is_done()))
}

fn encode_chunked(body: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), body);
    for &cut in cuts.iter().chain([&body.len()]) {
        let (chunk, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        if !chunk.is_empty() {
            encode::chunk_header(&mut out, chunk.len() as u64);
            out.extend_from_slice(chunk);
            out.extend_from_slice(encode::CHUNK_END);
        }
    }
    out.extend_from_slice(encode::LAST_CHUNK);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_never_panic(input in vec(any::<u8>(), 0..200), cuts in cuts()) {
        request_verdict(&input);
        response_verdict(&input);
        for framing in [Framing::None, Framing::Length(50), Framing::Chunked, Framing::UntilClose] {
            decode(framing, &input, &cuts).ok();
            decode_raw(framing, &input, &cuts).ok();
        }
    }

    #[test]
    fn a_request_gets_the_same_verdict_however_it_is_cut(input in head_noise()) {
        check_beginnings(&input, request_verdict)?;
    }

    #[test]
    fn a_response_gets_the_same_verdict_however_it_is_cut(input in head_noise()) {
        check_beginnings(&input, response_verdict)?;
    }

    #[test]
    fn what_is_accepted_has_crlf_lines_and_no_control_characters(input in head_noise()) {
        if let Ok(Parsed::Complete { head, len }) = parse_request(&input, &LIMITS) {
            let text = &input[..len];
            prop_assert!(text.ends_with(b"\r\n\r\n"));
            let crs = text.iter().filter(|&&octet| octet == b'\r').count();
            let lfs = text.iter().filter(|&&octet| octet == b'\n').count();
            let line_ends = text.windows(2).filter(|pair| pair == b"\r\n").count();
            prop_assert_eq!((crs, lfs), (line_ends, line_ends));
            let skipped = usize::from(text.starts_with(b"\r\n"));
            prop_assert_eq!(head.headers.iter().count() + skipped + 2, line_ends);
            for header in &head.headers {
                prop_assert!(!header.name.is_empty());
                prop_assert!(header.value.iter().all(|&octet| octet == b'\t' || octet >= b' '));
            }
        }
    }

    #[test]
    fn a_written_request_is_read_back(
        method in token(), path in "/[!-\"$-~]{0,30}", fields in fields(), length in any::<Option<u32>>(),
    ) {
        prop_assume!(method != "CONNECT");
        let method = Method::new(&method).expect("a token");
        let mut out = Vec::new();
        encode::request_line(&mut out, method, &[&path.as_bytes()[..1], &path.as_bytes()[1..]]);
        encode::header(&mut out, "Host", "a:1");
        for (name, value) in &fields {
            encode::header(&mut out, name, value);
        }
        if let Some(length) = length {
            encode::header_u64(&mut out, "Content-Length", length.into());
        }
        encode::end_of_headers(&mut out);
        let Ok(Parsed::Complete { head, len }) = parse_request(&out, &Limits::DEFAULT) else {
            return Err(TestCaseError::fail(out.escape_ascii().to_string()));
        };
        prop_assert_eq!(len, out.len());
        prop_assert_eq!((head.method, head.target, head.version), (method, path.as_bytes(), Version::Http11));
        prop_assert_eq!(head.framing, length.map_or(Framing::None, |length| Framing::Length(length.into())));
        let read: Vec<_> = head.headers.iter().filter(|header| header.name.starts_with(b"x-")).collect();
        prop_assert_eq!(read.len(), fields.len());
        for (header, (name, value)) in read.iter().zip(&fields) {
            prop_assert_eq!((header.name, header.value), (name.as_bytes(), value.as_bytes()));
        }
        let mut copy = out[..out.windows(2).position(|pair| pair == b"\r\n").expect("a line") + 2].to_vec();
        head.headers.copy_end_to_end(&mut copy, |_| true);
        encode::end_of_headers(&mut copy);
        prop_assert_eq!(copy, out);
    }

    #[test]
    fn a_copy_equals_the_end_to_end_fields_written_one_by_one(input in head_noise(), skip in token()) {
        if let Ok(Parsed::Complete { head, .. }) = parse_request(&input, &LIMITS) {
            let (mut copy, mut single) = (Vec::new(), Vec::new());
            head.headers.copy_end_to_end(&mut copy, |header| !header.is(&skip));
            for header in head.headers.iter() {
                if !head.headers.is_hop_by_hop(header.name) && !header.is(&skip) {
                    encode::header(&mut single, header.name, header.value);
                }
            }
            prop_assert_eq!(copy, single);
        }
    }

    #[test]
    fn a_written_response_is_read_back(status in 200u16..600, fields in fields()) {
        let mut out = Vec::new();
        encode::status_line(&mut out, status);
        for (name, value) in &fields {
            encode::header(&mut out, name, value);
        }
        encode::end_of_headers(&mut out);
        let Ok(Parsed::Complete { head, len }) = parse_response(&out, Method::GET, &Limits::DEFAULT) else {
            return Err(TestCaseError::fail(out.escape_ascii().to_string()));
        };
        prop_assert_eq!((len, head.status, head.headers.iter().count()), (out.len(), status, fields.len()));
        prop_assert_eq!(head.reason, encode::reason_phrase(status).as_bytes());
    }

    #[test]
    fn a_chunked_body_is_read_back_however_it_is_cut(
        body in vec(any::<u8>(), 0..200), chunks in cuts(), cuts in cuts(), next in vec(any::<u8>(), 0..9),
    ) {
        let coded = encode_chunked(&body, &chunks);
        let input = [coded.as_slice(), next.as_slice()].concat();
        let length = body.len() as u64;
        prop_assert_eq!(decode_raw(Framing::Chunked, &input, &cuts), Ok((length, coded.len(), true)));
        prop_assert_eq!(decode(Framing::Chunked, &input, &cuts), Ok((body, coded.len(), true)));
    }

    #[test]
    fn a_counted_body_is_read_back_however_it_is_cut(
        body in vec(any::<u8>(), 0..200), cuts in cuts(), next in vec(any::<u8>(), 0..9),
    ) {
        let input = [body.as_slice(), next.as_slice()].concat();
        let framing = Framing::Length(body.len() as u64);
        prop_assert_eq!(decode_raw(framing, &input, &cuts), Ok((body.len() as u64, body.len(), true)));
        let length = body.len();
        prop_assert_eq!(decode(framing, &input, &cuts), Ok((body, length, true)));
    }

    #[test]
    fn both_ways_of_decoding_agree_however_chunks_are_cut(input in chunk_noise(), cuts in cuts()) {
        let whole = decode(Framing::Chunked, &input, &[]);
        prop_assert_eq!(&decode(Framing::Chunked, &input, &cuts), &whole);
        let counted = whole.map(|(payload, consumed, done)| (payload.len() as u64, consumed, done));
        prop_assert_eq!(decode_raw(Framing::Chunked, &input, &cuts), counted);
        prop_assert_eq!(decode_raw(Framing::Chunked, &input, &[]), counted);
    }
}
