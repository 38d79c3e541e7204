//! Reading Rust as text: the code without its comments and literals, its words, and which paths it
//! names. Pure: text in, answers out.
//!
//! Not a parser. It knows what it takes to tell a word in code from the same word in a comment.

/// Blanks comments, strings and characters; line breaks stay, so that line numbers do.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at + 1),
            b'r' if !in_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'b' if bytes[at..].starts_with(b"br") && !in_word(bytes, at) => {
                raw_string_end(bytes, at + 1).unwrap_or(at)
            }
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let blank = |byte: &u8| if *byte == b'\n' { b'\n' } else { b' ' };
        out.extend(bytes[at..end].iter().map(blank));
        at = end;
    }
    String::from_utf8(out).unwrap()
}

/// Whether the byte before `at` belongs to the same word.
fn in_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_word_byte(bytes[at - 1])
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at..].iter().position(|byte| *byte == b'\n');
    length.map_or(bytes.len(), |length| at + length)
}

/// Block comments nest.
fn comment_end(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut at) = (1, at + 2);
    while at < bytes.len() && depth > 0 {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// `at` is on the `r`; `None` where no raw string begins there.
fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let begin = at + 1 + hashes;
    if bytes.get(begin) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let length = bytes[begin + 1..]
        .windows(close.len())
        .position(|window| window == close)?;
    Some(begin + 1 + length + close.len())
}

/// `at` is on the quote; `None` where it begins a lifetime.
fn character_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        let length = bytes
            .get(at + 3..)?
            .iter()
            .position(|byte| *byte == b'\'')?;
        return Some(at + 3 + length + 1);
    }
    // One character of up to four bytes.
    (at + 2..=at + 5)
        .find(|end| bytes.get(*end) == Some(&b'\''))
        .filter(|end| {
            let inside = std::str::from_utf8(&bytes[at + 1..*end]);
            inside.is_ok_and(|inside| inside.chars().count() == 1)
        })
        .map(|end| end + 1)
}

/// The words of `code`, and each other visible character as a word of its own.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let length = rest.bytes().take_while(|byte| is_word_byte(*byte)).count();
        let (word, behind) = rest.split_at(if length == 0 {
            first.len_utf8()
        } else {
            length
        });
        rest = behind;
        Some(word)
    })
}

/// Whether `code` uses the crate: `krate::…` or `use krate`.
pub(crate) fn names_crate(code: &str, krate: &str) -> bool {
    let words: Vec<&str> = words(code).collect();
    words.iter().enumerate().any(|(at, word)| {
        let path = words.get(at + 1) == Some(&":") && words.get(at + 2) == Some(&":");
        let inner = at >= 2 && words[at - 1] == ":" && words[at - 2] == ":";
        let used = at >= 1 && matches!(words[at - 1], "use" | "crate");
        *word == krate && !inner && (path || used)
    })
}

/// The segments that follow `root::` anywhere in `code`, braces opened: `crate::{a, b::c}` gives
/// `a` and `b`.
pub(crate) fn segments_after<'c>(code: &'c str, root: &str) -> Vec<&'c str> {
    let words: Vec<&str> = words(code).collect();
    let mut found = Vec::new();
    for at in 0..words.len() {
        if words[at] != root || words.get(at + 1..at + 3) != Some(&[":", ":"]) {
            continue;
        }
        match words.get(at + 3) {
            Some(&"{") => found.extend(heads_of_group(&words[at + 4..])),
            Some(word) => found.push(*word),
            None => {}
        }
    }
    found
}

/// The first word of each item of a brace group, up to its end.
fn heads_of_group<'c>(words: &[&'c str]) -> Vec<&'c str> {
    let (mut depth, mut at_head, mut heads) = (0, true, Vec::new());
    for word in words {
        match *word {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => at_head = true,
            head if depth == 0 && std::mem::take(&mut at_head) => heads.push(head),
            _ => {}
        }
    }
    heads
}

#[test]
fn words_in_comments_and_literals_do_not_count() {
    let text = r##"
        // unsafe in a line /* unsafe */
        /* unsafe /* nested unsafe */ unsafe */
        let a = "unsafe \" unsafe"; let b = r#"unsafe " unsafe"#; let c = br"unsafe";
        let d = '"'; let e = '\''; let f: &'static str = "unsafe"; let g = 'ä'; let h = b'"';
        after();
    "##;
    let code = without_comments_and_literals(text);
    assert!(words(&code).all(|word| word != "unsafe"), "{code}");
    assert!(
        code.contains("after();") && code.contains("&'static str"),
        "{code}"
    );
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn a_crate_is_named_by_path_or_use_and_not_by_a_module_of_that_name() {
    for naming in [
        "monoio::spawn()",
        "use monoio;",
        "use monoio as m;",
        "::monoio::x()",
    ] {
        let own = naming.trim_start_matches(':');
        assert!(names_crate(own, "monoio"), "{naming}");
    }
    for other in [
        "mod monoio {",
        "super::monoio::x()",
        "monoio_like::x",
        "let monoio = 1;",
    ] {
        assert!(!names_crate(other, "monoio"), "{other}");
    }
}

#[test]
fn groups_are_opened_when_paths_are_collected() {
    let code = "use crate::{a::{b, c}, d, e as f}; crate::g::h(); super::i::j();";
    assert_eq!(segments_after(code, "crate"), ["a", "d", "e", "g"]);
    assert_eq!(segments_after(code, "super"), ["i"]);
}
