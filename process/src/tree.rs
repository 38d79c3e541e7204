//! Who is below whom.
//!
//! The kernel lists the children of each thread, proc_pid_task_children(5), so a family is found
//! by reading a few small files for each member, where a walk over /proc reads one for every
//! process of the machine: on a busy one, thousands. Only where the kernel was built without those
//! lists (CONFIG_PROC_CHILDREN) is everybody asked for its parent.
//!
//! What it does not do: signal anybody.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::procfs::{Stat, children_of, processes, stat};

/// How often a family is read until two readings agree. Only one that forks all the time needs more
/// than three.
const READINGS_MAX: usize = 8;

/// A process as it was when it was looked at.
pub(crate) type Seen = (i32, Stat);

/// Everybody below one of `ancestors`, zombies included; an ancestor only if it is below another.
pub(crate) fn below(ancestors: &[i32]) -> Vec<Seen> {
    settled(|| {
        let children = Children::new(has_lists());
        let first = ancestors.iter().flat_map(|pid| children.of(*pid)).collect();
        children.and_below(first)
    })
}

/// The process `leader`, which is a child of this one, with everybody below it, and those members
/// of its session who have lost their parents and were adopted by this process, a subreaper, with
/// everybody below them. Zombies included.
pub(crate) fn family(leader: i32) -> Vec<Seen> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let member = |(pid, stat): &Seen| *pid == leader || stat.session == leader;
    settled(|| {
        let children = Children::new(has_lists());
        children.and_below(children.of(own).into_iter().filter(member).collect())
    })
}

/// Reads until two readings agree.
///
/// A list of children can miss one: if another is reaped while it is read, if the thread that it
/// belongs to ends, or if the parent does, which makes the child somebody else's, perhaps of one
/// whose list has been read already. All of that shows as a difference to the next reading.
fn settled(read: impl Fn() -> Vec<Seen>) -> Vec<Seen> {
    let pids = |all: &[Seen]| all.iter().map(|(pid, _)| *pid).collect::<HashSet<_>>();
    let mut last = read();
    for _ in 1..READINGS_MAX {
        let again = read();
        let agree = pids(&last) == pids(&again);
        last = again;
        if agree {
            break;
        }
    }
    last
}

/// Where children are looked up.
enum Children {
    /// In the lists of their parents.
    Lists,
    /// In a list of all processes by their parents.
    ByParent(HashMap<i32, Vec<Seen>>),
}

impl Children {
    fn new(has_lists: bool) -> Self {
        if has_lists {
            return Self::Lists;
        }
        let mut by_parent = HashMap::<_, Vec<_>>::new();
        for (pid, stat) in processes().filter_map(|pid| Some((pid, stat(pid)?))) {
            by_parent.entry(stat.parent).or_default().push((pid, stat));
        }
        Self::ByParent(by_parent)
    }

    /// None if the parent has ended.
    fn of(&self, parent: i32) -> Vec<Seen> {
        match self {
            // The number may have got another owner since it was listed; that one is not meant.
            Self::Lists => children_of(parent)
                .unwrap_or_default()
                .into_iter()
                .filter_map(|pid| Some((pid, stat(pid)?)))
                .filter(|(_, stat)| stat.parent == parent)
                .collect(),
            Self::ByParent(all) => all.get(&parent).cloned().unwrap_or_default(),
        }
    }

    /// These, and everybody below them.
    fn and_below(&self, mut found: Vec<Seen>) -> Vec<Seen> {
        let mut known: HashSet<i32> = found.iter().map(|(pid, _)| *pid).collect();
        let mut next = 0;
        while let Some((pid, _)) = found.get(next) {
            let below = self.of(*pid);
            found.extend(below.into_iter().filter(|(pid, _)| known.insert(*pid)));
            next += 1;
        }
        found
    }
}

/// Whether the kernel lists children.
fn has_lists() -> bool {
    let own = std::process::id();
    Path::new(&format!("/proc/self/task/{own}/children")).exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{BufRead, BufReader};

    /// Goal: both ways find the whole family, to the third generation, and nobody else.
    /// Steps: a shell starts a shell that starts two sleepers, one in a session of its own; each
    /// says its number; look both ways.
    #[test]
    fn a_family_is_found_with_and_without_lists() {
        let (read, write) = crate::pipe().unwrap();
        let script =
            "sh -c 'echo $$; sleep 1000 & echo $!; setsid sleep 1000 & echo $!; wait' & wait";
        let mut shell = crate::Command::new("sh")
            .args(["-c", script])
            .stdout(crate::Stdio::Fd(write))
            .group(crate::Group::NewSession)
            .spawn()
            .unwrap();
        let mut want: Vec<i32> = BufReader::new(File::from(read))
            .lines()
            .take(3)
            .map(|line| line.unwrap().parse().unwrap())
            .collect();
        want.sort_unstable();
        let sorted = |found: Vec<Seen>| {
            let mut pids: Vec<_> = found.into_iter().map(|(pid, _)| pid).collect();
            pids.sort_unstable();
            pids
        };
        for has_lists in [true, false] {
            let children = Children::new(has_lists);
            let found = children.and_below(children.of(shell.pid()));
            assert_eq!(sorted(found), want, "lists: {has_lists}");
        }
        assert_eq!(sorted(below(&[shell.pid()])), want);
        want.push(shell.pid());
        want.sort_unstable();
        assert_eq!(sorted(family(shell.pid())), want);
        crate::kill_family(shell.pid()).unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn nobody_is_below_a_process_that_is_not_there() {
        assert!(below(&[i32::MAX]).is_empty());
        assert!(family(i32::MAX).is_empty());
    }
}
