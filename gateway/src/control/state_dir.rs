//! The state directory: one gateway's own, locked while it runs.
//!
//! ```text
//! STATE/lock                       flock(2), with the pid of its holder inside
//!       functions/NAMESPACE/NAME.json   what was deployed (durable)
//!       namespaces/NAME.json            (durable)
//!       run/control.sock, run/N.sock    sockets
//!       run/replicas/N                  which process serves there
//!       run/sockets-elsewhere           where the sockets are, if not here
//!       run/fwatchdog                   the program of the replicas, if the gateway carries one
//!       tmp/NAME-N/                     a replica's TMPDIR and HOME
//! ```
//!
//! Every directory made here is for this user only (0700). A state directory that is there
//! already keeps its mode, since it may not be meant for us alone: others may then see the names
//! of the rooms, but not enter them. One that others may write to is warned about, since they
//! could put rooms of their own in the place of ours. `run` and `tmp` are emptied at each start, after what
//! an earlier gateway left running has been ended. A socket's path may have 107 bytes
//! (sockaddr_un, unix(7)); where the state directory's is too long, sockets go to a private
//! directory of a short name, which is removed at the end.
//!
//! What it does not do: read or write what was deployed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use crate::provider::local::{Places, SOCKET_NAME_BYTES_MAX, leftovers, make_dirs};

/// What a path in sockaddr_un may have, its closing NUL left out.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Names the directory of the sockets, if it is not `run`.
const ELSEWHERE: &str = "sockets-elsewhere";
/// How the private directory for sockets begins.
const ELSEWHERE_PREFIX: &str = "ringway-";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another gateway has it.
    #[error(
        "another gateway{} runs on the state directory {}: stop it, or give this one another with --state-dir",
        pid.as_deref().map(|pid| format!(" (pid {pid})")).unwrap_or_default(),
        dir.display()
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The other gateway, if it has said.
        pid: Option<String>,
    },
    /// The file system says no.
    #[error("the state directory {} cannot be used: {}: {source}", dir.display(), path.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What was being looked at or made.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The directory, held by a lock until this is dropped.
#[derive(Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
    sockets: PathBuf,
    /// Closing it ends the lock; so does the end of this process, however it comes.
    _lock: File,
}

impl StateDir {
    /// Makes and locks the directory, ends what an earlier gateway left running, and empties the
    /// rooms that are only for running gateways.
    ///
    /// # Errors
    /// [`StateDirError`] says what is in the way.
    pub(crate) fn open(root: &Path) -> Result<Self, StateDirError> {
        // Relative to the directory in which the gateway was started, whatever comes later.
        let root = &std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let failed = |path: &Path, source: io::Error| StateDirError::Io {
            dir: root.clone(),
            path: path.to_owned(),
            source,
        };
        let make = |path: &Path| {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder.create(path).map_err(|error| failed(path, error))
        };
        // What was deployed lies below it, so it must not go with a power failure.
        make_dirs(root).map_err(|error| failed(root, error))?;
        let lock = lock(root, failed)?;
        if others_may_replace_rooms(root) {
            tracing::warn!(
                dir = %root.display(),
                "others may write to the state directory, and so choose what runs here; chmod 700 ends that"
            );
        }
        let run = root.join("run");
        let records = run.join("replicas");
        make(&records)?;
        let tmp = root.join("tmp");
        match leftovers::end_all(&records, &tmp) {
            Ok(0) => {}
            Ok(count) => tracing::warn!(
                processes = count,
                "processes that a killed gateway left running were ended"
            ),
            Err(error) => tracing::warn!(
                %error,
                "not all that a killed gateway may have left running could be ended"
            ),
        }
        remove_elsewhere(&run);
        for room in [&run, &tmp] {
            match fs::remove_dir_all(room) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(room, error));
                }
                _ => make(room)?,
            }
        }
        make(&records)?;
        let sockets = sockets_dir(&run).map_err(|error| failed(&run, error))?;
        Ok(Self {
            root: root.clone(),
            sockets,
            _lock: lock,
        })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the control plane's server listens.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.sockets.join("control.sock")
    }

    /// For what is only there while a gateway runs; empty at its start.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Where replicas have their files.
    pub(crate) fn places(&self) -> Places {
        Places {
            sockets: self.sockets.clone(),
            records: self.root.join("run/replicas"),
            tmp: self.root.join("tmp"),
        }
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        // What is left in `run` is removed at the next start in any case.
        fs::remove_file(self.control_socket()).ok();
        remove_elsewhere(&self.run());
    }
}

/// Whether somebody beside the owner may rename what is in the directory; in a sticky one, such
/// as /tmp, nobody may.
fn others_may_replace_rooms(root: &Path) -> bool {
    const STICKY: u32 = 0o1000;
    const WRITABLE_BY_OTHERS: u32 = 0o022;
    let mode = fs::metadata(root).map_or(0, |found| found.mode());
    mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0
}

