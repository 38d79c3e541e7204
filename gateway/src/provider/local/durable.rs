//! One value in one file, so that after a crash the old one or the new one is there, whole.
//!
//! Written beside its place, fsynced, renamed over it, and the directory fsynced: the order that
//! rename(2) and fsync(2) ask for. The first line carries length and checksum of the rest, so
//! that a file which a file system without that order has torn is never read as good:
//!
//! ```text
//! {"format":1,"bytes":27,"fnv1a64":"8a3f52c1d4e6b790"}
//! {"service":"wc","image":""}
//! ```
//!
//! All of it blocks for an fsync (milliseconds on a disk), so the control thread calls it through
//! `spawn_blocking`: another function's health must not wait for this one's disk.
//!
//! What it does not do: know what the value is, or which name it has.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::disk::{Disk, FileSystem};

/// The ending of a value's file.
const ENDING: &str = ".json";
/// The ending of a file that is being written; what a crash leaves of it is removed at start.
const WRITING: &str = ".writing";
/// The ending of a file that could not be read and was moved aside for a person to look at.
pub(crate) const BAD: &str = ".bad";

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    bytes: usize,
    fnv1a64: String,
}

const FORMAT: u32 = 1;

/// A file that holds no whole value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is torn or was changed: {0}")]
    Torn(&'static str),
    #[error("it was written by another version (format {0})")]
    Format(u32),
    #[error("its content is not what it should be: {0}")]
    Content(serde_json::Error),
}

/// Where the value `name` lies in `dir`. The name must be one of a function or namespace.
pub(crate) fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}{ENDING}"))
}

/// Writes a value; when this returns it is on the disk.
///
/// # Errors
/// What the file system said. The old value is still there then, but for the last step: if the
/// directory cannot be fsynced, the new value is in its place and a restart may find either. The
/// error says so; writing or removing it again settles it.
pub(crate) fn write(dir: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    write_on(&FileSystem, dir, name, value)
}

fn write_on(disk: &impl Disk, dir: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let bytes = encode(value)?;
    let writing = dir.join(format!("{name}{WRITING}"));
    let placed = disk
        .create(&writing, &bytes)
        .and_then(|file| disk.sync(&file, &writing))
        .and_then(|()| disk.rename(&writing, &path(dir, name)));
    if placed.is_err() {
        // It may not even exist; the first error is the one that matters.
        disk.remove(&writing).ok();
    }
    placed?;
    disk.sync_dir(dir).map_err(undecided)
}

/// An error of the step after which the change can be seen, but may not outlive a crash.
fn undecided(error: io::Error) -> io::Error {
    let kind = error.kind();
    let why = "the change was made but may not be on the disk, so after a restart it may be in force or not; ask again";
    io::Error::new(kind, format!("{error} ({why})"))
}

/// Removes a value; when this returns it will not come back.
///
/// # Errors
/// What the file system said; as for [`write`], after the last step a restart may find either.
/// That it is not there is no error.
pub(crate) fn remove(dir: &Path, name: &str) -> io::Result<()> {
    remove_on(&FileSystem, dir, name)
}

fn remove_on(disk: &impl Disk, dir: &Path, name: &str) -> io::Result<()> {
    match disk.remove(&path(dir, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => disk.sync_dir(dir).map_err(undecided),
    }
}

/// Makes a directory that only this user may enter, durably, unless it is there.
///
/// # Errors
/// What the file system said.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    make_dir_on(&FileSystem, dir)
}

/// As [`make_dir`], with all the directories above that are missing.
///
/// # Errors
/// What the file system said.
pub(crate) fn make_dirs(dir: &Path) -> io::Result<()> {
    make_dirs_on(&FileSystem, dir)
}

fn make_dirs_on(disk: &impl Disk, dir: &Path) -> io::Result<()> {
    let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let missing: Vec<_> = dir.ancestors().take_while(is_missing).collect();
    missing
        .iter()
        .rev()
        .try_for_each(|dir| make_dir_on(disk, dir))
}

/// Makes sure of the names in a directory, which a run that crashed may have left uncertain.
///
/// # Errors
/// What the file system said.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    FileSystem.sync_dir(dir)
}

fn make_dir_on(disk: &impl Disk, dir: &Path) -> io::Result<()> {
    match disk.make_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => dir.parent().map_or(Ok(()), |parent| disk.sync_dir(parent)),
    }
}

/// Reads every value in `dir`, by name. What is half written is removed; what cannot be read is
/// reported, moved aside and passed over, so that one bad file does not keep the rest away.
///
/// # Errors
/// Only when the directory itself cannot be read.
pub(crate) fn read_all<T: DeserializeOwned>(dir: &Path) -> io::Result<Vec<(String, T)>> {
    let mut values = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if file.ends_with(WRITING) {
            fs::remove_file(&path)?;
        }
        let Some(name) = file.strip_suffix(ENDING) else {
            continue;
        };
        match read(&path) {
            Ok(value) => values.push((name.to_owned(), value)),
            Err(error) => {
                let aside = dir.join(format!("{name}{BAD}"));
                tracing::error!(
                    file = %path.display(),
                    moved_to = %aside.display(),
                    %error,
                    "a stored file is no good and was moved aside; the rest is read"
                );
                fs::rename(&path, &aside)?;
            }
        }
    }
    values.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(values)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ReadError> {
    decode(&fs::read(path)?)
}

fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut body = serde_json::to_vec(value)?;
    body.push(b'\n');
    let header = Header {
        format: FORMAT,
        bytes: body.len(),
        fnv1a64: format!("{:016x}", fnv1a64(&body)),
    };
    let mut bytes = serde_json::to_vec(&header)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ReadError> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(ReadError::Torn("the first line has no end"))?;
    let header: Header = serde_json::from_slice(&bytes[..end])
        .map_err(|_no_header| ReadError::Torn("the first line is not length and checksum"))?;
    if header.format != FORMAT {
        return Err(ReadError::Format(header.format));
    }
    let body = &bytes[end + 1..];
    if body.len() != header.bytes {
        return Err(ReadError::Torn(
            "its length is not the one in the first line",
        ));
    }
    if header.fnv1a64 != format!("{:016x}", fnv1a64(body)) {
        return Err(ReadError::Torn(
            "its checksum is not the one in the first line",
        ));
    }
    serde_json::from_slice(body).map_err(ReadError::Content)
}

/// FNV-1a with 64 bits: enough to tell a torn file, and ten lines. It is no protection against
/// somebody who can write here; that one could as well compute any other sum.
fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
