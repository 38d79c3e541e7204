//! Bodies of each framing: where they end and what they hold. Refused chunks are in `cases/`.

use super::*;

/// The payload of `input` and how many of its bytes were consumed.
fn decode(framing: Framing, input: &[u8]) -> Result<(Vec<u8>, usize, bool), Error> {
    let mut decoder = BodyDecoder::new(framing);
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let step = decoder.decode(&input[at..])?;
        payload.extend_from_slice(&input[at..][step.data.clone()]);
        at += step.consumed;
        assert_eq!(step.done, decoder.is_done());
        assert_eq!(decoder.payload_bytes(), payload.len() as u64);
        if step.done || step.consumed == 0 {
            return Ok((payload, at, step.done));
        }
    }
}

#[test]
fn no_body_is_done_at_once_and_consumes_nothing() {
    for framing in [Framing::None, Framing::Length(0)] {
        let mut decoder = BodyDecoder::new(framing);
        assert!(decoder.is_done() && framing.is_empty());
        let step = decoder.decode(b"GET /").unwrap();
        assert_eq!(
            step,
            Step {
                consumed: 0,
                data: 0..0,
                done: true
            }
        );
        assert_eq!(
            decoder.decode_raw(b"GET /"),
            Ok(RawStep {
                consumed: 0,
                done: true
            })
        );
        assert_eq!(decoder.finish_on_eof(), Ok(()));
    }
}

#[test]
fn a_length_is_counted_to_its_end_and_no_further() {
    let mut decoder = BodyDecoder::new(Framing::Length(5));
    let step = decoder.decode(b"abc").unwrap();
    assert_eq!(
        step,
        Step {
            consumed: 3,
            data: 0..3,
            done: false
        }
    );
    assert_eq!(decoder.finish_on_eof(), Err(Error::Truncated));
    assert_eq!(
        decoder.decode_raw(b"deGET"),
        Ok(RawStep {
            consumed: 2,
            done: true
        })
    );
    assert_eq!(
        (decoder.payload_bytes(), decoder.finish_on_eof()),
        (5, Ok(()))
    );
}

#[test]
fn until_close_takes_all_and_ends_with_the_connection() {
    let mut decoder = BodyDecoder::new(Framing::UntilClose);
    let step = decoder.decode(b"abc").unwrap();
    assert_eq!(
        step,
        Step {
            consumed: 3,
            data: 0..3,
            done: false
        }
    );
    assert_eq!(decoder.finish_on_eof(), Ok(()));
}

#[test]
fn well_formed_chunks_give_their_payload() {
    for (input, payload) in [
        ("0\r\n\r\n", ""),
        ("000\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
        ("a\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", "0123456789x"),
        (
            "A\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
            "\r\n\r\n\r\n\r\n\r\n",
        ),
        ("1;a\r\nx\r\n0;b=c\r\n\r\n", "x"),
        ("1;a=\"b;\\\"\t\u{e9}\"\r\nx\r\n0\r\n\r\n", "x"),
        ("1;a=\"\";b;c=d\r\nx\r\n0\r\n\r\n", "x"),
        ("1\r\nx\r\n0\r\nX-Sum: 1\r\nA:\r\nB: c \u{e9}\r\n\r\n", "x"),
        (
            "0\r\nContent-Length-Of-Something: 1\r\nTransfer: 1\r\n\r\n",
            "",
        ),
    ] {
        let piped = format!("{input}GET /next");
        let verdict = decode(Framing::Chunked, piped.as_bytes());
        assert_eq!(
            verdict,
            Ok((payload.into(), input.len(), true)),
            "{}",
            input.escape_debug()
        );
    }
}

#[test]
fn a_chunk_is_given_as_it_comes_with_the_framing_around_it() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let step = decoder.decode(b"5\r\nab").unwrap();
    assert_eq!(
        step,
        Step {
            consumed: 5,
            data: 3..5,
            done: false
        }
    );
    let step = decoder.decode(b"cde\r\n2\r\nfg\r\n0\r\n\r\n").unwrap();
    assert_eq!(
        step,
        Step {
            consumed: 8,
            data: 0..3,
            done: false
        }
    );
    let step = decoder.decode(b"fg\r\n0\r\n\r\nGET").unwrap();
    assert_eq!(
        step,
        Step {
            consumed: 9,
            data: 0..2,
            done: true
        }
    );
}

#[test]
fn raw_steps_take_all_chunks_at_once() {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let input = b"5\r\nabcde\r\n2\r\nfg\r\n0\r\n\r\nGET";
    assert_eq!(
        decoder.decode_raw(input),
        Ok(RawStep {
            consumed: 22,
            done: true
        })
    );
    assert_eq!(decoder.payload_bytes(), 7);
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let extension = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(bytes - 1));
    decode(Framing::Chunked, extension(256).as_bytes()).unwrap();
    let error = decode(Framing::Chunked, extension(257).as_bytes()).err();
    assert_eq!(error, Some(Error::ChunkExtensionTooLong));
    // Each chunk may have that much.
    let two = format!("1;{0}\r\nx\r\n1;{0}\r\ny\r\n0;{0}\r\n\r\n", "a".repeat(255));
    assert_eq!(
        decode(Framing::Chunked, two.as_bytes()),
        Ok((b"xy".into(), two.len(), true))
    );

    let trailers = |bytes: usize| format!("0\r\nA:{}\r\n\r\n", "b".repeat(bytes - 6));
    decode(Framing::Chunked, trailers(8192).as_bytes()).unwrap();
    let error = decode(Framing::Chunked, trailers(8193).as_bytes()).err();
    assert_eq!(error, Some(Error::TrailersTooLarge));
    let many = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    decode(Framing::Chunked, many(64).as_bytes()).unwrap();
    let error = decode(Framing::Chunked, many(65).as_bytes()).err();
    assert_eq!(error, Some(Error::TrailersTooLarge));
}

#[test]
fn a_connection_that_ends_within_chunks_is_noticed_at_every_byte() {
    let input = b"3;a=\"b\"\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for end in 0..=input.len() {
        let mut decoder = BodyDecoder::new(Framing::Chunked);
        let step = decoder.decode_raw(&input[..end]).unwrap();
        assert_eq!((step.consumed, step.done), (end, end == input.len()));
        assert_eq!(decoder.finish_on_eof().is_ok(), end == input.len());
    }
}

#[test]
fn the_decoder_stays_small() {
    assert!(size_of::<BodyDecoder>() <= 64);
}