fn lock(
    root: &Path,
    failed: impl Fn(&Path, io::Error) -> StateDirError,
) -> Result<File, StateDirError> {
    let path = root.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // It only makes the message better.
            file.read_to_string(&mut pid).ok();
            let pid = pid.trim();
            return Err(StateDirError::Locked {
                dir: root.to_owned(),
                pid: (!pid.is_empty()).then(|| pid.to_owned()),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&path, error)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| failed(&path, error))?;
    Ok(file)
}

/// `run` itself, or a private directory where its path is too long for a socket's.
fn sockets_dir(run: &Path) -> io::Result<PathBuf> {
    let longest = run.as_os_str().as_bytes().len() + 1 + SOCKET_NAME_BYTES_MAX;
    if longest <= SOCKET_PATH_BYTES_MAX {
        return Ok(run.to_owned());
    }
    let short = |dir: &PathBuf| dir.is_absolute() && dir.as_os_str().len() < 64;
    let parent = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(short)
        .unwrap_or_else(|| PathBuf::from("/tmp"));
    // mkdtemp(3) makes it 0700 under a name that nobody could guess and take before.
    let dir = nix::unistd::mkdtemp(&parent.join(format!("{ELSEWHERE_PREFIX}XXXXXX")))?;
    fs::write(run.join(ELSEWHERE), dir.as_os_str().as_bytes())?;
    tracing::info!(
        sockets = %dir.display(),
        "the state directory's path is too long for sockets; they are elsewhere"
    );
    Ok(dir)
}

/// Removes the private directory that `run` names, if there is one.
fn remove_elsewhere(run: &Path) {
    let Ok(bytes) = fs::read(run.join(ELSEWHERE)) else {
        return;
    };
    let dir = Path::new(std::ffi::OsStr::from_bytes(&bytes));
    let is_ours = dir
        .file_name()
        .is_some_and(|name| name.as_bytes().starts_with(ELSEWHERE_PREFIX.as_bytes()));
    if is_ours && let Err(error) = fs::remove_dir_all(dir) {
        tracing::warn!(dir = %dir.display(), %error, "a directory of sockets cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_gateway_is_told_who_has_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/state");
        let first = StateDir::open(&root).unwrap();
        let error = StateDir::open(&root).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&root.display().to_string()), "{text}");
        assert!(
            text.contains(&format!("(pid {})", std::process::id())),
            "{text}"
        );
        drop(first);
        StateDir::open(&root).unwrap();
    }

    #[test]
    fn rooms_are_private_and_those_of_a_run_are_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        drop(StateDir::open(&root).unwrap());
        fs::write(root.join("run/1.sock"), b"").unwrap();
        fs::create_dir(root.join("tmp/wc-1")).unwrap();
        fs::create_dir(root.join("functions")).unwrap();
        let state = StateDir::open(&root).unwrap();
        assert!(!root.join("run/1.sock").exists());
        assert!(!root.join("tmp/wc-1").exists());
        assert!(root.join("functions").exists());
        for room in [
            root.clone(),
            root.join("run"),
            state.places().records,
            state.places().tmp,
        ] {
            let mode = fs::metadata(&room).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", room.display());
        }
    }

    #[test]
    fn a_directory_that_is_there_keeps_its_mode_and_rooms_are_private_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for (mode, open_to_others) in [
            (0o700, false),
            (0o755, false),
            (0o775, true),
            (0o1777, false),
        ] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            drop(StateDir::open(dir.path()).unwrap());
            let of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(of(dir.path()), mode);
            assert_eq!(of(&dir.path().join("run")), 0o700);
            assert_eq!(
                others_may_replace_rooms(dir.path()),
                open_to_others,
                "{mode:o}"
            );
        }
    }

    #[test]
    fn sockets_of_a_directory_with_a_long_path_are_elsewhere_and_leave_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("x".repeat(120));
        let state = StateDir::open(&root).unwrap();
        let socket = state.control_socket();
        assert!(socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX);
        net::bind_unix(&socket).unwrap();
        let sockets = socket.parent().unwrap().to_owned();
        drop(state);
        assert!(!sockets.exists());
        // One that was killed leaves it to the next.
        let state = StateDir::open(&root).unwrap();
        let sockets = state.control_socket().parent().unwrap().to_owned();
        std::mem::forget(state);
        // The lock is still held by the forgotten one, so only this part of a start is tried.
        remove_elsewhere(&root.join("run"));
        assert!(!sockets.exists());
    }

    #[test]
    fn what_is_no_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        let text = StateDir::open(&file).unwrap_err().to_string();
        assert!(text.contains(&file.display().to_string()), "{text}");
    }
}
