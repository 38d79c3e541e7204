//! How long the gateway waits for the first byte of a function's answer, where the function's own
//! settings allow it more than the gateway's limit: cut off by the gateway, a function with
//! `exec_timeout=120s` would never have its two minutes.
//!
//! What it does not do: lower the gateway's limit, which stands for every other function; or end
//! what runs too long, which is the watchdog's.

use std::{collections::BTreeMap, time::Duration};

use wire::duration;

/// The limits of a watchdog that end a call.
const SETTINGS: [&str; 2] = ["exec_timeout", "write_timeout"];

/// On top of the function's own limit, so that its watchdog can end the call, and say why, before
/// the gateway does.
const MARGIN: Duration = Duration::from_secs(5);

/// The limit for a function with these variables, if it has one of its own: the largest that is
/// set, with a margin, where that is more than the `gateway`'s. One that switches a limit off (0)
/// or cannot be read counts as not set.
pub(crate) fn upstream_timeout(
    variables: &BTreeMap<String, String>,
    gateway: Duration,
) -> Option<Duration> {
    let set = |name: &&str| variables.get(*name).and_then(|text| duration::parse(text));
    let own = SETTINGS.iter().filter_map(set).max()? + MARGIN;
    Some(own).filter(|own| *own > gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_may_take_longer_than_the_gateway_waits_is_waited_for() {
        let minute = Duration::from_secs(60);
        let cases = [
            ("", None),
            ("exec_timeout=120s", Some(125)),
            ("exec_timeout=120", Some(125)),
            ("write_timeout=2m", Some(125)),
            ("exec_timeout=120s write_timeout=3m", Some(185)),
            // The watchdog is to be the first of the two.
            ("exec_timeout=60s", Some(65)),
            ("exec_timeout=30s", None),
            ("exec_timeout=0 write_timeout=1s", None),
            ("exec_timeout=long read_timeout=1h", None),
        ];
        for (variables, seconds) in cases {
            let map = variables
                .split_whitespace()
                .filter_map(|variable| variable.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let wanted = seconds.map(Duration::from_secs);
            assert_eq!(upstream_timeout(&map, minute), wanted, "{variables}");
        }
    }
}
