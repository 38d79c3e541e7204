//! One cgroup folder: make, write, end everything in it, remove.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, kill_process};

use crate::Signal;

/// How often the list of members is read again while they are being ended: version 1 has no way to
/// end all at once, and a member may fork between two reads.
const KILL_ROUNDS_MAX: usize = 50;

/// Which of the two interfaces a folder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

/// A folder of a cgroup tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) version: Version,
    pub(crate) path: PathBuf,
}

impl Folder {
    /// Makes the folder `name` below this one; it must not be there yet.
    pub(crate) fn make(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        Ok(Self {
            version: self.version,
            path,
        })
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> io::Result<()> {
        // Not fs::write, which would ask to create the file; the kernel refuses that with an error
        // that reads as if permission were missing.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(self.path.join(file))?;
        // One write: the kernel judges each by itself.
        file.write_all(text.as_bytes())
    }

    pub(crate) fn read(&self, file: &str) -> io::Result<String> {
        fs::read_to_string(self.path.join(file))
    }

    /// Moves a process, with all its threads, into this folder.
    pub(crate) fn add(&self, pid: i32) -> io::Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// The processes in this folder, not those in folders below.
    pub(crate) fn members(&self) -> io::Result<Vec<i32>> {
        let list = self.read("cgroup.procs")?;
        Ok(list.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Ends every process in this folder and below, by SIGKILL.
    pub(crate) fn kill_all(&self) -> io::Result<()> {
        // Kernel 5.14 and later; atomic, also against forks: cgroup-v2.rst, "cgroup.kill".
        if self.version == Version::Two && self.write("cgroup.kill", "1").is_ok() {
            return Ok(());
        }
        for _ in 0..KILL_ROUNDS_MAX {
            let mut alive = 0;
            for folder in self.with_those_below() {
                for pid in folder.members()? {
                    // 0 stands for a process that this pid namespace cannot see.
                    let Some(pid) = Pid::from_raw(pid) else {
                        continue;
                    };
                    // It fails only if the process has just ended.
                    if kill_process(pid, Signal::KILL.raw()).is_ok() {
                        alive += 1;
                    }
                }
            }
            if alive == 0 {
                return Ok(());
            }
            std::thread::yield_now();
        }
        // Each of them has been sent SIGKILL by now; dying takes those with much memory a while.
        Ok(())
    }

    /// Ends every process in this folder and below, and before that what they started outside of it:
    /// whoever was moving them here, one by one, may have died half-way, and what its parent is
    /// ended without belongs to nobody any more.
    pub(crate) fn kill_families(&self) -> io::Result<()> {
        // A folder that cannot be read is one that somebody else has just removed.
        let listed = self.with_those_below();
        let mut members: Vec<i32> = listed
            .iter()
            .flat_map(|folder| folder.members().unwrap_or_default())
            .collect();
        // 0 stands for a process that this pid namespace cannot see, and is everybody's ancestor.
        members.retain(|pid| *pid > 1);
        let below = match members.is_empty() {
            true => Ok(0),
            false => crate::group::kill_below(&members),
        };
        self.kill_all()?;
        below.map(drop)
    }

    /// Removes this folder and those below. Works only once no process is in them.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for folder in self.with_those_below().iter().rev() {
            // The files of a cgroup are the kernel's and go with the folder.
            match fs::remove_dir(&folder.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Parents come before their children.
    fn with_those_below(&self) -> Vec<Self> {
        let mut found = vec![self.clone()];
        let mut next = 0;
        while let Some(folder) = found.get(next) {
            let below = sub_folders(&folder.path);
            found.extend(below.map(|path| Self {
                version: self.version,
                path,
            }));
            next += 1;
        }
        found
    }
}

pub(crate) fn sub_folders(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            entry.file_type().ok()?.is_dir().then(|| entry.path())
        })
}

#[cfg(test)]
mod tests {
    use crate::limits::Enforcer;
    use crate::{Command, Group, Stdio};
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};

    /// Goal: a family of which only the first was moved here is ended whole.
    /// Steps: a shell starts a sleeper in a session of its own; move the shell; end the families of
    /// its folder; the pipe that both hold comes to its end.
    #[test]
    fn a_family_that_was_moved_half_way_is_ended_whole() {
        let enforcer = Enforcer::detect();
        let Some(fence) = &enforcer.fence else {
            return;
        };
        let folder = fence.make("half-way").unwrap();
        let (read, write) = crate::pipe().unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", "setsid sleep 1000 & echo; wait"])
            .stdout(Stdio::Fd(write))
            .group(Group::NewSession)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(File::from(read));
        output.read_line(&mut String::new()).unwrap();
        folder.add(shell.pid()).unwrap();
        folder.kill_families().unwrap();
        shell.wait().unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        folder.remove().unwrap();
    }
}
