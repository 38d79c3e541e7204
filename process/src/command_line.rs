//! A command line taken apart as a shell would, without a shell.
//!
//! Functions are written as one line (`wc -l`, `sh -c 'a | b'`). Quotes and backslashes work as in
//! POSIX sh; variables, globs, pipes and redirections are ordinary characters here: who wants a
//! shell writes `sh -c '…'`.

/// A command line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// Nothing in it.
    #[error("the command line is empty; give a program and its arguments, such as `wc -l`")]
    Empty,
    /// A quote without its partner.
    #[error("the command line `{text}` has a quote that is not closed")]
    Unclosed {
        /// The line.
        text: String,
    },
}

/// Splits `text` into the program and its arguments.
///
/// # Errors
/// [`CommandLineError`] if it is empty or a quote is not closed.
pub fn split(text: &str) -> Result<Vec<String>, CommandLineError> {
    let words = shell_words::split(text).map_err(|_unclosed| CommandLineError::Unclosed {
        text: text.to_owned(),
    })?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(CommandLineError::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_a_shell_would() {
        let cases: [(&str, &[&str]); 15] = [
            ("cat", &["cat"]),
            ("  wc \t -l  ", &["wc", "-l"]),
            ("sh -c 'echo $HOME | wc'", &["sh", "-c", "echo $HOME | wc"]),
            ("grep \"a b\"", &["grep", "a b"]),
            ("printf \"a\\\"b\"", &["printf", "a\"b"]),
            ("printf 'a\\b'", &["printf", "a\\b"]),
            ("printf a\\ b", &["printf", "a b"]),
            ("printf ''", &["printf", ""]),
            ("printf a''b", &["printf", "ab"]),
            ("printf 'it'\\''s'", &["printf", "it's"]),
            ("echo *.c > out", &["echo", "*.c", ">", "out"]),
            ("echo $X", &["echo", "$X"]),
            ("echo a\\", &["echo", "a\\"]),
            ("/opt/my\\ app/run --x=1", &["/opt/my app/run", "--x=1"]),
            ("echo käse\n日本", &["echo", "käse", "日本"]),
        ];
        for (text, want) in cases {
            assert_eq!(split(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn refuses_what_names_no_program() {
        for text in ["", "   ", "\t\n", "''", "\"\" arg"] {
            assert_eq!(split(text), Err(CommandLineError::Empty), "{text:?}");
        }
        for text in ["echo 'a", "echo \"a"] {
            assert!(
                matches!(split(text), Err(CommandLineError::Unclosed { .. })),
                "{text:?}"
            );
        }
    }
}
