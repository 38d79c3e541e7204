//! `ringway deploy`: from flags or from a stack file to functions that run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args};
use serde_json::json;

use crate::args::{Target, pair};
use crate::client::Client;
use crate::deploy::{Existing, deploy};
use crate::exit::Failure;
use crate::function::{Deployment, Resources, check_name};
use crate::verb::describe::invocation_name;
use crate::{output, pattern, stack};

const EXAMPLES: &str = "\
Examples:
  ringway deploy upper --fprocess 'tr a-z A-Z'
  ringway deploy count --fprocess 'wc -l' --env LC_ALL=C --label com.openfaas.scale.max=5
  ringway deploy -f stack.yml --filter 'image-*'

Without NAME and -f, the file stack.yml (or stack.yaml) of the current directory is deployed. \
In stack files ${VAR} and ${VAR:-default} are replaced by the environment. Functions are updated \
(PUT) or, where the gateway does not know them, created (POST).";

/// Deploy a function, or all functions of a stack file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Deploy {
    /// Name of the function
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The same as a flag
    #[arg(long = "name", value_name = "NAME", conflicts_with = "name")]
    name_flag: Option<String>,
    /// Image of the function; the local provider takes none, or file:DIR as working directory
    #[arg(long)]
    image: Option<String>,
    /// Command line of the function's process; quotes work as in a shell, but no shell runs
    #[arg(long, value_name = "COMMAND")]
    fprocess: Option<String>,
    /// Set an environment variable of the function (repeatable)
    #[arg(short, long = "env", value_name = "KEY=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// Set a label, such as com.openfaas.scale.max=5 (repeatable)
    #[arg(short, long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Set an annotation, such as topic=orders (repeatable)
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pair)]
    annotation: Vec<(String, String)>,
    /// Place replicas only where this holds, such as node.role==worker (repeatable)
    #[arg(long = "constraint", value_name = "EXPRESSION")]
    constraint: Vec<String>,
    /// Give the function a secret by its name (repeatable)
    #[arg(long = "secret", value_name = "NAME")]
    secret: Vec<String>,
    /// Most memory of one replica, such as 128Mi
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<String>,
    /// Most CPU of one replica, in cores (0.5) or thousandths of one (500m)
    #[arg(long, value_name = "CPU")]
    cpu_limit: Option<String>,
    /// Memory that one replica is promised, such as 64Mi
    #[arg(long, value_name = "SIZE")]
    memory_request: Option<String>,
    /// CPU that one replica is promised, in cores or thousandths of one
    #[arg(long, value_name = "CPU")]
    cpu_request: Option<String>,
    /// Make the file system read-only but for the temporary directory
    #[arg(long)]
    readonly: bool,
    /// Deploy the functions of this stack file (- for stdin)
    #[arg(
        short = 'f', long = "yaml", alias = "file", value_name = "FILE",
        conflicts_with_all = ["name", "name_flag", "image", "fprocess"]
    )]
    yaml: Option<PathBuf>,
    /// Of the stack file, deploy only functions whose name matches this pattern with * and ?
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["regex", "name", "name_flag"])]
    filter: Option<String>,
    /// Of the stack file, deploy only functions whose name matches this regular expression
    #[arg(long, value_name = "REGEX", conflicts_with_all = ["name", "name_flag"])]
    regex: Option<String>,
    /// Update a function that exists; =false only creates, and fails where the function exists
    #[arg(long, default_value_t = true, action = ArgAction::Set,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    update: bool,
    /// Accepted for OpenFaaS's CLI: an update replaces a function anyway, and without an
    /// interruption
    #[arg(long, default_value_t = false, action = ArgAction::Set,
          num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL")]
    replace: bool,
    /// Write what was done as JSON: an array of {name, action, url, warnings}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

