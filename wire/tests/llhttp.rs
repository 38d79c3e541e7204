//! Where this codec and llhttp differ is known, case by case: the tables in `cases/README.md`.
//!
//! Steps, for each case of llhttp's own suite: read every message of the input as a connection
//! would, compare verdict, number of messages and bytes of payload with llhttp's, and see that the
//! differences are those in the tables, no more and no fewer. It does not run llhttp: its verdicts
//! are in the case files.
#![forbid(unsafe_code)]

mod escaped;

use std::collections::BTreeSet;

use escaped::unescape;
use wire::{BodyDecoder, Error, Framing, Limits, Method, Parsed, parse_request, parse_response};

const README: &str = include_str!("../cases/README.md");

/// The suite's targets in absolute-form that this codec takes name this host, with the port or, in
/// one case, without.
const ADDED_HOST: &[u8] = b"Host: hypnotoad.org:1234\r\n";
const ADDED_HOST_WITHOUT_PORT: &[u8] = b"Host: hypnotoad.org\r\n";

/// What is needed of a head to find the next message.
struct Message {
    head_bytes: usize,
    framing: Framing,
    /// No HTTP/1 message follows: the connection is closed or becomes something else.
    is_last: bool,
}

/// Reads one head; `None` where it is not whole yet.
type Read = fn(&[u8]) -> Result<Option<Message>, Error>;

fn read_request(input: &[u8]) -> Result<Option<Message>, Error> {
    Ok(match parse_request(input, &Limits::DEFAULT)? {
        Parsed::Complete { head, len } => Some(Message {
            head_bytes: len,
            framing: head.framing,
            is_last: head.upgrade || !head.keep_alive,
        }),
        Parsed::Partial => None,
    })
}

fn read_response(input: &[u8]) -> Result<Option<Message>, Error> {
    Ok(
        match parse_response(input, Method::GET, &Limits::DEFAULT)? {
            Parsed::Complete { head, len } => Some(Message {
                head_bytes: len,
                framing: head.framing,
                is_last: head.upgrade || !head.keep_alive,
            }),
            Parsed::Partial => None,
        },
    )
}

/// Takes every message of `input`; gives the verdict in the words of the case files.
fn take_all(input: &[u8], read: Read) -> Result<String, Error> {
    let mut rest = input;
    let mut messages = 0;
    let mut payload_bytes = 0;
    let end = loop {
        let Some(message) = read(rest)? else {
            break "partial";
        };
        rest = &rest[message.head_bytes..];
        let mut body = BodyDecoder::new(message.framing);
        let step = body.decode_raw(rest)?;
        rest = &rest[step.consumed..];
        payload_bytes += body.payload_bytes();
        if !body.is_done() {
            // Would the body be whole if the connection ended here?
            break match body.finish_on_eof() {
                Ok(()) => "until-close",
                Err(_) => "partial",
            };
        }
        messages += 1;
        if rest.is_empty() || message.is_last {
            break "complete";
        }
    };
    Ok(format!("{end} {messages} {payload_bytes}"))
}

/// `input` with a `Host` line behind each request line of HTTP/1.1.
fn with_host(input: &[u8]) -> Vec<u8> {
    const LINE_END: &[u8] = b" HTTP/1.1\r\n";
    let mut out = Vec::new();
    for &octet in input {
        out.push(octet);
        if out.ends_with(LINE_END) {
            let host = match input.starts_with(b"GET http://hypnotoad.org?") {
                true => ADDED_HOST_WITHOUT_PORT,
                false => ADDED_HOST,
            };
            out.extend_from_slice(host);
        }
    }
    out
}

/// What a run over one file of cases found.
#[derive(Default)]
struct Findings {
    cases: usize,
    hosts_added: usize,
    /// Rows of the README's tables, without the reason.
    differences: BTreeSet<String>,
}

fn run(kind: &str, file: &str, read: Read) -> Findings {
    let mut findings = Findings::default();
    for line in file
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let columns: Vec<&str> = line.splitn(5, ' ').collect();
        let [verdict, messages, payload_bytes, name, escaped] = columns[..] else {
            panic!("five columns: {line}");
        };
        let input = unescape(escaped);
        let mut ours = take_all(&input, read);
        if ours == Err(Error::MissingHost) {
            findings.hosts_added += 1;
            ours = take_all(&with_host(&input), read);
        }
        let theirs = match verdict {
            "refused" => verdict.to_owned(),
            _ => format!("{verdict} {messages} {payload_bytes}"),
        };
        let agreed = match &ours {
            Ok(ours) => *ours == theirs,
            Err(_) => theirs == "refused",
        };
        if !agreed {
            let ours = ours.unwrap_or_else(|error| format!("refused {}", error.kind()));
            let row = format!("| `{kind}/{name}` | {theirs} | {ours} |");
            assert!(findings.differences.insert(row), "twice: {kind}/{name}");
        }
        findings.cases += 1;
    }
    findings
}

/// The rows of the README's tables for this kind of case, without the reason, which must be there.
fn listed(kind: &str) -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    for line in README
        .lines()
        .filter(|line| line.starts_with(&format!("| `{kind}/")))
    {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [case, theirs, ours, reason] = cells[..] else {
            panic!("four cells: {line}");
        };
        assert!(reason.trim_end_matches(" |").len() > 10, "why? {line}");
        let row = format!("{case} | {theirs} | {ours} |");
        assert!(rows.insert(row), "listed twice: {line}");
    }
    rows
}

fn check(kind: &str, cases: usize, findings: &Findings) {
    assert_eq!(findings.cases, cases, "cases of the kind {kind}");
    let listed = listed(kind);
    let new: Vec<_> = findings.differences.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&findings.differences).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not listed in cases/README.md: {new:#?}\nlisted there, but not so: {gone:#?}"
    );
}

#[test]
fn requests_are_judged_as_llhttp_judges_them_but_for_the_listed_cases() {
    let file = include_str!("../cases/llhttp-requests.txt");
    let findings = run("requests", file, read_request);
    check("requests", 120, &findings);
    let count = format!("{} requests lack a `Host`", findings.hosts_added);
    let said = README.lines().any(|line| line.starts_with(&count));
    assert!(said, "README.md does not say: {count}");
}

#[test]
fn responses_are_judged_as_llhttp_judges_them_but_for_the_listed_cases() {
    let file = include_str!("../cases/llhttp-responses.txt");
    let findings = run("responses", file, read_response);
    check("responses", 59, &findings);
    assert_eq!(findings.hosts_added, 0, "a response needs no Host");
}
