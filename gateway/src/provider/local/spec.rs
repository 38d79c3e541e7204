//! A deployment proved fit for this machine's processes; nothing behind this checks again.
//!
//! `Spec::check` is pure and holds for a function read back from disk as well;
//! `Spec::check_machine` looks at the file system and is asked only at deploy, since a program
//! that is missing at a restart may come back with its disk.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use process::{Program, command_line, limits};

use super::{environment, scale_labels::ScaleBounds};
use crate::{
    limits::FunctionLimits,
    provider::{FunctionDeployment, FunctionId, ProviderError, Resources, call_limits},
};

/// A function that can be started here.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// Its name.
    pub(crate) id: FunctionId,
    /// As it was deployed.
    pub(crate) deployment: FunctionDeployment,
    /// Its working directory, where `image` names one.
    pub(crate) dir: Option<PathBuf>,
    /// What each replica may take.
    pub(crate) limits: limits::Limits,
    /// How many replicas it may have.
    pub(crate) bounds: ScaleBounds,
    /// What its annotations allow its calls.
    pub(crate) call_limits: FunctionLimits,
}

impl Spec {
    /// Checks every field that the local provider acts on.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] names the field, what is wrong and what to set.
    pub(crate) fn check(mut deployment: FunctionDeployment) -> Result<Self, ProviderError> {
        let id = FunctionId::of(&deployment)?;
        // Credentials for a registry are for nobody to keep: no image is pulled here.
        deployment.registry_auth.clear();
        // However it was spelt: equal deployments are to be equal.
        id.namespace().clone_into(&mut deployment.namespace);
        let dir = working_dir(&deployment.image)?;
        environment::check(&deployment.env_vars)?;
        if !serves_files(&deployment) {
            words(command_of(&deployment)?)?;
        }
        let limits = limits_of("limits", deployment.limits.as_ref())?;
        limits_of("requests", deployment.requests.as_ref())?;
        let bounds = ScaleBounds::of(&deployment.labels)?;
        let call_limits = call_limits::annotated(&deployment.annotations)?;
        Ok(Self {
            id,
            dir,
            limits,
            bounds,
            call_limits,
            deployment,
        })
    }

    /// Its command line, as the watchdog reads it.
    pub(crate) fn command(&self) -> &str {
        // That there is one was checked, where one is needed.
        command_of(&self.deployment).unwrap_or_default()
    }

    /// Whether this machine has what the function needs now: its directory, its program, and a
    /// watchdog that starts with its settings. The watchdog may be of another version than the one
    /// that deployed it, so this too is asked only at deploy.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] names what is missing and where it was looked for, or the setting
    /// in the watchdog's own words.
    pub(crate) fn check_machine(&self) -> Result<(), ProviderError> {
        if let Some(dir) = &self.dir
            && !dir.is_dir()
        {
            return Err(ProviderError::invalid(
                "image",
                format!("there is no directory '{}' on this machine", dir.display()),
            ));
        }
        environment::check_settings(self)?;
        if serves_files(&self.deployment) {
            return Ok(());
        }
        let words = words(self.command())?;
        let program = words.first().map_or("", String::as_str);
        if self.dir.is_none() && program.contains('/') && !Path::new(program).is_absolute() {
            return Err(ProviderError::invalid(
                "envProcess",
                format!(
                    "'{program}' is relative, but to which directory? Give its full path, or set image to file:DIR"
                ),
            ));
        }
        let path = environment::search_path(&self.deployment.env_vars);
        Program::resolve(
            OsStr::new(program),
            Some(OsStr::new(path)),
            self.dir.as_deref(),
        )
        .map(|_found| ())
        .map_err(|error| ProviderError::invalid("envProcess", error.to_string()))
    }

    /// What was asked for and is only kept and shown, in sentences.
    pub(crate) fn unenforced(&self) -> Vec<String> {
        let deployment = &self.deployment;
        let kept = [
            (
                !deployment.constraints.is_empty(),
                "constraints",
                "everything runs on this machine",
            ),
            (
                !deployment.secrets.is_empty(),
                "secrets",
                "this version gives none to functions",
            ),
            (
                deployment.read_only_root_filesystem,
                "readOnlyRootFilesystem",
                "the function may write where the gateway's user may",
            ),
        ];
        kept.iter()
            .filter(|(asked, ..)| *asked)
            .map(|(_, field, why)| {
                format!("{field} is kept but not enforced by the local provider: {why}")
            })
            .collect()
    }
}

