//! The folder that is served: files in it are opened, and nothing outside of it.
//!
//! The kernel itself keeps a name within the folder (`RESOLVE_BENEATH`, openat2(2)), symbolic links
//! included: those that stay inside lead on, others lead nowhere. Where it has no openat2 (before
//! Linux 5.6, or hidden by a seccomp profile), a name is walked link by link of its path, and no
//! symbolic link is followed at all.
//!
//! The folder is looked up at each request, which costs a microsecond: one that is replaced as a
//! whole, as when a link is switched to the next version, needs no restart.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// For a folder on the way to a file.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// For a file. A pipe or a device must not block, nor become our terminal.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// How often a name is looked up that a rename gets in the way of, openat2(2) under EAGAIN.
const TRIES_MAX: u32 = 8;

/// What is at a name.
#[derive(Debug)]
pub(super) enum Found {
    /// A regular file.
    File(File, Metadata),
    /// A folder.
    Folder,
    /// Something that cannot be sent, or nothing.
    Nothing,
}

/// What is in the way.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The folder itself cannot be opened.
    NoFolder(io::Error),
    /// What is at the name cannot be opened, or it cannot be known what it is.
    NotOpened(io::Error),
}

/// Opens `name`, whose segments are neither empty nor `.` nor `..`, in the folder at `path`.
///
/// # Errors
/// [`Trouble`], but not for what is [`Found::Nothing`].
pub(super) fn open(path: &Path, name: &[u8]) -> Result<Found, Trouble> {
    let folder = folder(path).map_err(Trouble::NoFolder)?;
    let opened = match beneath(&folder, name) {
        Err(Errno::NOSYS | Errno::PERM) => walk(folder, name),
        opened => opened,
    };
    let file = match opened {
        Ok(fd) => File::from(fd),
        Err(error) if is_nothing(error) => return Ok(Found::Nothing),
        Err(error) => return Err(Trouble::NotOpened(error.into())),
    };
    let metadata = file.metadata().map_err(Trouble::NotOpened)?;
    Ok(if metadata.is_dir() {
        Found::Folder
    } else if metadata.is_file() {
        Found::File(file, metadata)
    } else {
        Found::Nothing
    })
}

/// Whether files could be found in the folder at `path`.
///
/// # Errors
/// Why not.
pub(super) fn check(path: &Path) -> io::Result<()> {
    // Even the folder's own dot is found only by those who may search it.
    openat(folder(path)?, c".", FOLDER, Mode::empty())?;
    Ok(())
}

fn folder(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, FOLDER, Mode::empty())?)
}

fn beneath(folder: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 1..TRIES_MAX {
        match openat2(folder, name, FILE, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
    openat2(folder, name, FILE, Mode::empty(), resolve)
}

/// The same for kernels without openat2, one segment after the other.
fn walk(folder: OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let mut at = folder;
    let mut segments = name.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let flags = match segments.peek() {
            Some(_) => FOLDER,
            None => FILE,
        };
        at = openat(&at, segment, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(at)
}

/// Errors of open(2) that say that there is no such file, or none that can be sent: a name through
/// what is no folder, one that leads outside (EXDEV), in a circle or over a link that is not
/// followed (ELOOP), one that is too long, a socket or a device without a driver (ENXIO, ENODEV).
fn is_nothing(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOENT
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::NXIO
            | Errno::NODEV
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    /// `public` with a file in it, and a secret beside it.
    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let public = dir.path().join("public");
        fs::create_dir_all(public.join("sub")).unwrap();
        fs::write(public.join("sub/file"), "yes").unwrap();
        fs::write(dir.path().join("secret"), "no").unwrap();
        symlink("sub/file", public.join("inside")).unwrap();
        symlink("../public/sub", public.join("out-and-in")).unwrap();
        symlink("../secret", public.join("outside")).unwrap();
        symlink(dir.path().join("secret"), public.join("absolute")).unwrap();
        symlink("/proc/self/cwd", public.join("magic")).unwrap();
        symlink("circle", public.join("circle")).unwrap();
        symlink("..", public.join("up")).unwrap();
        symlink("sub", public.join("down")).unwrap();
        dir
    }

    fn text(found: Found) -> Option<String> {
        let Found::File(mut file, metadata) = found else {
            return None;
        };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(metadata.len(), 3);
        Some(text)
    }

    #[test]
    fn links_that_stay_inside_lead_on_and_others_lead_nowhere() {
        let dir = tree();
        let public = dir.path().join("public");
        for name in ["sub/file", "inside", "down/file"] {
            let found = open(&public, name.as_bytes()).unwrap();
            assert_eq!(text(found).as_deref(), Some("yes"), "{name}");
        }
        for name in [
            "outside",
            "absolute",
            "out-and-in/file",
            "up/secret",
            "magic/x",
            "circle",
            "sub/file/x",
            "none",
            &"x".repeat(300),
            &"x/".repeat(3000),
        ] {
            let name = name.strip_suffix('/').unwrap_or(name);
            let found = open(&public, name.as_bytes()).unwrap();
            assert!(matches!(found, Found::Nothing), "{name}");
        }
        for name in ["sub", "down"] {
            let found = open(&public, name.as_bytes()).unwrap();
            assert!(matches!(found, Found::Folder), "{name}");
        }
    }

    #[test]
    fn without_openat2_no_link_is_followed() {
        let dir = tree();
        let public = dir.path().join("public");
        let walked = |name: &str| walk(folder(&public).unwrap(), name.as_bytes());
        let mut file = File::from(walked("sub/file").unwrap());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "yes");
        assert!(
            File::from(walked("sub").unwrap())
                .metadata()
                .unwrap()
                .is_dir()
        );
        for name in [
            "inside",
            "down/file",
            "outside",
            "absolute",
            "up/secret",
            "circle",
            "sub/file/x",
            "none",
        ] {
            let error = walked(name).unwrap_err();
            assert!(is_nothing(error), "{name}: {error}");
        }
    }

    #[test]
    fn pipes_sockets_and_devices_are_nothing_and_do_not_block() {
        let dir = tree();
        let public = dir.path().join("public");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            CWD,
            public.join("pipe"),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
        let _listener = UnixListener::bind(public.join("socket")).unwrap();
        for name in ["pipe", "socket"] {
            let found = open(&public, name.as_bytes()).unwrap();
            assert!(matches!(found, Found::Nothing), "{name}");
        }
        let found = open(Path::new("/dev"), b"null").unwrap();
        assert!(matches!(found, Found::Nothing));
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let dir = tree();
        check(&dir.path().join("public")).unwrap();
        for name in ["none", "secret"] {
            let path = dir.path().join(name);
            check(&path).unwrap_err();
            assert!(matches!(open(&path, b"x"), Err(Trouble::NoFolder(_))));
        }
    }
}
