//! What a failed command tells its caller: one exit code and one sentence.
//!
//! Scripts branch on the code and people read the sentence, so both are decided here, in one table,
//! and nowhere else. The codes above 63 are those of sysexits(3). This file prints nothing.

use std::fmt;
use std::io;

/// Exit codes of every `ringway` verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// The gateway or the function was reached and answered with an error.
    Refused = 1,
    /// The command line is wrong (`EX_USAGE`).
    Usage = 64,
    /// A stack file or another input does not say what it must (`EX_DATAERR`).
    Data = 65,
    /// An input file cannot be opened (`EX_NOINPUT`).
    NoInput = 66,
    /// The gateway cannot be reached (`EX_UNAVAILABLE`).
    Unavailable = 69,
    /// The gateway in this process failed while it ran (`EX_SOFTWARE`).
    Software = 70,
    /// The gateway cannot start on this machine: an address or directory is taken, or the kernel
    /// refuses something (`EX_OSERR`).
    CannotStart = 71,
    /// Reading or writing failed on this side (`EX_IOERR`).
    Io = 74,
    /// No answer within the time limit; the same command may work later (`EX_TEMPFAIL`).
    Timeout = 75,
    /// What answered does not speak like a gateway (`EX_PROTOCOL`).
    Protocol = 76,
    /// The gateway wants other credentials (`EX_NOPERM`).
    Denied = 77,
}

/// The same table in words, for `ringway --help`.
pub(crate) const TABLE: &str = "\
Exit codes:
   0  done
   1  the gateway or the function answered with an error
  64  the command line is wrong
  65  a stack file or another input is wrong
  66  an input file cannot be opened
  69  the gateway cannot be reached
  70  the gateway that `up` started failed while it ran
  71  the gateway cannot start: an address or a directory is taken, or the kernel refuses
  74  reading or writing failed on this side
  75  no answer within the time limit
  76  the answer is not one that a gateway gives
  77  the gateway wants other credentials";

/// Why a verb stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// A failure with `exit` as its code and `message` as the sentence for stderr.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// An input says something it must not.
    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(Exit::Data, message)
    }

    /// Writing to stdout failed. A reader that went away (`| head`) has what it wanted: that is no
    /// failure.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::new(Exit::Ok, "")
        } else {
            Self::new(
                Exit::Io,
                format!("cannot write to standard output: {error}"),
            )
        }
    }

    /// The same failure with the name of what it is about in front.
    #[must_use]
    pub(crate) fn about(self, what: &str) -> Self {
        Self {
            exit: self.exit,
            message: format!("{what}: {}", self.message),
        }
    }

    /// One failure for several: all sentences, the code of the first. None is success.
    ///
    /// # Errors
    /// When there is at least one.
    pub(crate) fn several(failures: Vec<Self>) -> Result<(), Self> {
        let Some(first) = failures.first() else {
            return Ok(());
        };
        let sentences: Vec<&str> = failures
            .iter()
            .map(|failure| failure.message.as_str())
            .collect();
        Err(Self::new(first.exit, sentences.join("\nringway: ")))
    }

    /// The code for the caller.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let gone = Failure::output(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(gone.exit(), Exit::Ok);
        assert_eq!(gone.to_string(), "");
        let full = Failure::output(&io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit(), Exit::Io);
    }

    #[test]
    fn several_failures_are_told_together() {
        Failure::several(Vec::new()).unwrap();
        let both =
            Failure::several(vec![Failure::data("a").about("x"), Failure::usage("b")]).unwrap_err();
        assert_eq!(
            (both.exit(), both.to_string()),
            (Exit::Data, "x: a\nringway: b".to_owned())
        );
    }

    #[test]
    fn the_table_names_every_code() {
        for exit in [
            Exit::Ok,
            Exit::Refused,
            Exit::Usage,
            Exit::Data,
            Exit::NoInput,
            Exit::Unavailable,
            Exit::Software,
            Exit::CannotStart,
            Exit::Io,
            Exit::Timeout,
            Exit::Protocol,
            Exit::Denied,
        ] {
            let code = format!("{:>4}  ", exit as u8);
            assert!(TABLE.contains(&code), "{exit:?}");
        }
    }
}
