//! Bodies in chunks: both ways to read them agree, cuts change nothing, and the payload reads the
//! same once it has been put into chunks anew.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{BodyDecoder, Error, Framing, encode};

/// What a reader made of an input.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    payload: Vec<u8>,
    consumed: usize,
    end: Result<bool, Error>,
}

fuzz_target!(|data: &[u8]| {
    let Some((seed, data)) = data.split_first() else {
        return;
    };
    let whole = decode(&[data]);
    let raw = decode_raw(&[data]);
    assert_eq!(raw.1, whole.end);
    if whole.end.is_ok() {
        assert_eq!(raw.0, whole.consumed);
    }
    for cut in fuzz::cuts(*seed, data.len()) {
        let (first, second) = data.split_at(cut);
        let cut = decode(&[first, second]);
        assert_eq!(cut.end, whole.end);
        if whole.end.is_ok() {
            assert_eq!(cut, whole);
            assert_eq!(decode_raw(&[first, second]), raw);
        }
    }
    if whole.end == Ok(true) {
        let mut again = Vec::new();
        for piece in whole.payload.chunks(usize::from(*seed).max(1)) {
            encode::chunk_header(&mut again, piece.len() as u64);
            again.extend_from_slice(piece);
            again.extend_from_slice(encode::CHUNK_END);
        }
        again.extend_from_slice(encode::LAST_CHUNK);
        let again = decode(&[&again]);
        assert_eq!((again.payload, again.end), (whole.payload, Ok(true)));
    }
});

fn decode(pieces: &[&[u8]]) -> Outcome {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let (mut payload, mut consumed) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() && !decoder.is_done() {
            let step = match decoder.decode(rest) {
                Ok(step) => step,
                Err(error) => {
                    return Outcome {
                        payload,
                        consumed,
                        end: Err(error),
                    };
                }
            };
            payload.extend_from_slice(&rest[step.data]);
            assert!(step.consumed > 0, "no progress");
            consumed += step.consumed;
            rest = &rest[step.consumed..];
        }
    }
    assert_eq!(decoder.payload_bytes(), payload.len() as u64);
    Outcome {
        payload,
        consumed,
        end: Ok(decoder.is_done()),
    }
}

fn decode_raw(pieces: &[&[u8]]) -> (usize, Result<bool, Error>) {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut consumed = 0;
    for piece in pieces {
        if decoder.is_done() {
            break;
        }
        match decoder.decode_raw(piece) {
            Ok(step) => {
                assert!(step.done || step.consumed == piece.len());
                consumed += step.consumed;
            }
            Err(error) => return (consumed, Err(error)),
        }
    }
    (consumed, Ok(decoder.is_done()))
}
