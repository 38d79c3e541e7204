//! A program that gets less than usual: system calls that a container's seccomp profile refuses,
//! little memory that it may lock, few descriptors.
//!
//! [`Confinement`] says what is missing; [`run`] is the whole of the program `confined`, which takes
//! it from itself and then becomes the program under test. So nothing of the test's own process
//! changes, and nothing of the machine.
//!
//! What it does not do: confine for safety. It makes the conditions that a program must cope with.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::{
    sys::resource::{Resource, setrlimit},
    unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid},
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::binaries;

/// Users that exist nowhere: the kernel counts locked memory and processes by user, so each test has
/// its own.
const FIRST_USER: u32 = 20_000;
/// As many as this.
const USERS: u32 = 40_000;

/// What a program does without.
#[derive(Debug, Clone)]
pub struct Confinement {
    helper: PathBuf,
    words: Vec<String>,
    user: Option<u32>,
}

impl Confinement {
    /// Nothing yet. `helper` is the path of the program `confined`.
    #[must_use]
    pub fn new(helper: &str) -> Self {
        Self {
            helper: helper.into(),
            words: Vec::new(),
            user: None,
        }
    }

    /// io_uring_setup(2) answers with this errno, by its name.
    #[must_use]
    pub fn refusing_setup(self, errno: &str) -> Self {
        self.word(format!("setup={errno}"))
    }

    /// io_uring_register(2) answers with this errno, by its name.
    #[must_use]
    pub fn refusing_register(self, errno: &str) -> Self {
        self.word(format!("register={errno}"))
    }

    /// io_uring_enter(2) answers with this errno, by its name.
    #[must_use]
    pub fn refusing_enter(self, errno: &str) -> Self {
        self.word(format!("enter={errno}"))
    }

    /// No more than this may be locked in memory. Who is root becomes somebody else, for whom the
    /// limit counts.
    #[must_use]
    pub fn locking_at_most(self, bytes: u64) -> Self {
        self.by_somebody().word(format!("memlock={bytes}"))
    }

    /// No more than this many processes, itself included. Who is root becomes somebody else, as above.
    #[must_use]
    pub fn running_at_most(self, processes: u64) -> Self {
        self.by_somebody().word(format!("nproc={processes}"))
    }

    fn by_somebody(mut self) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if geteuid().is_root() && self.user.is_none() {
            let number = std::process::id() * 16 + NEXT.fetch_add(1, Ordering::Relaxed);
            self.user = Some(FIRST_USER + number % USERS);
        }
        self
    }

    /// No more than this many descriptors.
    #[must_use]
    pub fn opening_at_most(self, count: u64) -> Self {
        self.word(format!("nofile={count}"))
    }

    fn word(mut self, word: String) -> Self {
        self.words.push(word);
        self
    }

    /// Makes `folder` belong to whom the program runs as.
    pub(crate) fn give(&self, folder: &Path) {
        if self.user.is_some() {
            chown(folder, self.user, self.user).unwrap();
        }
    }

    /// A watchdog that is confined, with a folder that it may use and no other setting.
    #[must_use]
    pub fn watchdog(&self, folder: &Path) -> Command {
        self.give(folder);
        let mut command = self.command(binaries::ringway(), folder);
        command.arg("watchdog").env_clear();
        command.env("PATH", "/usr/bin:/bin").env("TMPDIR", folder);
        command
    }

    /// Becomes `program` when it is run. `folder` is a place that it may read.
    #[must_use]
    pub fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(&self.helper);
        command.args(&self.words);
        let Some(user) = self.user else {
            command.arg("--").arg(program);
            return command;
        };
        // Another user may not reach where it was built.
        let copy = folder.join(program.file_name().unwrap());
        if !copy.exists() {
            fs::copy(program, &copy).unwrap();
        }
        command.arg(format!("user={user}")).arg("--").arg(copy);
        command
    }
}

/// The program `confined`: `confined WHAT=VALUE… -- PROGRAM ARGUMENT…`.
///
/// # Panics
/// When it cannot be done.
#[expect(clippy::print_stderr, reason = "a program says what is wrong with it")]
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.skip(1);
    let mut user = None;
    let mut filters = Vec::new();
    for word in arguments.by_ref() {
        let word = word.into_string().unwrap();
        match word.split_once('=') {
            Some(("setup", errno)) => filters.push(filter(libc::SYS_io_uring_setup, errno)),
            Some(("register", errno)) => filters.push(filter(libc::SYS_io_uring_register, errno)),
            Some(("enter", errno)) => filters.push(filter(libc::SYS_io_uring_enter, errno)),
            Some(("memlock", bytes)) => limit(Resource::RLIMIT_MEMLOCK, bytes),
            Some(("nproc", count)) => limit(Resource::RLIMIT_NPROC, count),
            Some(("nofile", count)) => limit(Resource::RLIMIT_NOFILE, count),
            Some(("user", id)) => user = Some(id.parse().unwrap()),
            None if word == "--" => break,
            _ => panic!("confined: what is {word}?"),
        }
    }
    if let Some(id) = user {
        setgroups(&[]).unwrap();
        setgid(Gid::from_raw(id)).unwrap();
        setuid(Uid::from_raw(id)).unwrap();
    }
    for filter in &filters {
        apply_filter(filter).unwrap();
    }
    let program = arguments.next().unwrap();
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("confined: {}: {error}", program.display());
    ExitCode::FAILURE
}

fn limit(resource: Resource, value: &str) {
    let value = value.parse().unwrap();
    setrlimit(resource, value, value).unwrap();
}

/// Answers one system call with an errno and lets all others pass.
fn filter(call: i64, errno: &str) -> BpfProgram {
    let errno = match errno {
        "EPERM" => libc::EPERM,
        "ENOSYS" => libc::ENOSYS,
        "EINVAL" => libc::EINVAL,
        other => panic!("confined: which number has {other}?"),
    };
    let arch = std::env::consts::ARCH.try_into().unwrap();
    // A call without conditions always matches.
    let calls = BTreeMap::from([(call, Vec::new())]);
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, answer, arch).unwrap();
    filter.try_into().unwrap()
}
