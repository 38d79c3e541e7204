//! The limits that a function sets for its own calls: by its annotations, and by the watchdog's
//! settings, since cut off by the gateway, a function with `exec_timeout=120s` would never have
//! its two minutes.
//!
//! What it does not do: end what runs too long in the function, which is the watchdog's.

use std::{collections::BTreeMap, time::Duration};

use wire::duration;

use super::ProviderError;
use crate::limits::{FunctionLimits, Limits};

/// How long a whole call may take.
const UPSTREAM_TIMEOUT: &str = "ringway.upstream-timeout";

/// The largest request body, in bytes.
const BODY_BYTES_MAX: &str = "ringway.body-bytes-max";

/// Variables of a watchdog that end a call.
const VARIABLES: [&str; 2] = ["exec_timeout", "write_timeout"];

/// On top of the function's own limit, so that its watchdog can end the call, and say why, before
/// the gateway does.
const MARGIN: Duration = Duration::from_secs(5);

/// What the annotations set.
///
/// # Errors
/// [`ProviderError::Invalid`] names the annotation and what it may be; one of our own prefix that
/// we do not know is a slip of the pen.
pub(crate) fn annotated(
    annotations: &BTreeMap<String, String>,
) -> Result<FunctionLimits, ProviderError> {
    let mut limits = FunctionLimits::default();
    let ours = annotations
        .iter()
        .filter(|(name, _)| name.starts_with("ringway."));
    for (name, value) in ours {
        let wrong = |wanted: &str| {
            ProviderError::invalid(
                format!("annotations.{name}"),
                format!("'{}' is not {wanted}", value.escape_default()),
            )
        };
        match name.as_str() {
            UPSTREAM_TIMEOUT => {
                let limit = duration::parse(value).filter(|limit| !limit.is_zero());
                limits.upstream_timeout =
                    Some(limit.ok_or_else(|| wrong(&format!("{}, more than 0", duration::FORMS)))?);
            }
            BODY_BYTES_MAX => {
                let limit = value.parse().ok();
                limits.body_bytes_max =
                    Some(limit.ok_or_else(|| wrong("a whole number of bytes"))?);
            }
            _ => {
                return Err(ProviderError::invalid(
                    format!("annotations.{}", name.escape_default()),
                    format!("there is no such setting; set {UPSTREAM_TIMEOUT} or {BODY_BYTES_MAX}"),
                ));
            }
        }
    }
    Ok(limits)
}

/// Adds the patience that the function's watchdog needs: the gateway waits as long as the largest
/// of its `variables` allows, with a margin, where that is more than its own limits, and for the
/// first byte as long as for the whole. A variable that switches a limit off (0) or cannot be read
/// counts as not set; an annotation is the last word.
pub(crate) fn with_patience(
    annotated: FunctionLimits,
    variables: &BTreeMap<String, String>,
    gateway: &Limits,
) -> FunctionLimits {
    let set = |name: &&str| variables.get(*name).and_then(|text| duration::parse(text));
    let of_watchdog = VARIABLES.iter().filter_map(set).max();
    let of_watchdog = of_watchdog.map(|limit| limit + MARGIN);
    let beyond = |own: Option<Duration>, limit| own.filter(|own| *own > limit);
    FunctionLimits {
        first_byte_timeout: beyond(
            of_watchdog.max(annotated.upstream_timeout),
            gateway.first_byte_timeout,
        ),
        upstream_timeout: annotated
            .upstream_timeout
            .or_else(|| beyond(of_watchdog, gateway.upstream_timeout?)),
        ..annotated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> BTreeMap<String, String> {
        text.split_whitespace()
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn a_function_that_may_take_longer_than_the_gateway_waits_is_waited_for() {
        let cases = [
            ("", "", None),
            ("exec_timeout=120s", "", Some(125)),
            ("exec_timeout=120", "", Some(125)),
            ("write_timeout=2m", "", Some(125)),
            ("exec_timeout=120s write_timeout=3m", "", Some(185)),
            // The watchdog is to be the first of the two.
            ("exec_timeout=60s", "", Some(65)),
            ("exec_timeout=30s", "", None),
            ("exec_timeout=0 write_timeout=1s", "", None),
            ("exec_timeout=long read_timeout=1h", "", None),
            ("", "ringway.upstream-timeout=120s", Some(120)),
            ("", "ringway.upstream-timeout=2s", None),
        ];
        for (variables, annotations, seconds) in cases {
            let limits = with_patience(
                annotated(&map(annotations)).unwrap(),
                &map(variables),
                &Limits::default(),
            );
            let wanted = seconds.map(Duration::from_secs);
            assert_eq!(
                limits.first_byte_timeout, wanted,
                "{variables} {annotations}"
            );
        }
    }

    #[test]
    fn the_limit_for_the_whole_call_is_the_annotation_or_at_least_the_watchdogs() {
        let cases = [
            (None, "exec_timeout=2m", "", None),
            (Some(60), "exec_timeout=2m", "", Some(125)),
            (Some(60), "exec_timeout=2s", "", None),
            (
                Some(60),
                "exec_timeout=2m",
                "ringway.upstream-timeout=1s",
                Some(1),
            ),
            (None, "", "ringway.upstream-timeout=1s", Some(1)),
        ];
        for (gateway, variables, annotations, seconds) in cases {
            let gateway = Limits {
                upstream_timeout: gateway.map(Duration::from_secs),
                ..Limits::default()
            };
            let annotated = annotated(&map(annotations)).unwrap();
            let limits = with_patience(annotated, &map(variables), &gateway);
            let wanted = seconds.map(Duration::from_secs);
            assert_eq!(limits.upstream_timeout, wanted, "{variables} {annotations}");
        }
    }

    #[test]
    fn annotations_set_limits_and_a_wrong_one_is_named() {
        let good = map("ringway.upstream-timeout=1m30s ringway.body-bytes-max=1024 other=1");
        let limits = annotated(&good).unwrap();
        assert_eq!(limits.upstream_timeout, Some(Duration::from_secs(90)));
        assert_eq!(limits.body_bytes_max, Some(1024));
        for (wrong, said) in [
            ("ringway.upstream-timeout=soon", "whole seconds such as 30"),
            ("ringway.upstream-timeout=0", "more than 0"),
            ("ringway.body-bytes-max=-1", "a whole number of bytes"),
            ("ringway.body-bytes-max=1.5", "a whole number of bytes"),
            ("ringway.timeout=3s", "no such setting"),
        ] {
            let error = annotated(&map(wrong)).unwrap_err().to_string();
            let name = wrong.split_once('=').unwrap().0;
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
    }
}
