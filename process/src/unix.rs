//! The unsafe room: `posix_spawn(3)` and its two option objects, wrapped so that outside nothing
//! can be used after it is freed or without being initialized.
//!
//! Why posix_spawn: glibc and musl make it `clone(CLONE_VM | CLONE_VFORK)`, which copies no page
//! tables; and what runs between clone and exec is the C library's code, which is written to be
//! safe there.

use std::ffi::{CStr, c_char};
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;

use rustix::process::Pid;

use crate::stdio::Group;

/// `posix_spawnattr_t`: signals reset, and the process group.
pub(crate) struct Attributes {
    raw: libc::posix_spawnattr_t,
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Attributes").finish_non_exhaustive()
    }
}

impl Attributes {
    /// Attributes that unblock every signal, give every signal its default action, and place the
    /// child in `group`.
    pub(crate) fn new(group: Group) -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `raw` is valid for writes; the call initializes it.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialized by the successful call above.
        let raw = unsafe { raw.assume_init() };
        let mut attributes = Self { raw };
        let none = signal_set(libc::sigemptyset);
        let all = signal_set(libc::sigfillset);
        let mut flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        match group {
            Group::Inherit => {}
            // The group number of a fresh attribute object is 0: the child's own pid.
            Group::NewGroup => flags |= libc::POSIX_SPAWN_SETPGROUP,
            Group::NewSession => flags |= i32::from(libc::POSIX_SPAWN_SETSID),
        }
        // SAFETY: both point to initialized objects that outlive the call.
        check(unsafe {
            libc::posix_spawnattr_setsigmask(&raw mut attributes.raw, &raw const none)
        })?;
        // SAFETY: as above.
        check(unsafe {
            libc::posix_spawnattr_setsigdefault(&raw mut attributes.raw, &raw const all)
        })?;
        let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
        // SAFETY: as above.
        check(unsafe { libc::posix_spawnattr_setflags(&raw mut attributes.raw, flags) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialized in `new`, destroyed only here. It can only fail on a bad pointer.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.raw) };
    }
}

fn signal_set(fill: unsafe extern "C" fn(*mut libc::sigset_t) -> libc::c_int) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `set` is valid for writes; sigemptyset(3) and sigfillset(3) initialize all of it and
    // cannot fail for a valid pointer.
    unsafe { fill(set.as_mut_ptr()) };
    // SAFETY: initialized by the call above.
    unsafe { set.assume_init() }
}

/// `posix_spawn_file_actions_t`: what the child does with its descriptors, in order.
pub(crate) struct FileActions {
    raw: libc::posix_spawn_file_actions_t,
}

impl FileActions {
    pub(crate) fn new() -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `raw` is valid for writes; the call initializes it.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialized by the successful call above.
        let raw = unsafe { raw.assume_init() };
        Ok(Self { raw })
    }

    /// `dup2(source, target)`.
    pub(crate) fn duplicate(&mut self, source: RawFd, target: RawFd) -> io::Result<()> {
        // SAFETY: `raw` is initialized.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.raw, source, target) })
    }

    /// Opens `/dev/null` as `target`: to be read as 0, else to be written.
    pub(crate) fn open_null(&mut self, target: RawFd) -> io::Result<()> {
        let flags = if target == 0 {
            libc::O_RDONLY
        } else {
            libc::O_WRONLY
        };
        let null = c"/dev/null".as_ptr();
        // SAFETY: `raw` is initialized, and the path is a constant that the C library copies.
        check(unsafe {
            libc::posix_spawn_file_actions_addopen(&raw mut self.raw, target, null, flags, 0)
        })
    }

    /// `close(fd)`; it is no error if it is not open.
    pub(crate) fn close(&mut self, fd: RawFd) -> io::Result<()> {
        // SAFETY: `raw` is initialized.
        check(unsafe { libc::posix_spawn_file_actions_addclose(&raw mut self.raw, fd) })
    }

    /// Closes every descriptor from `first` on: a safety net below close-on-exec, for descriptors
    /// that a library opened without it.
    #[cfg(target_env = "gnu")]
    pub(crate) fn close_from(&mut self, first: RawFd) -> io::Result<()> {
        // SAFETY: `raw` is initialized.
        check(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(&raw mut self.raw, first) })
    }

    /// musl has no such action. The descriptors that are open now are closed one by one.
    #[cfg(not(target_env = "gnu"))]
    pub(crate) fn close_from(&mut self, first: RawFd) -> io::Result<()> {
        self.close_each_from(first)
    }

    /// Closes every descriptor from `first` on that is open in this process now. One that another
    /// thread opens before the start, without close-on-exec, is missed; everything in this
    /// workspace opens with close-on-exec, so that leaves foreign code in the parent.
    #[cfg(any(test, not(target_env = "gnu")))]
    fn close_each_from(&mut self, first: RawFd) -> io::Result<()> {
        // Without /proc this net is missing, which is no reason to start nothing.
        for entry in std::fs::read_dir("/proc/self/fd").into_iter().flatten() {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            // The one that reads the folder is among them; it is closed by the time of the start,
            // and closing what is not open is no error here.
            if let Some(fd) = number.filter(|fd| *fd >= first) {
                self.close(fd)?;
            }
        }
        Ok(())
    }

    /// `chdir(dir)`.
    pub(crate) fn change_dir(&mut self, dir: &CStr) -> io::Result<()> {
        let dir = dir.as_ptr();
        // SAFETY: `raw` is initialized, `dir` is NUL-terminated, and the C library copies it.
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut self.raw, dir) })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialized in `new`, destroyed only here. It can only fail on a bad pointer.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.raw) };
    }
}

