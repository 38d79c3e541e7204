//! The command tree: which verbs there are, and the flags that all client verbs share.
//!
//! Flags of one verb stand in that verb's own file. Names follow OpenFaaS's CLI where it has the
//! same thing.

use clap::{Args, Parser, Subcommand};

use crate::address::{Address, VARIABLE};
use crate::client::Client;
use crate::exit::{self, Failure};
use crate::function::check_name;
use crate::verb;

const EXAMPLES: &str = "\
Examples:
  ringway up --samples                          start a gateway with five small functions
  curl -d 'hello wide world' http://127.0.0.1:8080/function/wc
  ringway deploy upper --fprocess 'tr a-z A-Z'  any program that reads stdin is a function
  echo hello | ringway invoke upper
  ringway logs -f upper
";

/// Functions as ordinary programs, behind a gateway that scales them.
#[derive(Debug, Parser)]
#[command(
    name = "ringway",
    version = gateway::VERSION,
    after_help = format!("{EXAMPLES}\n{}", exit::TABLE),
    max_term_width = 110
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Up(verb::up::Up),
    Gateway(verb::gateway::Gateway),
    Watchdog(verb::watchdog::Watchdog),
    Deploy(Box<verb::deploy::Deploy>),
    List(verb::list::List),
    Describe(verb::describe::Describe),
    Invoke(verb::invoke::Invoke),
    Scale(verb::scale::Scale),
    Logs(verb::logs::Logs),
    Remove(verb::remove::Remove),
    Version(verb::version::Version),
    Completion(verb::completion::Completion),
}

impl Cli {
    /// Runs the chosen verb to its end.
    ///
    /// # Errors
    /// Whatever stopped the verb, with the exit code for it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Up(up) => up.run(),
            Verb::Gateway(gateway) => gateway.run(),
            Verb::Watchdog(watchdog) => watchdog.run(),
            Verb::Deploy(deploy) => deploy.run(),
            Verb::List(list) => list.run(),
            Verb::Describe(describe) => describe.run(),
            Verb::Invoke(invoke) => invoke.run(),
            Verb::Scale(scale) => scale.run(),
            Verb::Logs(logs) => logs.run(),
            Verb::Remove(remove) => remove.run(),
            Verb::Version(version) => version.run(),
            Verb::Completion(completion) => completion.run(),
        }
    }
}

/// Which gateway, and which namespace in it.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// URL of the gateway.
    #[arg(
        short,
        long,
        value_name = "URL",
        help = "URL of the gateway: http[s]://[USER:PASSWORD@]HOST[:PORT] \
                [default: $OPENFAAS_URL, else http://127.0.0.1:8080]"
    )]
    pub gateway: Option<String>,
    /// Namespace of the function [default: the gateway's own]
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

impl Target {
    /// Where the gateway is. `stack` is what a stack file says about it.
    ///
    /// # Errors
    /// Usage, for a URL that is none or a namespace that cannot be one.
    pub(crate) fn address(&self, stack: Option<&str>) -> Result<Address, Failure> {
        if let Some(namespace) = &self.namespace {
            check_name(namespace)?;
        }
        let environment = std::env::var(VARIABLE).ok();
        Address::resolve(self.gateway.as_deref(), stack, environment.as_deref())
    }

    /// A client for the gateway.
    ///
    /// # Errors
    /// As [`Target::address`].
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(self.address(None)?))
    }
}

/// Splits `KEY=VALUE` at the first `=`, for every flag that takes a pair.
///
/// # Errors
/// A sentence that says what is missing.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) => Err("the part before `=` is empty".to_owned()),
        None => Err("write it as KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_sentence() {
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    verb.get_name(),
                    argument.get_id()
                );
            }
        }
    }

    #[test]
    fn reads_the_forms_that_users_of_openfaas_type() {
        for line in [
            "ringway deploy --name wc --image example/wc:1 --fprocess wc -e A=b --env C=d -l x=y --label z= --annotation t=u",
            "ringway deploy wc --fprocess wc --secret s --constraint node.role==worker --memory-limit 64Mi --cpu-limit 500m",
            "ringway deploy wc --fprocess wc --memory-request 1Mi --cpu-request 1m --readonly --update=false -n staging",
            "ringway deploy -f stack.yml --filter w* --replace",
            "ringway deploy -f stack.yml --regex ^w -g https://gw",
            "ringway list -v --gateway http://x:1",
            "ringway ls -q",
            "ringway describe wc --json",
            "ringway invoke wc -H A=b -H C:d --query a=b --method PUT --content-type text/x --async",
            "ringway scale wc 3",
            "ringway scale wc --replicas 0",
            "ringway logs wc -f --tail 5 --since 10m --output json --name --instance",
            "ringway remove wc cat",
            "ringway rm -f stack.yml",
            "ringway version --json",
            "ringway completion bash",
            "ringway up --listen 127.0.0.1:0 --state-dir /x --threads 1 --driver epoll --static a=http://127.0.0.1:1 --static a=unix:/s",
            "ringway up --samples -f stack.yml --log-level debug",
        ] {
            assert!(
                Cli::try_parse_from(line.split(' '))
                    .map_err(|error| panic!("{line}: {error}"))
                    .is_ok()
            );
        }
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for (line, kind) in [
            (
                "ringway",
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
            ),
            ("ringway nope", ErrorKind::InvalidSubcommand),
            ("ringway deploy wc --env A", ErrorKind::ValueValidation),
            ("ringway deploy wc -f x.yml", ErrorKind::ArgumentConflict),
            (
                "ringway deploy -f x.yml --filter a --regex b",
                ErrorKind::ArgumentConflict,
            ),
            ("ringway scale wc", ErrorKind::MissingRequiredArgument),
            ("ringway scale wc -1", ErrorKind::UnknownArgument),
            ("ringway logs wc --since x", ErrorKind::ValueValidation),
            (
                "ringway logs wc --since 1m --since-time 2026-01-01T00:00:00Z",
                ErrorKind::ArgumentConflict,
            ),
            ("ringway up --driver kqueue", ErrorKind::InvalidValue),
            ("ringway up --threads 0", ErrorKind::ValueValidation),
            ("ringway up --static a=ftp://x", ErrorKind::ValueValidation),
            ("ringway remove", ErrorKind::MissingRequiredArgument),
        ] {
            assert_eq!(
                Cli::try_parse_from(line.split(' ')).unwrap_err().kind(),
                kind,
                "{line}"
            );
        }
    }

    #[test]
    fn a_pair_splits_at_the_first_equals_sign() {
        assert_eq!(pair("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("A="), Ok(("A".to_owned(), String::new())));
        assert!(pair("=b").is_err() && pair("A").is_err());
    }
}
