//! Classes of octets and the small comparisons that every other room needs.
//!
//! The class tables are made at compile time: one load per octet. Nothing here knows what a
//! message is.

const TOKEN: u8 = 1;
const HOST: u8 = 2;

/// One table for both classes, so that it stays in four cache lines.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut octet = 0u8;
    loop {
        // RFC 9110 §5.6.2: tchar.
        if octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            classes[octet as usize] |= TOKEN;
        }
        // RFC 3986 §3.2.2: unreserved and sub-delims of a reg-name; '%' is judged by its digits.
        if octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b';'
                    | b'='
            )
        {
            classes[octet as usize] |= HOST;
        }
        if octet == u8::MAX {
            break classes;
        }
        octet += 1;
    }
};

/// Is this a character of a token (RFC 9110 §5.6.2)?
pub(crate) fn is_token_octet(octet: u8) -> bool {
    CLASSES[usize::from(octet)] & TOKEN != 0
}

/// Is this one or more token characters?
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_octet)
}

/// May this stand in a registered name, percent-encoding apart (RFC 3986 §3.2.2)?
pub(crate) fn is_reg_name_octet(octet: u8) -> bool {
    CLASSES[usize::from(octet)] & HOST != 0
}

/// May this stand in a field value: HTAB, SP, visible ASCII, obs-text (RFC 9110 §5.5)?
pub(crate) fn is_value_octet(octet: u8) -> bool {
    octet == b'\t' || (octet >= b' ' && octet != 0x7f)
}

/// May this stand in a request target: visible ASCII (RFC 9112 §3.2)?
pub(crate) fn is_target_octet(octet: u8) -> bool {
    octet.is_ascii_graphic()
}

/// Where `octet` first stands in `bytes`.
///
/// For the few bytes of a field name or value: eight at a time in a register, inlined. The call
/// and the set-up of a vector search cost more than that until about a hundred bytes.
#[inline]
pub(crate) fn find(bytes: &[u8], octet: u8) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let pattern = u64::from(octet) * ONES;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // The lowest high bit that is set marks the first byte that equals `octet`.
        let differs = u64::from_le_bytes(*word) ^ pattern;
        let equal = differs.wrapping_sub(ONES) & !differs & HIGHS;
        if equal != 0 {
            return Some(index * 8 + equal.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&tail_octet| tail_octet == octet)?;
    Some(words.len() * 8 + at)
}

/// The bytes without optional whitespace around them (OWS, RFC 9110 §5.6.3: SP and HTAB only).
pub(crate) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma list, trimmed; empty ones are left out (RFC 9110 §5.6.1.2).
///
/// Quoted strings are not understood: no list that is read here may contain one.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&octet| octet == b',')
        .map(trim_ows)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn an_octet_is_found_where_it_first_stands() {
        // Neighbours of the octet, which a search by whole words could take for it.
        for filler in [b'\x0c', b'\x0e', b'\x8d', 0, 0xff, b':'] {
            for len in 0..40 {
                let mut bytes = vec![filler; len];
                assert_eq!(find(&bytes, b'\r'), None);
                for at in (0..len).rev() {
                    bytes[at] = b'\r';
                    assert_eq!(find(&bytes, b'\r'), Some(at));
                }
            }
        }
    }
}
