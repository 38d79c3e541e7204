//! A group of processes under limits.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::folder::{Folder, Version};
use super::{Enforcer, Limits};

/// The period over which CPU time is counted, microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;
/// For shares under 1 %, since the kernel wants a quota of at least 1 ms.
const CPU_PERIOD_LONG_US: u64 = 1_000_000;
const CPU_QUOTA_US_MIN: u64 = 1_000;

/// A group of processes under limits: a folder in each cgroup tree that it needs.
///
/// A process is put into it by [`Confined::add`] after it was started (posix_spawn cannot start
/// it inside), and what it starts afterwards is in it too. Dropping the group ends nothing; the
/// folders are removed as soon as they are empty.
#[derive(Debug)]
pub struct Confined {
    folders: Vec<Folder>,
    rlimit_memory_bytes: Option<u64>,
    warnings: Vec<String>,
    remains: Arc<Mutex<Vec<Folder>>>,
}

impl Confined {
    pub(super) fn make(enforcer: &Enforcer, name: &str, limits: Limits) -> io::Result<Self> {
        let mut group = Self {
            folders: Vec::new(),
            rlimit_memory_bytes: None,
            warnings: Vec::new(),
            remains: Arc::clone(&enforcer.remains),
        };
        if let Some(fence) = &enforcer.fence {
            match group.folder(fence, name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                Err(error) => group
                    .warnings
                    .push(format!("no cgroup could be made: {error}")),
                Ok(_) => {}
            }
        }
        if let Some(bytes) = limits.memory_bytes {
            let limited = group.limit(&enforcer.memory, name, |folder| limit_memory(folder, bytes));
            if let Err(why) = limited {
                group.rlimit_memory_bytes = Some(bytes);
                group.warnings.push(format!(
                    "limits.memory is enforced for each process (RLIMIT_AS), not for the replica as a whole: {why}"
                ));
            }
        }
        if let Some(millicores) = limits.cpu_millicores {
            let limited = group.limit(&enforcer.cpu, name, |folder| limit_cpu(folder, millicores));
            if let Err(why) = limited {
                group
                    .warnings
                    .push(format!("limits.cpu is not enforced: {why}"));
            }
        }
        Ok(group)
    }

    /// Makes the folder `name` below `base`, unless this group has made it already: several
    /// controllers may share one tree.
    fn folder(&mut self, base: &Folder, name: &str) -> io::Result<Folder> {
        let path = base.path.join(name);
        if let Some(made) = self.folders.iter().find(|folder| folder.path == path) {
            return Ok(made.clone());
        }
        let made = base.make(name)?;
        self.folders.push(made.clone());
        Ok(made)
    }

    fn limit(
        &mut self,
        base: &Result<Folder, String>,
        name: &str,
        set: impl FnOnce(&Folder) -> io::Result<()>,
    ) -> Result<(), String> {
        let base = base.as_ref().map_err(Clone::clone)?;
        let folder = self.folder(base, name).map_err(|error| error.to_string())?;
        set(&folder).map_err(|error| format!("{}: {error}", folder.path.display()))
    }

    /// Puts a process into the group. It should be done before the process starts others.
    ///
    /// # Errors
    /// What the system says: `ESRCH` if the process has ended.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        for folder in &self.folders {
            folder.add(pid)?;
        }
        if let Some(bytes) = self.rlimit_memory_bytes {
            let limit = Rlimit {
                current: Some(bytes),
                maximum: Some(bytes),
            };
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
            prlimit(Some(pid), Resource::As, limit)?;
        }
        Ok(())
    }

    /// Ends every process of the group by SIGKILL. Without any cgroup it ends none: use the process
    /// group or session then. Whether there is a cgroup, [`Confined::is_fenced`] says.
    ///
    /// # Errors
    /// What the system says.
    pub fn kill_all(&self) -> io::Result<()> {
        // Every member is in every folder, so one of them is enough; the first is the best one.
        self.folders.first().map_or(Ok(()), Folder::kill_all)
    }

    /// Whether a cgroup holds the members together, so that [`Confined::kill_all`] misses none.
    pub fn is_fenced(&self) -> bool {
        !self.folders.is_empty()
    }

    /// The members' process ids, if a cgroup holds them.
    ///
    /// # Errors
    /// What the system says.
    pub fn members(&self) -> io::Result<Vec<i32>> {
        self.folders
            .first()
            .map_or_else(|| Ok(Vec::new()), Folder::members)
    }

    /// One sentence for each limit that is not enforced as it was asked for.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let mut remains = self.remains.lock().unwrap_or_else(PoisonError::into_inner);
        remains.extend(
            self.folders
                .drain(..)
                .filter(|folder| folder.remove().is_err()),
        );
    }
}

fn limit_memory(folder: &Folder, bytes: u64) -> io::Result<()> {
    let bytes = bytes.to_string();
    let (limit, swap, swap_limit) = match folder.version {
        // The limit is on memory and swap together, or it would only slow a greedy program down.
        Version::Two => ("memory.max", "memory.swap.max", "0"),
        Version::One => (
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            bytes.as_str(),
        ),
    };
    folder.write(limit, &bytes)?;
    // Kernels without swap accounting lack this file.
    match folder.write(swap, swap_limit) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn limit_cpu(folder: &Folder, millicores: u64) -> io::Result<()> {
    let (period, quota) = cpu_quota(millicores);
    match folder.version {
        Version::Two => folder.write("cpu.max", &format!("{quota} {period}")),
        Version::One => {
            folder.write("cpu.cfs_period_us", &period.to_string())?;
            folder.write("cpu.cfs_quota_us", &quota.to_string())
        }
    }
}

/// Period and quota in microseconds.
fn cpu_quota(millicores: u64) -> (u64, u64) {
    let of = |period: u64| millicores.saturating_mul(period) / 1000;
    if of(CPU_PERIOD_US) >= CPU_QUOTA_US_MIN {
        (CPU_PERIOD_US, of(CPU_PERIOD_US))
    } else {
        (
            CPU_PERIOD_LONG_US,
            of(CPU_PERIOD_LONG_US).max(CPU_QUOTA_US_MIN),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_cpu_become_quotas_the_kernel_takes() {
        let cases = [
            (1, (1_000_000, 1_000)),
            (9, (1_000_000, 9_000)),
            (10, (100_000, 1_000)),
            (500, (100_000, 50_000)),
            (2500, (100_000, 250_000)),
        ];
        for (millicores, want) in cases {
            assert_eq!(cpu_quota(millicores), want, "{millicores}m");
        }
    }

    #[test]
    fn without_cgroups_says_what_is_not_enforced() {
        let enforcer = Enforcer::without_cgroups("nothing is mounted");
        let limits = Limits {
            memory_bytes: Some(1 << 30),
            cpu_millicores: Some(100),
        };
        let group = enforcer.group("x", limits).unwrap();
        assert!(!group.is_fenced());
        let [memory, cpu] = group.warnings() else {
            panic!("{:?}", group.warnings())
        };
        assert!(
            memory.starts_with("limits.memory is enforced for each process"),
            "{memory}"
        );
        assert_eq!(cpu, "limits.cpu is not enforced: nothing is mounted");
        let none = enforcer.group("y", Limits::default()).unwrap();
        assert_eq!(none.warnings(), [] as [String; 0]);
    }
}