/// `file:DIR` is a directory; anything else is a name that is only kept.
fn working_dir(image: &str) -> Result<Option<PathBuf>, ProviderError> {
    let Some(dir) = image.strip_prefix("file:") else {
        return Ok(None);
    };
    let dir = dir.strip_prefix("//").unwrap_or(dir);
    let path = Path::new(dir);
    if !path.is_absolute() || dir.contains('\0') {
        return Err(ProviderError::invalid(
            "image",
            format!(
                "'{}' does not name a directory by its full path, as in file:/srv/app",
                image.escape_default()
            ),
        ));
    }
    Ok(Some(path.to_owned()))
}

/// Whether the watchdog needs no program: it sends files.
fn serves_files(deployment: &FunctionDeployment) -> bool {
    let mode = deployment.env_vars.get("mode");
    mode.is_some_and(|mode| mode == "static")
}

/// The command line: `envProcess`, or what the watchdog would take from its environment.
fn command_of(deployment: &FunctionDeployment) -> Result<&str, ProviderError> {
    if !deployment.env_process.trim().is_empty() {
        return Ok(&deployment.env_process);
    }
    if let Some(command) = deployment.env_vars.get("fprocess") {
        return Ok(command);
    }
    let image = match deployment.image.as_str() {
        "" => String::new(),
        image if image.starts_with("file:") => String::new(),
        image => format!(
            " (the image '{}' is kept but not pulled)",
            image.escape_default()
        ),
    };
    Err(ProviderError::invalid(
        "envProcess",
        format!(
            "the local provider runs programs of this machine: set the command line to run for each request, such as 'wc -l'{image}"
        ),
    ))
}

fn words(command: &str) -> Result<Vec<String>, ProviderError> {
    let invalid = |why: String| ProviderError::invalid("envProcess", why);
    if command.contains('\0') {
        return Err(invalid("the command line contains a NUL byte".to_owned()));
    }
    command_line::split(command).map_err(|error| invalid(error.to_string()))
}

/// Reads both amounts, each of which may be left out.
fn limits_of(field: &str, resources: Option<&Resources>) -> Result<limits::Limits, ProviderError> {
    let Some(resources) = resources else {
        return Ok(limits::Limits::default());
    };
    let read = |name: &str, text: &str, parse: fn(&str) -> Result<u64, limits::QuantityError>| {
        if text.is_empty() {
            return Ok(None);
        }
        parse(text)
            .map(Some)
            .map_err(|error| ProviderError::invalid(format!("{field}.{name}"), error.to_string()))
    };
    Ok(limits::Limits {
        memory_bytes: read("memory", &resources.memory, limits::parse_memory)?,
        cpu_millicores: read("cpu", &resources.cpu, limits::parse_cpu)?,
    })
}

