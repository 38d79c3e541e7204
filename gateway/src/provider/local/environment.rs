//! The environment of a replica: PATH, HOME, TMPDIR, the command line, what was deployed, and
//! nothing of the gateway's own.
//!
//! It is the watchdog's environment, which passes it on to the function's processes without the
//! variables that only tell it about its descriptors.
//!
//! What it does not do: start anything.

use std::{collections::BTreeMap, path::Path};

use super::spec::{Spec, Texts};
use crate::provider::ProviderError;

/// Where programs are looked for, unless the deployment says otherwise.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Names that tell the watchdog which descriptors it was given: sd_listen_fds(3) and our own.
const RESERVED: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];
const RESERVED_PREFIX: &str = "RINGWAY_";

/// Checks the names and values that were deployed.
///
/// # Errors
/// [`ProviderError::Invalid`] names the variable.
pub(crate) fn check(variables: &Texts) -> Result<(), ProviderError> {
    for (name, value) in variables {
        let why = if name.is_empty() {
            "a variable has no name".to_owned()
        } else if name.contains(['=', '\0']) {
            format!(
                "'{}' is no name: it contains '=' or NUL",
                name.escape_default()
            )
        } else if value.contains('\0') {
            format!("the value of '{name}' contains a NUL byte")
        } else if RESERVED.contains(&name.as_str()) || name.starts_with(RESERVED_PREFIX) {
            format!("'{name}' is set by the gateway and cannot be deployed")
        } else {
            continue;
        };
        return Err(ProviderError::invalid("envVars", why));
    }
    Ok(())
}

/// Checks the settings that are for the watchdog.
///
/// # Errors
/// [`ProviderError::Invalid`] with the watchdog's own words.
pub(crate) fn check_settings(spec: &Spec) -> Result<(), ProviderError> {
    // Each replica has a directory of its own; any stands for it.
    let all = variables(spec, Path::new("/tmp"));
    let all = all
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    watchdog::check(all).map_err(|why| ProviderError::invalid("envVars", why))
}

/// The `PATH` that the function will have.
pub(crate) fn search_path(variables: &Texts) -> &str {
    variables.get("PATH").map_or(PATH_DEFAULT, String::as_str)
}

/// All variables of a replica whose own directory is `own_dir`.
pub(crate) fn variables(spec: &Spec, own_dir: &Path) -> BTreeMap<String, String> {
    // Names of functions and the state directory's path: a path that is no text cannot be
    // written into a variable of text, so it is approximated.
    let own_dir = own_dir.to_string_lossy();
    let mut all = BTreeMap::from([
        ("PATH".to_owned(), PATH_DEFAULT.to_owned()),
        ("HOME".to_owned(), own_dir.clone().into_owned()),
        ("TMPDIR".to_owned(), own_dir.into_owned()),
    ]);
    all.extend(spec.deployment.env_vars.clone());
    all.insert("fprocess".to_owned(), spec.command().to_owned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::FunctionDeployment;

    fn spec(variables: &[(&str, &str)]) -> Spec {
        Spec::check(FunctionDeployment {
            service: "env".to_owned(),
            env_process: "env".to_owned(),
            env_vars: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..FunctionDeployment::default()
        })
        .unwrap()
    }

    #[test]
    fn nothing_but_the_three_and_what_was_deployed() {
        let all = variables(&spec(&[("A", "1")]), Path::new("/s/tmp/x"));
        let names: Vec<_> = all.keys().map(String::as_str).collect();
        assert_eq!(names, ["A", "HOME", "PATH", "TMPDIR", "fprocess"]);
        assert_eq!(all["TMPDIR"], "/s/tmp/x");
        assert_eq!(all["fprocess"], "env");
    }

    #[test]
    fn a_deployment_may_override_the_three() {
        let spec = spec(&[("PATH", "/opt/bin"), ("HOME", "/srv")]);
        let all = variables(&spec, Path::new("/x"));
        assert_eq!(
            (all["PATH"].as_str(), all["HOME"].as_str()),
            ("/opt/bin", "/srv")
        );
        assert_eq!(search_path(&spec.deployment.env_vars), "/opt/bin");
    }

    #[test]
    fn what_tells_the_watchdog_about_its_descriptors_cannot_be_deployed() {
        for (name, value) in [
            ("LISTEN_FDS", "1"),
            ("LISTEN_PID", "1"),
            ("RINGWAY_LIFELINE_FD", "0"),
            ("", "x"),
            ("A=", "x"),
            ("A\0", "x"),
            ("A", "x\0"),
        ] {
            let one = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            check(&one).unwrap_err();
        }
    }
}
