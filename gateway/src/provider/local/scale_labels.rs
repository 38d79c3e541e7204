//! How many replicas a function may have, from its labels.
//!
//! What it does not do: the labels that steer the autoscaler (`factor`, `zero`, `type`,
//! `target`); they are kept, and read when there is one.

use std::collections::BTreeMap;

use crate::provider::ProviderError;

const MIN: &str = "com.openfaas.scale.min";
const MAX: &str = "com.openfaas.scale.max";

/// Replicas without a label, as in the reference system.
const MIN_DEFAULT: u32 = 1;
/// Most replicas without a label, as in the reference system.
const MAX_DEFAULT: u32 = 20;
/// Most replicas that a label may ask for: each is a process and three descriptors here.
const MAX_MAX: u32 = 1000;

/// The bounds of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScaleBounds {
    /// How many it starts with.
    pub(crate) min: u32,
    /// How many it may have.
    pub(crate) max: u32,
}

impl ScaleBounds {
    /// Reads the labels.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] names the label and what it may be.
    pub(crate) fn of(labels: &BTreeMap<String, String>) -> Result<Self, ProviderError> {
        let read = |label: &str, least: u32| {
            let Some(text) = labels.get(label) else {
                return Ok(None);
            };
            match text.parse::<u32>() {
                Ok(number) if (least..=MAX_MAX).contains(&number) => Ok(Some(number)),
                _ => Err(ProviderError::invalid(
                    format!("labels.{label}"),
                    format!(
                        "'{}' is not a whole number from {least} to {MAX_MAX}",
                        text.escape_default()
                    ),
                )),
            }
        };
        let max = read(MAX, 1)?;
        let min = read(MIN, 0)?;
        let bounds = Self {
            // Who lowers the most below the usual least means both.
            min: min.unwrap_or(MIN_DEFAULT),
            max: max.unwrap_or(MAX_DEFAULT),
        };
        if bounds.min > bounds.max {
            return Err(ProviderError::invalid(
                format!("labels.{MIN}"),
                format!(
                    "{} is more than the maximum of {}; raise the label {MAX}",
                    bounds.min, bounds.max
                ),
            ));
        }
        Ok(bounds)
    }

    /// Checks a number that somebody asked for.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] says the most and how to raise it. Fewer than the least is
    /// allowed: it is where the autoscaler stops, not what a person may do.
    pub(crate) fn check(self, replicas: u32) -> Result<(), ProviderError> {
        if replicas <= self.max {
            return Ok(());
        }
        Err(ProviderError::invalid(
            "replicas",
            format!(
                "{replicas} is more than this function's maximum of {}; deploy it with the label {MAX} (up to {MAX_MAX}) to raise it",
                self.max
            ),
        ))
    }

    /// How many replicas an updated function has that had `current`: as many as before, within
    /// its new bounds; one that was scaled to zero stays there.
    pub(crate) fn keep(self, current: u32) -> u32 {
        if current == 0 {
            0
        } else {
            current.clamp(self.min.max(1), self.max)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(pairs: &[(&str, &str)]) -> Result<ScaleBounds, String> {
        let labels = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        ScaleBounds::of(&labels).map_err(|error| error.to_string())
    }

    #[test]
    fn without_labels_there_is_one_and_there_may_be_twenty() {
        assert_eq!(bounds(&[]), Ok(ScaleBounds { min: 1, max: 20 }));
        let both = bounds(&[(MIN, "0"), (MAX, "300")]);
        assert_eq!(both, Ok(ScaleBounds { min: 0, max: 300 }));
    }

    #[test]
    fn bad_labels_are_named_with_what_they_may_be() {
        for (label, value) in [
            (MIN, "-1"),
            (MIN, "one"),
            (MIN, ""),
            (MAX, "0"),
            (MAX, "1001"),
            (MAX, "2.5"),
            (MAX, "99999999999"),
        ] {
            let error = bounds(&[(label, value)]).unwrap_err();
            assert!(error.contains(label) && error.contains("1000"), "{error}");
        }
        let error = bounds(&[(MIN, "30")]).unwrap_err();
        assert!(error.contains(MAX), "{error}");
    }

    #[test]
    fn more_than_the_maximum_is_refused_with_how_to_raise_it() {
        let bounds = ScaleBounds { min: 1, max: 3 };
        bounds.check(0).unwrap();
        bounds.check(3).unwrap();
        let error = bounds.check(4).unwrap_err().to_string();
        assert!(error.contains(MAX), "{error}");
    }

    #[test]
    fn an_update_keeps_the_number_within_the_new_bounds() {
        let bounds = ScaleBounds { min: 2, max: 5 };
        for (current, kept) in [(0, 0), (1, 2), (3, 3), (9, 5)] {
            assert_eq!(bounds.keep(current), kept);
        }
    }
}
