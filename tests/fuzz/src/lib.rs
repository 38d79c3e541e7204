//! What the fuzz targets share: where to cut an input, and a second reader to compare with.
//!
//! The properties themselves are in `fuzz_targets/`, one file each.
#![forbid(unsafe_code)]

pub mod second_reader;

/// Places at which an input is cut in two, drawn from its first byte: too many would make a run
/// slow, and the fuzzer finds the place that matters.
#[must_use]
pub fn cuts(seed: u8, length: usize) -> [usize; 3] {
    let seed = usize::from(seed);
    [seed, length.saturating_sub(seed), (length * seed) / 256].map(|cut| cut.min(length))
}
