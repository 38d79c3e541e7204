//! Where replicas have their files, and what each of them has: a socket, a directory of its own,
//! and a record by which the next gateway can end it should this one be killed.
//!
//! What it does not do: create the directories; the state directory's owner (`control`) does.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::leftovers::Record;
use crate::provider::FunctionId;

/// The directories.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// For sockets; its path is short enough for sockaddr_un(7).
    pub(crate) sockets: PathBuf,
    /// For records of running replicas.
    pub(crate) records: PathBuf,
    /// For the replicas' own directories.
    pub(crate) tmp: PathBuf,
}

/// The longest name that `Files` gives to a socket, in bytes: a number of 32 bits and `.sock`.
pub(crate) const SOCKET_NAME_BYTES_MAX: usize = 15;

/// What one replica has. Dropping it removes all of it, which may take long when the function
/// has left much in its directory.
#[derive(Debug)]
pub(crate) struct Files {
    /// Its socket.
    pub(crate) socket: PathBuf,
    /// Its `TMPDIR` and `HOME`.
    pub(crate) own_dir: PathBuf,
    record: PathBuf,
}

impl Files {
    /// Makes the replica's directory. The socket is bound and the record written later.
    ///
    /// # Errors
    /// What the file system said.
    pub(crate) fn make(places: &Places, id: &FunctionId, instance: u32) -> io::Result<Self> {
        let files = Self {
            socket: places.sockets.join(format!("{instance}.sock")),
            own_dir: places.tmp.join(format!("{}-{instance}", id.name())),
            record: places.records.join(instance.to_string()),
        };
        fs::DirBuilder::new().mode(0o700).create(&files.own_dir)?;
        Ok(files)
    }

    /// Writes down which process is there. Not fsynced: what a power failure takes away takes
    /// the process too.
    ///
    /// # Errors
    /// What the file system said.
    pub(crate) fn record(&self, record: &Record) -> io::Result<()> {
        fs::write(&self.record, serde_json::to_vec(record)?)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let gone = |result: io::Result<()>, path: &Path| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "a replica's file cannot be removed");
            }
            _ => {}
        };
        gone(fs::remove_file(&self.socket), &self.socket);
        gone(fs::remove_dir_all(&self.own_dir), &self.own_dir);
        gone(fs::remove_file(&self.record), &self.record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            sockets: dir.path().to_owned(),
            records: dir.path().to_owned(),
            tmp: dir.path().to_owned(),
        };
        let id = FunctionId::new("wc", "").unwrap();
        let files = Files::make(&places, &id, u32::MAX).unwrap();
        let name = files.socket.file_name().unwrap();
        assert_eq!(name.len(), SOCKET_NAME_BYTES_MAX);
        fs::write(&files.socket, b"").unwrap();
        fs::write(files.own_dir.join("scratch"), b"x").unwrap();
        drop(files);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
