//! What the fuzz targets share: where to cut an input, what cuts must not change, and a second reader
//! to compare with.
//!
//! The properties themselves are in `fuzz_targets/`, one file each.
#![forbid(unsafe_code)]

pub mod second_reader;

use std::fmt::Debug;

use wire::{Error, Parsed};

/// Places at which an input is cut in two, drawn from its first byte: too many would make a run
/// slow, and the fuzzer finds the place that matters.
#[must_use]
pub fn cuts(seed: u8, length: usize) -> [usize; 3] {
    let seed = usize::from(seed);
    [seed, length.saturating_sub(seed), (length * seed) / 256].map(|cut| cut.min(length))
}

/// A beginning is judged as the whole, or not yet; of several faults, the first that shows is named.
///
/// # Panics
/// When it is not so.
pub fn agree<T: Debug>(
    beginning: &Result<Parsed<T>, Error>,
    whole: &Result<Parsed<T>, Error>,
    same: impl Fn(&T, &T),
) {
    match (beginning, whole) {
        (Ok(Parsed::Partial), _) | (Err(_), Err(_)) => {}
        (
            Ok(Parsed::Complete { head, len }),
            Ok(Parsed::Complete {
                head: all,
                len: end,
            }),
        ) => {
            assert_eq!(len, end);
            same(head, all);
        }
        (beginning, whole) => panic!("{beginning:?}, but then {whole:?}"),
    }
}
