//! The header of a request by name: lines of one name are one field, wherever they stand.
//!
//! Programs get fields, not lines: one variable, or one list, for each name. What it does not do:
//! join values or rewrite names, which is different for each form in which a program gets them.

use wire::{Header, Headers};

/// The first line of each name, in order, with the values of all lines of that name.
///
/// A head has few lines ([`wire::HEADERS_CAP`] at most), so comparing each with all is cheaper than
/// a map.
pub(crate) fn by_name<'b>(
    headers: Headers<'b>,
) -> impl Iterator<Item = (Header<'b>, impl Iterator<Item = &'b [u8]>)> {
    let lines = headers.iter().enumerate();
    lines.filter_map(move |(index, first)| {
        let same = move |other: &Header<'b>| other.name.eq_ignore_ascii_case(first.name);
        if headers.iter().take(index).any(|earlier| same(&earlier)) {
            return None;
        }
        let values = headers.iter().skip(index).filter(same);
        Some((first, values.map(|line| line.value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Limits, Parsed};

    #[test]
    fn lines_of_one_name_are_one_field_in_the_place_of_the_first() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\nVia: a\r\nAccept: \r\nvia: b\r\nVIA: a\r\n\r\n";
        let Ok(Parsed::Complete { head, .. }) = wire::parse_request(head, &Limits::DEFAULT) else {
            panic!("the test's head is not complete");
        };
        let fields: Vec<(&[u8], Vec<&[u8]>)> = by_name(head.headers)
            .map(|(first, values)| (first.name, values.collect()))
            .collect();
        let want: [(&[u8], Vec<&[u8]>); 3] = [
            (b"Host", vec![b"x"]),
            (b"Via", vec![b"a", b"b", b"a"]),
            (b"Accept", vec![b""]),
        ];
        assert_eq!(fields, want);
    }
}