impl Deploy {
    /// Deploys one after the other; a function that fails does not keep the others.
    ///
    /// # Errors
    /// A wrong input before anything was sent; else the failures, after all were tried.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (functions, gateway) = self.functions(|name| std::env::var(name).ok())?;
        let address = self.target.address(gateway.as_deref())?;
        let client = Client::new(address);
        let existing = if self.update || self.replace {
            Existing::Update
        } else {
            Existing::Create
        };
        let mut failed = Vec::new();
        let mut done = Vec::new();
        for function in &functions {
            let name = &function.service;
            match deploy(&client, function, existing) {
                Ok(outcome) => {
                    let url = format!(
                        "{}/function/{}",
                        client.address(),
                        invocation_name(name, function.namespace.as_deref())
                    );
                    for warning in &outcome.warnings {
                        output::warn(&format!("{name}: {warning}"));
                    }
                    let word = outcome.action.word();
                    if self.json {
                        let warnings = &outcome.warnings;
                        done.push(
                            json!({"name": name, "action": word, "url": url, "warnings": warnings}),
                        );
                    } else {
                        output::print(&format!("{name}: {word}, {url}\n"))?;
                    }
                }
                Err(failure) => failed.push(failure.about(name)),
            }
        }
        if self.json {
            output::print_json(&done)?;
        }
        Failure::several(failed)
    }

    /// What to deploy, and the gateway that a stack file names.
    fn functions(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(Vec<Deployment>, Option<String>), Failure> {
        if let Some(name) = self.name.as_ref().or(self.name_flag.as_ref()) {
            return Ok((vec![self.single(name)?], None));
        }
        if self.image.is_some() || self.fprocess.is_some() {
            return Err(Failure::usage(
                "give the function a name: ringway deploy NAME --fprocess COMMAND",
            ));
        }
        let path = match &self.yaml {
            Some(path) => path.clone(),
            None => default_stack().ok_or_else(|| {
                Failure::usage(
                    "say what to deploy: NAME --fprocess COMMAND, or -f stack.yml \
                     (there is no stack.yml here)",
                )
            })?,
        };
        let stack = stack::load(&path, variable)?;
        for warning in &stack.warnings {
            output::warn(&format!("{}: {warning}", path.display()));
        }
        let mut functions = stack.functions;
        if let Some(glob) = &self.filter {
            functions.retain(|function| pattern::glob(glob, &function.service));
        }
        if let Some(regex) = &self.regex {
            let regex = pattern::regex(regex)?;
            functions.retain(|function| regex.is_match(&function.service));
        }
        if functions.is_empty() {
            return Err(Failure::data(format!(
                "{}: no function to deploy",
                path.display()
            )));
        }
        functions
            .iter_mut()
            .for_each(|function| self.overlay(function));
        Ok((functions, stack.gateway))
    }

    fn single(&self, name: &str) -> Result<Deployment, Failure> {
        check_name(name)?;
        // Files need no program.
        let is_static = self.env.contains(&("mode".to_owned(), "static".to_owned()));
        if self.image.is_none() && self.fprocess.is_none() && !is_static {
            return Err(Failure::usage(format!(
                "{name}: say what runs, with --fprocess COMMAND (local provider) or --image IMAGE"
            )));
        }
        let mut function = Deployment {
            service: name.to_owned(),
            image: self.image.clone().unwrap_or_default(),
            env_process: self.fprocess.clone().unwrap_or_default(),
            ..Deployment::default()
        };
        self.overlay(&mut function);
        Ok(function)
    }

    /// Lays the flags over what a stack file says: maps and lists grow, single values are replaced.
    fn overlay(&self, function: &mut Deployment) {
        let merge = |map: &mut BTreeMap<String, String>, flags: &[(String, String)]| {
            map.extend(flags.iter().cloned())
        };
        merge(&mut function.env_vars, &self.env);
        merge(&mut function.labels, &self.label);
        merge(&mut function.annotations, &self.annotation);
        let append = |list: &mut Vec<String>, flags: &[String]| {
            for flag in flags {
                if !list.contains(flag) {
                    list.push(flag.clone());
                }
            }
        };
        append(&mut function.constraints, &self.constraint);
        append(&mut function.secrets, &self.secret);
        overlay_resources(&mut function.limits, &self.memory_limit, &self.cpu_limit);
        overlay_resources(
            &mut function.requests,
            &self.memory_request,
            &self.cpu_request,
        );
        function.read_only_root_filesystem |= self.readonly;
        if let Some(namespace) = &self.target.namespace {
            function.namespace = Some(namespace.clone());
        }
    }
}

