//! From the path of a request to the name of a file. Pure.
//!
//! A file has one address: nothing is merged or resolved here (`//`, `.` and `..` lead nowhere), so
//! what a rule in front of us says about an address holds for its file. Names that begin with a dot
//! are not served: `.git`, `.env` and the like lie in such folders by accident. `/.well-known/` is,
//! since it is meant to be (RFC 8615).

/// The file that stands for its folder.
pub(super) const INDEX: &[u8] = b"index.html";

/// The one name with a dot in front that is served, as the first of a path.
const WELL_KNOWN: &[u8] = b".well-known";

/// The name of a file, relative to the folder that is served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Segments with `/` between them: none is empty, `.` or `..`, and none has a NUL in it.
    pub(super) bytes: Vec<u8>,
    /// The path names a folder, and `bytes` its index.
    pub(super) is_index: bool,
}

/// Why a path names no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// A `%` without two hexadecimal digits behind it, RFC 3986 §2.1.
    BadEscape,
    /// `%00`.
    Nul,
    /// No file can have it, or none that is served.
    NotServed,
}

/// The file that `path` names. `path` is that of a request, without its query.
///
/// # Errors
/// [`Unnamed`]; of several reasons the first from the left.
pub(super) fn resolve(path: &[u8]) -> Result<Name, Unnamed> {
    let mut segments = path
        .strip_prefix(b"/")
        .ok_or(Unnamed::NotServed)?
        .split(|byte| *byte == b'/')
        .peekable();
    let mut bytes = Vec::with_capacity(path.len() + INDEX.len());
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_none() {
            bytes.extend_from_slice(INDEX);
            return Ok(Name {
                bytes,
                is_index: true,
            });
        }
        let begin = bytes.len();
        decode(segment, &mut bytes)?;
        let own = &bytes[begin..];
        let is_hidden = own.starts_with(b".") && !(begin == 0 && own == WELL_KNOWN);
        if own.is_empty() || own.contains(&b'/') || is_hidden {
            return Err(Unnamed::NotServed);
        }
        if segments.peek().is_some() {
            bytes.push(b'/');
        }
    }
    Ok(Name {
        bytes,
        is_index: false,
    })
}

/// Appends `segment` to `out` with its percent-encoding undone.
fn decode(mut segment: &[u8], out: &mut Vec<u8>) -> Result<(), Unnamed> {
    while let Some((&byte, rest)) = segment.split_first() {
        segment = rest;
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let [high, low, rest @ ..] = rest else {
            return Err(Unnamed::BadEscape);
        };
        match (digit(*high), digit(*low)) {
            (Some(0), Some(0)) => return Err(Unnamed::Nul),
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => return Err(Unnamed::BadEscape),
        }
        segment = rest;
    }
    Ok(())
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Where a folder's address ends with a slash, relative to the address `path` without it.
///
/// Relative, because a gateway in front may have taken the beginning of the address away. The `./`
/// keeps a name such as `http:` from being read as a scheme, and an answer from ever naming another
/// host.
pub(super) fn with_slash(path: &[u8], query: Option<&[u8]>) -> Vec<u8> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let mut out = [b"./", name, b"/"].concat();
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(path: &str) -> Result<String, Unnamed> {
        let name = resolve(path.as_bytes())?;
        assert_eq!(name.is_index, path.ends_with('/'), "{path}");
        Ok(String::from_utf8(name.bytes).unwrap())
    }

    #[test]
    fn a_path_names_a_file_or_the_index_of_a_folder() {
        for (path, want) in [
            ("/", "index.html"),
            ("/a/", "a/index.html"),
            ("/a/b.css", "a/b.css"),
            ("/a%20b/%c3%a9%C3%A9", "a b/éé"),
            ("/100%25", "100%"),
            ("/%61", "a"),
            ("/.well-known/x", ".well-known/x"),
            ("/a..b/c.", "a..b/c."),
            ("/a\\b:c", "a\\b:c"),
        ] {
            assert_eq!(name(path).as_deref(), Ok(want), "{path}");
        }
    }

    #[test]
    fn other_paths_name_none() {
        use Unnamed::{BadEscape, NotServed, Nul};
        for (path, want) in [
            ("/..", NotServed),
            ("/../etc/passwd", NotServed),
            ("/a/../../x", NotServed),
            ("/%2e%2e/x", NotServed),
            ("/a/.%2E/x", NotServed),
            ("/..%2fx", NotServed),
            ("/a%2Fb", NotServed),
            ("/%2f", NotServed),
            ("/./a", NotServed),
            ("/a/.", NotServed),
            ("//host/x", NotServed),
            ("/a//b", NotServed),
            ("//", NotServed),
            ("/.git/config", NotServed),
            ("/a/.env", NotServed),
            ("/a/.well-known/x", NotServed),
            ("/.well-known/.x", NotServed),
            ("*", NotServed),
            ("", NotServed),
            ("/%", BadEscape),
            ("/%4", BadEscape),
            ("/%zz", BadEscape),
            ("/%+1", BadEscape),
            ("/a%00", Nul),
        ] {
            assert_eq!(name(path), Err(want), "{path}");
        }
    }

    #[test]
    fn a_folder_is_pointed_to_beside_the_address_that_was_asked_for() {
        for (path, query, want) in [
            ("/a", None, "./a/"),
            ("/a/b%20c", Some("x=/y"), "./b%20c/?x=/y"),
            ("/http:", Some(""), "./http:/?"),
        ] {
            let to = with_slash(path.as_bytes(), query.map(str::as_bytes));
            assert_eq!(String::from_utf8(to).unwrap(), want);
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_the_folder(path in "/([a./%]|%2[eEfF]|%00|\\PC){0,24}") {
            if let Ok(name) = resolve(path.as_bytes()) {
                prop_assert!(!name.bytes.contains(&0));
                for segment in name.bytes.split(|byte| *byte == b'/') {
                    prop_assert!(!segment.is_empty() && segment != b"." && segment != b"..");
                }
            }
        }

        #[test]
        fn every_name_has_an_address(name in "[^/\0.][^/\0]{0,12}") {
            let path: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let found = resolve(format!("/{path}").as_bytes());
            prop_assert_eq!(found.map(|found| found.bytes), Ok(name.into_bytes()));
        }
    }
}
