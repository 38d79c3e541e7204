//! Writing JSON strings: all the JSON that a watchdog needs.

/// Appends `text` as a JSON string, quotes included; what is not UTF-8 becomes U+FFFD. RFC 8259 §7.
pub(crate) fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if u32::from(c) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes())
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_json_wants_escaped() {
        let mut out = Vec::new();
        string(&mut out, "a\"b\\c\n\r\t\u{1}ä".as_bytes());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a\\\"b\\\\c\\n\\r\\t\\u0001ä\""
        );
        let mut out = Vec::new();
        string(&mut out, b"\xff");
        assert_eq!(String::from_utf8(out).unwrap(), "\"\u{fffd}\"");
    }
}
