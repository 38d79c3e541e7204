//! Five functions made of programs that every Debian has, for `ringway up --samples`.
//!
//! They show that a function is any program: three filters, one that shows its environment, one
//! that computes.

use crate::function::Deployment;

/// Names, which are command lines too.
const PROGRAMS: [&str; 5] = ["wc", "cat", "sort", "env", "sha256sum"];

/// The samples as deployments.
pub(crate) fn samples() -> Vec<Deployment> {
    PROGRAMS
        .iter()
        .map(|program| Deployment {
            service: (*program).to_owned(),
            env_process: (*program).to_owned(),
            ..Deployment::default()
        })
        .collect()
}