/// A NULL-terminated list of C strings, as `argv` and `envp` are. It borrows the strings.
pub(crate) struct Pointers<'s> {
    raw: Vec<*mut c_char>,
    strings: PhantomData<&'s CStr>,
}

impl<'s> Pointers<'s> {
    pub(crate) fn new(strings: impl Iterator<Item = &'s CStr>) -> Self {
        let raw = strings
            .map(|text| text.as_ptr().cast_mut())
            .chain([ptr::null_mut()])
            .collect();
        Self {
            raw,
            strings: PhantomData,
        }
    }
}

/// `posix_spawn(3)`: returns the process id, or the error of whichever step failed, exec included.
pub(crate) fn spawn(
    path: &CStr,
    actions: &FileActions,
    attributes: &Attributes,
    argv: &Pointers<'_>,
    envp: &Pointers<'_>,
) -> io::Result<Pid> {
    let mut pid: libc::pid_t = 0;
    let (path, argv, envp) = (path.as_ptr(), argv.raw.as_ptr(), envp.raw.as_ptr());
    // SAFETY: `path` is NUL-terminated; both option objects are initialized; `argv` and `envp` are
    // NULL-terminated arrays of NUL-terminated strings which their `Pointers` keep borrowed; the
    // call does not write through them (their type is historical, POSIX exec(3), Rationale).
    let code = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path,
            &raw const actions.raw,
            &raw const attributes.raw,
            argv,
            envp,
        )
    };
    check(code)?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("posix_spawn gave no process id"))
}

/// These functions return an error number instead of setting `errno`.
fn check(code: libc::c_int) -> io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsRawFd, OwnedFd};

    /// Goal: where the C library cannot close all descriptors at once, none is inherited either.
    /// Steps: make a descriptor that would be inherited; list the descriptors of a child that is
    /// started with each closed by itself; it has the standard three, and the folder that it reads.
    #[test]
    fn descriptors_that_would_be_inherited_are_closed_one_by_one() {
        let (inherited, _end) = crate::pipe().unwrap();
        rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
        let (read, write): (OwnedFd, OwnedFd) = crate::pipe().unwrap();
        let mut actions = FileActions::new().unwrap();
        actions.open_null(0).unwrap();
        actions.duplicate(write.as_raw_fd(), 1).unwrap();
        actions.duplicate(1, 2).unwrap();
        actions.close_each_from(3).unwrap();
        let attributes = Attributes::new(Group::Inherit).unwrap();
        let argv = Pointers::new([c"ls", c"/proc/self/fd"].into_iter());
        let envp = Pointers::new(std::iter::empty());
        let pid = spawn(c"/bin/ls", &actions, &attributes, &argv, &envp).unwrap();
        drop(write);
        let mut list = String::new();
        File::from(read).read_to_string(&mut list).unwrap();
        assert_eq!(list, "0\n1\n2\n3\n");
        let options = rustix::process::WaitOptions::empty();
        rustix::process::waitpid(Some(pid), options).unwrap();
    }
}
