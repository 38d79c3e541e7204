//! The few operations whose order decides what a crash leaves, behind a narrow door: a test sees
//! the order, and lets each of them fail.
//!
//! What it does not do: read, or choose the order; `durable` does.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// A place for files.
pub(super) trait Disk {
    /// Makes a file of these bytes, in the place of one that may be there. It is not on the disk
    /// yet.
    ///
    /// # Errors
    /// What the file system said, as for all of these.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<File>;

    /// Waits until what was written to `file`, which lies at `path`, is on the disk. By the
    /// handle that wrote it: an error of the disk is reported to those who had it open.
    fn sync(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Gives a file another name in the same directory, in the place of one that may be there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory that only this user may enter.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Waits until the names in a directory are on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileSystem;

impl Disk for FileSystem {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            // Environment variables of functions are nobody else's business.
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn sync(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

#[cfg(test)]
pub(super) mod fake {
    use super::*;
    use std::cell::RefCell;

    /// The file system, with a record of what was done, and one step that fails.
    #[derive(Debug, Default)]
    pub(in super::super) struct Watched {
        pub(in super::super) steps: RefCell<Vec<String>>,
        /// Fails every step that begins so.
        pub(in super::super) failing: Option<&'static str>,
    }

    impl Watched {
        fn step(&self, what: &str, paths: &[&Path]) -> io::Result<()> {
            let name = |path: &&Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
            let names: Vec<_> = paths.iter().filter_map(name).collect();
            let step = format!("{what} {}", names.join(" "));
            if self
                .failing
                .is_some_and(|failing| step.starts_with(failing))
            {
                return Err(io::Error::from_raw_os_error(nix::libc::EIO));
            }
            self.steps.borrow_mut().push(step);
            Ok(())
        }
    }

    impl Disk for Watched {
        fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<File> {
            self.step("create", &[path])?;
            FileSystem.create(path, bytes)
        }

        fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
            self.step("sync", &[path])?;
            FileSystem.sync(file, path)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.step("rename", &[from, to])?;
            FileSystem.rename(from, to)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            self.step("remove", &[path])?;
            FileSystem.remove(path)
        }

        fn make_dir(&self, path: &Path) -> io::Result<()> {
            self.step("make-dir", &[path])?;
            FileSystem.make_dir(path)
        }

        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            self.step("sync-dir", &[path])?;
            FileSystem.sync_dir(path)
        }
    }
}
