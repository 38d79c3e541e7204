//! Why no file is sent, in words.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use wire::Method;

use super::folder::{self, Trouble};
use super::path::Unnamed;
use crate::limits::RETRY_AFTER_S;
use crate::reply::Failure;

/// The method is neither GET nor HEAD.
pub(super) fn method(method: Method<'_>) -> Failure {
    let message = format!(
        "files can be read with GET and HEAD, and the method is {}",
        method.as_str()
    );
    Failure {
        header: Some(("Allow", b"GET, HEAD".to_vec())),
        ..Failure::new(405, "method-not-allowed", message)
    }
}

/// The path names no file.
pub(super) fn unnamed(why: Unnamed) -> Failure {
    let message = match why {
        Unnamed::BadEscape => {
            "the path has a % without two hexadecimal digits behind it; write % itself as %25"
        }
        Unnamed::Nul => "the path has a NUL (%00) in it; no file has such a name",
        Unnamed::NotServed => return nothing(false),
    };
    Failure::new(400, "bad-path", message)
}

/// There is no such file, or none that is served.
pub(super) fn nothing(is_index: bool) -> Failure {
    let message = match is_index {
        true => "there is no index.html here, and what is in a folder is not listed",
        false => {
            "there is no such file; capitals count, and names that begin with a dot are not served"
        }
    };
    Failure::new(404, "not-found", message)
}

/// It is a folder, whose address ends with a slash.
pub(super) fn moved(to: &[u8]) -> Failure {
    let message = format!("this is a folder; see {}", String::from_utf8_lossy(to));
    Failure {
        header: Some(("Location", to.to_vec())),
        ..Failure::new(301, "folder", message)
    }
}

/// It is not the file that the client means.
pub(super) fn precondition() -> Failure {
    Failure::new(
        412,
        "changed",
        "the file is not as If-Match or If-Unmodified-Since has it; ask again without",
    )
}

/// The range is behind the end of the file.
pub(super) fn range(len: u64) -> Failure {
    let message = format!("the Range has nothing in it: the file has {len} bytes");
    Failure {
        header: Some(("Content-Range", format!("bytes */{len}").into_bytes())),
        ..Failure::new(416, "range", message)
    }
}

/// It cannot be read.
pub(super) fn trouble(trouble: &Trouble, folder: &Path) -> Failure {
    let error = match trouble {
        Trouble::NoFolder(error) => return no_folder(folder, error),
        Trouble::NotOpened(error) => error,
    };
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS) => Failure::new(
            403,
            "not-allowed",
            "the watchdog may not read this file; give its user the right to (chmod a+r, and a+x for the folders above)",
        ),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN) => Failure {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Failure::new(
                503,
                "no-resources",
                format!("the file cannot be opened now: {error}; try again later"),
            )
        },
        _ => Failure::new(
            500,
            "not-read",
            format!("the file cannot be opened: {error}"),
        ),
    }
}

fn no_folder(folder: &Path, error: &io::Error) -> Failure {
    let message = format!(
        "static_path: the folder {} cannot be opened: {error}; make it, or set static_path to another",
        folder.display()
    );
    Failure {
        retry_after_s: Some(RETRY_AFTER_S),
        ..Failure::new(503, "no-folder", message)
    }
}

/// Why nothing can be served now, if so.
pub(crate) fn not_ready(folder: &Path) -> Option<Failure> {
    let error = folder::check(folder).err()?;
    Some(no_folder(folder, &error))
}
