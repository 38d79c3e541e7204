//! Finding the program before anything is started.
//!
//! `execvp` would search in the child, with the parent's `PATH`, and report a missing program only
//! at the first start. Here the search is done in the parent, with the `PATH` that the child will
//! have, so that a missing program is a clear error at once and a server that starts it per request
//! searches only one time.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::SpawnError;

/// Where programs are looked for when the child has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A program that was found: its file, and the name it was asked for by.
#[derive(Debug, Clone)]
pub struct Program {
    name: CString,
    path: CString,
}

impl Program {
    /// Finds `name` as the child would: a name with `/` is a path (relative to `dir`, the child's
    /// working directory), any other is searched in `path_var`, the value of the child's `PATH`.
    ///
    /// # Errors
    /// [`SpawnError::NotFound`], [`SpawnError::NotExecutable`] if only files without execute
    /// permission were found, [`SpawnError::BadText`] for an empty name or one with a NUL in it.
    pub fn resolve(
        name: &OsStr,
        path_var: Option<&OsStr>,
        dir: Option<&Path>,
    ) -> Result<Self, SpawnError> {
        let as_c_string = |text: OsString| {
            CString::new(text.into_vec()).map_err(|_nul| SpawnError::BadText {
                what: format!("the program name {}", name.display()),
            })
        };
        let c_name = as_c_string(name.to_owned())?;
        if name.is_empty() {
            return Err(SpawnError::BadText {
                what: "the empty program name".to_owned(),
            });
        }
        let path = find(name, path_var, dir)?;
        Ok(Self {
            name: c_name,
            path: as_c_string(path.into_os_string())?,
        })
    }

    /// The file that will be run; absolute unless the working directory of this process is gone.
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path.as_bytes()))
    }

    pub(crate) fn path_c(&self) -> &std::ffi::CStr {
        &self.path
    }

    /// The name it was asked for by, which becomes `argv[0]`.
    pub(crate) fn name_c(&self) -> &std::ffi::CStr {
        &self.name
    }
}

fn find(name: &OsStr, path_var: Option<&OsStr>, dir: Option<&Path>) -> Result<PathBuf, SpawnError> {
    if name.as_bytes().contains(&b'/') {
        let path = from_dir(Path::new(name), dir);
        return match look_at(&path) {
            Found::Runnable => Ok(path),
            Found::NotRunnable => Err(SpawnError::NotExecutable { path }),
            Found::Nothing => Err(SpawnError::NotFound {
                program: name.to_owned(),
                path_var: None,
            }),
        };
    }
    let path_var = path_var.unwrap_or_else(|| OsStr::new(DEFAULT_PATH));
    let mut not_runnable = None;
    for entry in path_var.as_bytes().split(|byte| *byte == b':') {
        // POSIX: an empty entry is the working directory.
        let path = from_dir(&Path::new(OsStr::from_bytes(entry)).join(name), dir);
        match look_at(&path) {
            Found::Runnable => return Ok(path),
            Found::NotRunnable => not_runnable = not_runnable.or(Some(path)),
            Found::Nothing => {}
        }
    }
    Err(match not_runnable {
        Some(path) => SpawnError::NotExecutable { path },
        None => SpawnError::NotFound {
            program: name.to_owned(),
            path_var: Some(path_var.to_owned()),
        },
    })
}

/// The path as seen from the child's working directory, made absolute, since the child changes its
/// directory before it looks the program up.
fn from_dir(path: &Path, dir: Option<&Path>) -> PathBuf {
    let path = dir.map_or_else(|| path.to_owned(), |dir| dir.join(path));
    std::path::absolute(&path).unwrap_or(path)
}

enum Found {
    Runnable,
    NotRunnable,
    Nothing,
}

fn look_at(path: &Path) -> Found {
    if !path.is_file() {
        Found::Nothing
    } else if access(path, Access::EXEC_OK).is_ok() {
        Found::Runnable
    } else {
        Found::NotRunnable
    }
}