fn overlay_resources(set: &mut Option<Resources>, memory: &Option<String>, cpu: &Option<String>) {
    if memory.is_none() && cpu.is_none() {
        return;
    }
    let set = set.get_or_insert_default();
    if let Some(memory) = memory {
        set.memory.clone_from(memory);
    }
    if let Some(cpu) = cpu {
        set.cpu.clone_from(cpu);
    }
}

fn default_stack() -> Option<PathBuf> {
    ["stack.yml", "stack.yaml"]
        .iter()
        .map(Path::new)
        .find(|path| path.is_file())
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::exit::Exit;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        deploy: Deploy,
    }

    fn functions(line: &str) -> Result<Vec<Deployment>, Failure> {
        let arguments = std::iter::once("deploy").chain(line.split(' '));
        Line::try_parse_from(arguments)
            .unwrap()
            .deploy
            .functions(|_| None)
            .map(|(functions, _)| functions)
    }

    #[test]
    fn flags_become_one_deployment() {
        let wanted = functions(
            "wc --fprocess wc --env A=1 -e A=2 --label l=x --secret s --secret s --constraint c --memory-limit 64Mi \
             --cpu-request 10m --readonly -n staging",
        )
        .unwrap();
        assert_eq!(
            wanted,
            [Deployment {
                service: "wc".into(),
                namespace: Some("staging".into()),
                env_process: "wc".into(),
                env_vars: BTreeMap::from([("A".into(), "2".into())]),
                labels: BTreeMap::from([("l".into(), "x".into())]),
                secrets: vec!["s".into()],
                constraints: vec!["c".into()],
                limits: Some(Resources {
                    memory: "64Mi".into(),
                    cpu: String::new()
                }),
                requests: Some(Resources {
                    memory: String::new(),
                    cpu: "10m".into()
                }),
                read_only_root_filesystem: true,
                ..Deployment::default()
            }]
        );
    }

    #[test]
    fn flags_lie_over_a_stack_file_and_filters_choose() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stack.yml");
        let text = "functions:\n  a1: {fprocess: x, environment: {A: 1, B: 1}, limits: {cpu: 1}}\n  a2: {fprocess: x}\n  b: {fprocess: x}\n";
        std::fs::write(&file, text).unwrap();
        let path = file.to_str().unwrap();
        let chosen = functions(&format!(
            "-f {path} --filter a* --env A=2 --memory-limit 1Mi"
        ))
        .unwrap();
        assert_eq!(
            chosen
                .iter()
                .map(|function| function.service.as_str())
                .collect::<Vec<_>>(),
            ["a1", "a2"]
        );
        assert_eq!(
            chosen[0].env_vars,
            BTreeMap::from([("A".into(), "2".into()), ("B".into(), "1".into())])
        );
        assert_eq!(
            chosen[0].limits,
            Some(Resources {
                memory: "1Mi".into(),
                cpu: "1".into()
            })
        );
        assert_eq!(
            functions(&format!("-f {path} --regex ^b$")).unwrap().len(),
            1
        );
        assert_eq!(
            functions(&format!("-f {path} --filter nothing"))
                .unwrap_err()
                .exit(),
            Exit::Data
        );
    }

    #[test]
    fn says_what_is_missing() {
        assert!(
            functions("wc")
                .unwrap_err()
                .to_string()
                .contains("--fprocess")
        );
        assert!(
            functions("--fprocess wc")
                .unwrap_err()
                .to_string()
                .contains("name")
        );
        assert!(
            functions("a/b --fprocess wc")
                .unwrap_err()
                .to_string()
                .contains("not a name")
        );
    }
}
