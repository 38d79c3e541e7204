//! What this machine lets us enforce, found out once at start.
//!
//! For each controller (memory, cpu) there is a folder of our own in some cgroup tree, or a reason
//! why not. Version 2 is preferred where it has the controller, since machines that mount both give
//! each controller to one of them. A third folder serves only to end whole groups.
//!
//! The folder is called `ringway-PID.START.NAMESPACE.N`: with the process's start time and pid
//! namespace in its name, the next start can tell the folders of dead gateways (removed, and what
//! runs in them ended) from those of living ones.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::folder::{Folder, Version, sub_folders};
use super::hierarchy::{self, Place};
use super::{Confined, Limits};

const PREFIX: &str = "ringway-";

/// How long dropping an enforcer waits for its folders to become free.
const REMOVE_WAIT_MAX: Duration = Duration::from_millis(100);

/// Makes confined groups in the best way this machine allows.
///
/// Dropping it removes its folders, as far as no process is in them.
#[derive(Debug)]
pub struct Enforcer {
    pub(super) memory: Result<Folder, String>,
    pub(super) cpu: Result<Folder, String>,
    /// Only to end all members at once; none if there is no cgroup at all.
    pub(super) fence: Option<Folder>,
    /// Folders that could not be removed when their group was dropped, to be tried again.
    pub(super) remains: Arc<Mutex<Vec<Folder>>>,
}

impl Enforcer {
    /// Looks what can be enforced here, makes the folders, and clears away what dead gateways left.
    ///
    /// In a version 2 tree this may switch controllers on for the folders below this process's own
    /// (`cgroup.subtree_control`), and if this process is alone in its folder, as in a systemd
    /// service with `Delegate=yes`, move it into a folder below, as the kernel requires.
    pub fn detect() -> Self {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let name = own_name();
        let mut remains = Vec::new();
        let unified = match hierarchy::version_2(&mountinfo, &cgroup) {
            Some(place) => Unified::prepare(&place, &name, &mut remains),
            None => Unified::absent("cgroup version 2 is not mounted"),
        };
        let mut controller = |controller: &str| {
            if unified
                .controllers
                .iter()
                .any(|enabled| enabled == controller)
            {
                return unified.folder.clone();
            }
            match hierarchy::version_1(&mountinfo, &cgroup, controller) {
                Some(place) => make_base(Version::One, &place.own, &name, &mut remains),
                None => Err(unified.why_not(controller)),
            }
        };
        let (memory, cpu) = (controller("memory"), controller("cpu"));
        let fence = unified
            .folder
            .clone()
            .or_else(|_| memory.clone())
            .or_else(|_| cpu.clone())
            .ok();
        Self {
            memory,
            cpu,
            fence,
            remains: Arc::new(Mutex::new(remains)),
        }
    }

    /// An enforcer that uses no cgroup, for `why`.
    pub fn without_cgroups(why: &str) -> Self {
        Self {
            memory: Err(why.to_owned()),
            cpu: Err(why.to_owned()),
            fence: None,
            remains: Arc::default(),
        }
    }

    /// One line for the log: what is enforced, and how.
    pub fn describe(&self) -> String {
        let how = |controller: &Result<Folder, String>, else_how: &str| match controller {
            Ok(Folder {
                version: Version::Two,
                ..
            }) => "cgroup v2".to_owned(),
            Ok(Folder {
                version: Version::One,
                ..
            }) => "cgroup v1".to_owned(),
            Err(why) => format!("{else_how} ({why})"),
        };
        let memory = how(&self.memory, "per process by rlimit");
        format!(
            "memory limits: {memory}; cpu limits: {}",
            how(&self.cpu, "not enforced")
        )
    }

