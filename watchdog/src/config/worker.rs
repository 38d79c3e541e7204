//! The settings of worker mode.

use std::num::NonZero;

use super::{ConfigError, RawConfig};

/// More processes than this are a mistake.
const WORKERS_MAX: usize = 1024;

/// How worker mode works.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The most processes.
    pub(crate) workers: usize,
    /// A worker is replaced after this many requests; none = never.
    pub(crate) requests_max: Option<u64>,
    /// The largest body of a request.
    pub(crate) body_bytes_max: u64,
}

impl Worker {
    pub(super) fn from_raw(raw: &RawConfig) -> Result<Self, ConfigError> {
        // What the control group allows is counted in.
        let cpus = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            workers: raw.parsed(
                "workers",
                cpus.min(WORKERS_MAX),
                |text| {
                    text.parse()
                        .ok()
                        .filter(|count| (1..=WORKERS_MAX).contains(count))
                },
                "a number of processes from 1 to 1024",
            )?,
            requests_max: raw.parsed(
                "worker_requests_max",
                None,
                |text| {
                    text.parse()
                        .ok()
                        .map(|max| Some(max).filter(|max| *max > 0))
                },
                "a number of requests, or 0 for no limit",
            )?,
            body_bytes_max: raw.body_bytes_max()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Worker, String> {
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let raw = RawConfig {
            variables: variables.collect(),
        };
        Worker::from_raw(&raw).map_err(|error| error.to_string())
    }

    #[test]
    fn there_is_a_worker_for_each_cpu_and_nothing_replaces_it() {
        let settings = read(&[]).unwrap();
        let cpus = std::thread::available_parallelism().unwrap().get();
        assert_eq!(settings.workers, cpus);
        assert_eq!(settings.requests_max, None);
        assert_eq!(settings.body_bytes_max, 16 * 1024 * 1024);
        let settings = read(&[
            ("workers", "7"),
            ("worker_requests_max", "100"),
            ("http_buffer_bytes_max", "5"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.workers, 7);
        assert_eq!(settings.requests_max, Some(100));
        assert_eq!(settings.body_bytes_max, 5);
        let settings = read(&[("worker_requests_max", "0")]).unwrap();
        assert_eq!(settings.requests_max, None);
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for (name, value) in [
            ("workers", "0"),
            ("workers", "-1"),
            ("workers", "1025"),
            ("workers", "two"),
            ("worker_requests_max", "-1"),
            ("http_buffer_bytes_max", "0"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(
                error.starts_with(&format!(
                    "{name}: `{value}` cannot be used; give a number of"
                )),
                "{error}"
            );
        }
    }
}
