//! `ringway completion SHELL`: the script that lets a shell complete verbs and flags.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Failure;
use crate::output;

/// Write the completion script of a shell to stdout
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  ringway completion bash > ~/.local/share/bash-completion/completions/ringway")]
pub(crate) struct Completion {
    /// The shell that will read the script
    shell: Shell,
}

impl Completion {
    /// Writes the script.
    ///
    /// # Errors
    /// I/O on stdout.
    pub(crate) fn run(self) -> Result<(), Failure> {
        // Through memory: the generator panics when it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "ringway", &mut script);
        output::print_bytes(&script)
    }
}