    /// Makes a group `name` (ASCII letters, digits, `-`, `_` and `.`, at most 200) with `limits`.
    /// Limits that cannot be enforced are warnings of the group, not errors.
    ///
    /// # Errors
    /// `InvalidInput` for a bad name, `AlreadyExists` if there is a group of that name.
    pub fn group(&self, name: &str, limits: Limits) -> io::Result<Confined> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.bytes().all(plain)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{name}` cannot be the name of a group of processes"),
            ));
        }
        self.remains
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|folder| folder.remove().is_err());
        // Version 1 files its interface in the same folder, so a group must not be named like one.
        Confined::make(self, &format!("group-{name}"), limits)
    }
}

impl Drop for Enforcer {
    fn drop(&mut self) {
        let remains =
            std::mem::take(&mut *self.remains.lock().unwrap_or_else(PoisonError::into_inner));
        let bases = [
            self.memory.as_ref().ok(),
            self.cpu.as_ref().ok(),
            self.fence.as_ref(),
        ];
        // Processes that have just been ended keep their folder busy for a moment. What is busy
        // for longer is cleared away by the next start.
        let deadline = Instant::now() + REMOVE_WAIT_MAX;
        for folder in remains.iter().chain(bases.into_iter().flatten()) {
            while folder.remove().is_err() && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    }
}

/// Our folder in the version 2 tree and the controllers that work below it.
struct Unified {
    folder: Result<Folder, String>,
    controllers: Vec<String>,
}

impl Unified {
    fn absent(why: &str) -> Self {
        Self {
            folder: Err(why.to_owned()),
            controllers: Vec::new(),
        }
    }

    fn why_not(&self, controller: &str) -> String {
        match &self.folder {
            Err(why) => why.clone(),
            Ok(folder) => format!(
                "the cgroup controller `{controller}` is not enabled for {}; start the gateway as a systemd service with Delegate=yes, or by `systemd-run --user --scope -p Delegate=yes`, or as root",
                folder.path.display()
            ),
        }
    }

    /// Tries the process's own folder, then the one above it (whose controllers must be on already
    /// for our own folder to have any), and keeps the one with more controllers.
    fn prepare(place: &Place, name: &str, remains: &mut Vec<Folder>) -> Self {
        let mut best = Self::try_below(&place.own, name, remains);
        let above = place
            .own
            .parent()
            .filter(|above| above.starts_with(&place.mount));
        if let Some(above) = above
            && best.controllers.len() < 2
        {
            let other = Self::try_below(above, name, remains);
            let (keep, leave) = if other.controllers.len() > best.controllers.len() {
                (other, best)
            } else {
                (best, other)
            };
            if let Ok(unused) = leave.folder {
                unused.remove().unwrap_or(());
            }
            best = keep;
        }
        best
    }

    fn try_below(dir: &Path, name: &str, remains: &mut Vec<Folder>) -> Self {
        // Moving a process needs write permission here, cgroup-v2.rst, "Delegation Containment".
        if rustix::fs::access(dir.join("cgroup.procs"), rustix::fs::Access::WRITE_OK).is_err() {
            return Self::absent(&format!("{} may not be written", dir.display()));
        }
        let parent = Folder {
            version: Version::Two,
            path: dir.to_owned(),
        };
        enable_controllers(&parent, name);
        let folder = make_base(Version::Two, dir, name, remains);
        let mut controllers = Vec::new();
        if let Ok(folder) = &folder {
            enable_controllers(folder, name);
            let enabled = folder.read("cgroup.subtree_control").unwrap_or_default();
            controllers.extend(enabled.split_ascii_whitespace().map(str::to_owned));
            controllers.retain(|controller| controller == "memory" || controller == "cpu");
        }
        Self {
            folder,
            controllers,
        }
    }
}

/// Switches memory and cpu on for the folders below `parent`, as far as it goes.
fn enable_controllers(parent: &Folder, name: &str) {
    let available = parent.read("cgroup.controllers").unwrap_or_default();
    let enabled = parent.read("cgroup.subtree_control").unwrap_or_default();
    let has =
        |list: &str, controller: &str| list.split_ascii_whitespace().any(|name| name == controller);
    for controller in ["memory", "cpu"] {
        if !has(&available, controller) || has(&enabled, controller) {
            continue;
        }
        let enable = || parent.write("cgroup.subtree_control", &format!("+{controller}"));
        // A folder that hands controllers on may hold no process itself (cgroup-v2.rst, "No
        // Internal Process Constraint"). If the only one is this process, it makes room.
        if enable().is_err() && is_alone_in(parent) {
            let moved = parent
                .make(&format!("{name}.self"))
                .and_then(|own| own.add(own_pid()));
            if moved.is_ok() {
                // Whether it worked is read back from the file by the caller.
                enable().unwrap_or(());
            }
        }
    }
}

fn is_alone_in(folder: &Folder) -> bool {
    folder.members().is_ok_and(|members| members == [own_pid()])
}

fn make_base(
    version: Version,
    dir: &Path,
    name: &str,
    remains: &mut Vec<Folder>,
) -> Result<Folder, String> {
    let parent = Folder {
        version,
        path: dir.to_owned(),
    };
    remains.extend(clear_leftovers(&parent));
    match parent.make(name) {
        // Several controllers may share one tree.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Folder {
            version,
            path: dir.join(name),
        }),
        made => {
            made.map_err(|error| format!("no folder can be made in {}: {error}", dir.display()))
        }
    }
}

/// Ends and removes what gateways left that were killed; returns the folders that are still busy
/// because a process in them takes a while to end.
fn clear_leftovers(parent: &Folder) -> Vec<Folder> {
    let is_dead = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(is_of_dead_process)
    };
    sub_folders(&parent.path)
        .filter(is_dead)
        .map(|path| Folder {
            version: parent.version,
            path,
        })
        .filter(|folder| {
            let ended = folder.kill_families();
            ended.and_then(|()| folder.remove()).is_err()
        })
        .collect()
}

fn own_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let pid = own_pid();
    let started = crate::start_time(pid).unwrap_or(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{pid}.{started}.{}.{count}", pid_namespace())
}

/// Whether a folder's name says that it belongs to a process of our pid namespace that is gone.
fn is_of_dead_process(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let mut fields = rest.split('.').map(|field| field.parse::<u64>().ok());
    let (Some(Some(pid)), Some(Some(started)), Some(Some(namespace))) =
        (fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    let Ok(pid) = i32::try_from(pid) else {
        return false;
    };
    // One that has ended and was not reaped yet (its parent may be slow) is as dead.
    let lives =
        crate::procfs::stat(pid).is_some_and(|stat| stat.started == started && !stat.is_dead());
    namespace == pid_namespace() && !lives
}

fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_folders_of_the_dead_from_all_others() {
        let own = own_name();
        assert!(!is_of_dead_process(&own));
        let namespace = pid_namespace();
        let started = crate::start_time(own_pid()).unwrap();
        let cases = [
            (
                format!("ringway-{}.{}.{namespace}.0", own_pid(), started + 1),
                true,
            ),
            (format!("ringway-{}.5.{namespace}.0.self", i32::MAX), true),
            (format!("ringway-{}.5.{}.0", i32::MAX, namespace + 1), false),
            ("ringway-12".to_owned(), false),
            ("ringway-x.y.z.0".to_owned(), false),
            ("system.slice".to_owned(), false),
        ];
        for (name, dead) in cases {
            assert_eq!(is_of_dead_process(&name), dead, "{name}");
        }
    }

    #[test]
    fn a_process_that_ended_and_was_not_reaped_is_dead() {
        let mut child = crate::Command::new("sleep").arg("1000").spawn().unwrap();
        let started = crate::start_time(child.pid()).unwrap();
        let name = format!("{PREFIX}{}.{started}.{}.0", child.pid(), pid_namespace());
        assert!(!is_of_dead_process(&name));
        child.signal(crate::Signal::KILL).unwrap();
        while !child.has_ended().unwrap() {
            std::thread::yield_now();
        }
        assert!(is_of_dead_process(&name));
        child.wait().unwrap();
    }

    #[test]
    fn refuses_names_that_could_leave_the_folder() {
        let enforcer = Enforcer::without_cgroups("this is a test");
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            ".hidden",
            "a b",
            "ä",
            &"x".repeat(201),
        ] {
            let error = enforcer.group(name, Limits::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
        }
        enforcer.group("name-1.prod_x", Limits::default()).unwrap();
    }
}
