//! The lock file: there while the watchdog is healthy, so that container health checks that only
//! look for the file work as they do with OpenFaaS's watchdogs.

use std::io;
use std::path::{Path, PathBuf};

/// `$TMPDIR/.lock`; removed when dropped.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
}

impl LockFile {
    /// Writes it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn write(temp_dir: &Path) -> io::Result<Self> {
        let path = temp_dir.join(".lock");
        std::fs::write(&path, "")?;
        Ok(Self { path })
    }

    /// Whether it is still there: removing it is a way to take a function out of service.
    pub(crate) fn is_there(&self) -> bool {
        self.path.exists()
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Somebody else may have removed it, which is as good.
        std::fs::remove_file(&self.path).unwrap_or(());
    }
}
