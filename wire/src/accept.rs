//! Whether a client reads JSON.
//!
//! Gateway and watchdog answer with errors of their own, and a client cannot know which of them
//! it will hear: both ask here, so that both answer in the same form. It is not the content
//! negotiation of RFC 9110 §12.5.1: weights are not compared, since there are only two forms, and
//! a client that can read JSON at all has named it.

/// Does this value of an `Accept` field name JSON in any way (`application/json`,
/// `application/problem+json`, …)? ASCII case does not count. Who names none of it, `*/*` and no
/// field at all included, gets a line of text, which is what a person with curl wants to read.
#[must_use]
pub fn names_json(accept: &[u8]) -> bool {
    const JSON: &[u8] = b"json";
    accept
        .windows(JSON.len())
        .any(|window| window.eq_ignore_ascii_case(JSON))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_wherever_it_is_named() {
        for accept in [
            "application/json",
            "Application/JSON",
            "text/html, application/json;q=0.5",
            "application/problem+json",
            "json",
        ] {
            assert!(names_json(accept.as_bytes()), "{accept}");
        }
        for accept in ["", "*/*", "text/html", "application/*", "jso", "j son"] {
            assert!(!names_json(accept.as_bytes()), "{accept}");
        }
    }
}
