//! How the bytes of a case are written in `cases/`: as in Rust, so that they can be read.

/// Reads `\r`, `\n`, `\t`, `\\`, `\'`, `\"` and `\xHH`.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits = [rest.next(), rest.next()].map(|digit| {
                        char::from(digit.expect("two digits"))
                            .to_digit(16)
                            .expect("a digit")
                    });
                    u8::try_from(digits[0] * 16 + digits[1]).expect("two digits make an octet")
                }
                Some(plain @ (b'\\' | b'\'' | b'"')) => plain,
                other => panic!("unknown escape {other:?} in {text}"),
            },
            plain => plain,
        };
        out.push(octet);
    }
    out
}