/// Labels, annotations and variables share one kind of map.
pub(crate) type Texts = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(change: impl FnOnce(&mut FunctionDeployment)) -> FunctionDeployment {
        let mut deployment = FunctionDeployment {
            service: "wc".to_owned(),
            env_process: "wc -l".to_owned(),
            ..FunctionDeployment::default()
        };
        change(&mut deployment);
        deployment
    }

    fn refused(change: impl FnOnce(&mut FunctionDeployment)) -> String {
        let check = |deployment| Spec::check(deployment).and_then(|spec| spec.check_machine());
        check(deployment(change)).unwrap_err().to_string()
    }

    fn resources(memory: &str, cpu: &str) -> Option<Resources> {
        Some(Resources {
            memory: memory.to_owned(),
            cpu: cpu.to_owned(),
        })
    }

    #[test]
    fn a_plain_command_is_fit() {
        let spec = Spec::check(deployment(|d| {
            d.limits = resources("64Mi", "100m");
            d.registry_auth = "secret".to_owned();
        }))
        .unwrap();
        spec.check_machine().unwrap();
        assert_eq!(spec.command(), "wc -l");
        assert_eq!(spec.limits.memory_bytes, Some(64 << 20));
        assert_eq!(spec.limits.cpu_millicores, Some(100));
        assert_eq!(spec.deployment.registry_auth, "");
        assert_eq!(spec.unenforced(), Vec::<String>::new());
    }

    #[test]
    fn an_image_is_kept_but_needs_a_command() {
        let error = refused(|d| {
            d.image = "functions/figlet:1.0".to_owned();
            d.env_process = " ".to_owned();
        });
        assert!(error.starts_with("envProcess: "), "{error}");
        assert!(error.contains("functions/figlet:1.0"), "{error}");
        let spec =
            Spec::check(deployment(|d| d.image = "functions/figlet:1.0".to_owned())).unwrap();
        assert_eq!(spec.dir, None);
    }

    #[test]
    fn a_command_may_stand_in_the_environment() {
        let spec = Spec::check(deployment(|d| {
            d.env_process.clear();
            d.env_vars.insert("fprocess".to_owned(), "cat".to_owned());
        }))
        .unwrap();
        assert_eq!(spec.command(), "cat");
    }

    #[test]
    fn a_directory_must_be_there_and_named_in_full() {
        let dir = tempfile::tempdir().unwrap();
        for prefix in ["file:", "file://"] {
            let image = format!("{prefix}{}", dir.path().display());
            let spec = Spec::check(deployment(|d| d.image = image)).unwrap();
            spec.check_machine().unwrap();
            assert_eq!(spec.dir.as_deref(), Some(dir.path()));
        }
        for image in ["file:", "file:app", "file:./app", "file:/no/such/dir"] {
            let error = refused(|d| d.image = image.to_owned());
            assert!(error.starts_with("image: "), "{error}");
        }
    }

    #[test]
    fn each_wrong_field_is_named() {
        type Change = fn(&mut FunctionDeployment);
        let cases: [(&str, Change); 14] = [
            ("service", |d| d.service.clear()),
            ("service", |d| d.service = "../etc".to_owned()),
            ("namespace", |d| d.namespace = "a/b".to_owned()),
            ("envProcess", |d| d.env_process = "echo 'a".to_owned()),
            ("envProcess", |d| {
                d.env_process = "no-such-program-here".to_owned()
            }),
            ("envProcess", |d| d.env_process = "bin/run".to_owned()),
            ("envProcess", |d| d.env_process = "cat \0".to_owned()),
            ("limits.memory", |d| d.limits = resources("lots", "")),
            ("limits.cpu", |d| d.limits = resources("", "fast")),
            ("requests.cpu", |d| d.requests = resources("1Mi", "-1")),
            ("envVars", |d| {
                drop(d.env_vars.insert("A=B".to_owned(), String::new()))
            }),
            ("envVars: mode", |d| {
                drop(d.env_vars.insert("mode".to_owned(), "nonsense".to_owned()))
            }),
            ("envVars: exec_timeout", |d| {
                let soon = "soon".to_owned();
                drop(d.env_vars.insert("exec_timeout".to_owned(), soon));
            }),
            ("labels.com.openfaas.scale.max", |d| {
                d.labels
                    .insert("com.openfaas.scale.max".to_owned(), "x".to_owned());
            }),
        ];
        for (field, change) in cases {
            let error = refused(change);
            assert!(error.starts_with(&format!("{field}: ")), "{field}: {error}");
        }
    }

    #[test]
    fn files_need_no_command() {
        let spec = Spec::check(deployment(|d| {
            d.env_process.clear();
            d.env_vars.insert("mode".to_owned(), "static".to_owned());
        }))
        .unwrap();
        spec.check_machine().unwrap();
        assert_eq!(spec.command(), "");
    }

    #[test]
    fn what_is_only_kept_is_said() {
        let spec = Spec::check(deployment(|d| {
            d.secrets.push("token".to_owned());
            d.read_only_root_filesystem = true;
        }))
        .unwrap();
        assert_eq!(spec.unenforced().len(), 2);
    }
}
