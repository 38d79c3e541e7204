//! Every message in `cases/` is refused, for the reason it is listed under, however it arrives.
//!
//! Steps, for each case: give it whole and see its error; then give every beginning of it, shortest
//! first, and see that none is accepted and that the first error is that same one. The cases are
//! files so that fuzz targets can begin from them.
#![forbid(unsafe_code)]

mod escaped;

use escaped::unescape;
use wire::{BodyDecoder, Error, Framing, Limits, Method, Parsed, parse_request, parse_response};

/// `Some(error)` for what is refused, `None` for what is right so far; panics at what is accepted.
type Judge = fn(&[u8]) -> Option<Error>;

fn judge_request(input: &[u8]) -> Option<Error> {
    match parse_request(input, &Limits::DEFAULT) {
        Ok(Parsed::Complete { .. }) => panic!("accepted: {}", input.escape_ascii()),
        Ok(Parsed::Partial) => None,
        Err(error) => Some(error),
    }
}

fn judge_response(input: &[u8]) -> Option<Error> {
    match parse_response(input, Method::GET, &Limits::DEFAULT) {
        Ok(Parsed::Complete { .. }) => panic!("accepted: {}", input.escape_ascii()),
        Ok(Parsed::Partial) => None,
        Err(error) => Some(error),
    }
}

fn judge_chunked(input: &[u8]) -> Option<Error> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    match decoder.decode_raw(input) {
        Ok(step) if step.done => panic!("accepted: {}", input.escape_ascii()),
        Ok(_) => None,
        Err(error) => Some(error),
    }
}

fn check_all(file: &str, cases_min: usize, judge: Judge) {
    let mut cases = 0;
    for line in file
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (kind, escaped) = line.split_once(' ').expect("a kind and an input");
        let input = unescape(escaped);
        let whole = judge(&input);
        assert_eq!(whole.map(Error::kind), Some(kind), "{escaped}");
        let first = (0..input.len()).find_map(|end| judge(&input[..end]));
        assert!(
            first.is_none_or(|first| Some(first) == whole),
            "{first:?} for {escaped}"
        );
        cases += 1;
    }
    assert!(cases >= cases_min, "only {cases} cases were read");
}

#[test]
fn faulty_requests_are_refused_however_they_arrive() {
    check_all(
        include_str!("../cases/refused-requests.txt"),
        170,
        judge_request,
    );
}

#[test]
fn faulty_responses_are_refused_however_they_arrive() {
    check_all(
        include_str!("../cases/refused-responses.txt"),
        45,
        judge_response,
    );
}

#[test]
fn faulty_chunks_are_refused_however_they_arrive() {
    check_all(
        include_str!("../cases/refused-chunked.txt"),
        60,
        judge_chunked,
    );
}
