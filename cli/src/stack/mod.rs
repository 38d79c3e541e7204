//! `stack.yml`: the functions that belong together, in the schema of OpenFaaS's CLI.
//!
//! A file becomes deployments in three steps: substitute the environment, read the YAML strictly
//! (an error names line and column), and merge `environment_file`. Keys of the schema that only
//! matter to builds are known and not used; other keys are ignored with a warning, since a typo
//! there would otherwise be silent.

mod schema;
pub(crate) mod substitute;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use crate::exit::{Exit, Failure};
use crate::function::{Deployment, is_name};

/// Largest stack file in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a stack file says.
#[derive(Debug)]
pub(crate) struct Stack {
    /// Its `provider.gateway`, if it has one.
    pub gateway: Option<String>,
    /// Its functions, by name.
    pub functions: Vec<Deployment>,
    /// What a person should know, although nothing is wrong enough to stop.
    pub warnings: Vec<String>,
}

/// Reads the stack file at `path`, or from standard input where `path` is `-`. `variable` is the
/// environment.
///
/// # Errors
/// `NoInput` for a file that cannot be opened, `Data` for one that says something wrong.
pub(crate) fn load(
    path: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Stack, Failure> {
    let text = if path == Path::new("-") {
        read_limited(std::io::stdin().lock(), path)?
    } else {
        read_file(path)?
    };
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    parse(&text, variable, |name| read_file(&folder.join(name)))
        .map_err(|failure| Failure::new(failure.exit(), format!("{}: {failure}", path.display())))
}

/// The pure part of [`load`]: `file` gives the text of an `environment_file` entry.
///
/// # Errors
/// As [`load`], without the path.
pub(crate) fn parse(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
    file: impl Fn(&str) -> Result<String, Failure>,
) -> Result<Stack, Failure> {
    let substituted = substitute::substitute(text, &variable).map_err(Failure::data)?;
    let (raw, mut warnings) =
        schema::read::<schema::File>(&substituted.text).map_err(Failure::data)?;
    for unset in substituted.unset {
        warnings.push(format!(
            "line {}, column {}: ${{{}}} is not set and counts as empty",
            unset.line, unset.column, unset.name
        ));
    }
    let mut functions = Vec::with_capacity(raw.functions.len());
    for (name, function) in raw.functions {
        if !is_name(&name) {
            return Err(Failure::data(format!(
                "functions: `{}` is not a name: \
                 names are made of letters, digits, `-`, `_` and `.`",
                name.escape_default()
            )));
        }
        let mut environment = text_values(function.environment.clone());
        for path in &function.environment_file {
            // Later files win over earlier ones, and files over the stack file, as in OpenFaaS's
            // CLI.
            environment.extend(environment_file(path, &variable, &file).map_err(|failure| {
                Failure::new(
                    failure.exit(),
                    format!("functions.{name}.environment_file: {failure}"),
                )
            })?);
        }
        functions.push(function.deployment(name, environment));
    }
    if functions.is_empty() {
        warnings.push("no functions".to_owned());
    }
    let gateway = raw.provider.gateway.filter(|url| !url.is_empty());
    Ok(Stack {
        gateway,
        functions,
        warnings,
    })
}

fn environment_file(
    path: &str,
    variable: impl Fn(&str) -> Option<String>,
    file: impl Fn(&str) -> Result<String, Failure>,
) -> Result<BTreeMap<String, String>, Failure> {
    let place = |error: String| Failure::data(format!("{path}: {error}"));
    let text = substitute::substitute(&file(path)?, variable)
        .map_err(place)?
        .text;
    let (raw, _unknown) = schema::read::<schema::EnvironmentFile>(&text).map_err(place)?;
    Ok(text_values(raw.environment))
}

/// YAML's empty value is an empty string in an environment.
fn text_values(map: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    map.into_iter()
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect()
}

fn read_file(path: &Path) -> Result<String, Failure> {
    let file = std::fs::File::open(path).map_err(|error| {
        Failure::new(
            Exit::NoInput,
            format!("cannot open {}: {error}", path.display()),
        )
    })?;
    read_limited(file, path)
}

fn read_limited(source: impl std::io::Read, path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    source
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            Failure::new(
                Exit::NoInput,
                format!("cannot read {}: {error}", path.display()),
            )
        })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::data(format!(
            "{} is larger than {FILE_BYTES_MAX} bytes",
            path.display()
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        Failure::data(format!(
            "{} is not UTF-8 text: {}",
            path.display(),
            error.utf8_error()
        ))
    })
}

#[cfg(test)]
mod tests;
