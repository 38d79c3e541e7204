//! What some processes and all below them take: memory now, CPU between two looks.
//!
//! From /proc/PID/stat (proc_pid_stat(5)), which is there with and without control groups. A
//! process that ends between the looks hands its time on to its parent, where it is counted as
//! the time of children, so short-lived processes are not missed.

use std::{collections::HashSet, fs, time::Duration};

use nix::unistd::{SysconfVar, sysconf};

use crate::provider::Usage;

/// Between the two looks. The kernel counts in hundredths of a second, so a shorter time would
/// be coarse.
pub(crate) const WINDOW: Duration = Duration::from_millis(250);

/// One look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    ticks: u64,
    pages: u64,
}

impl Look {
    /// Adds up these processes and all below them. Walks /proc, so not for the control thread.
    pub(crate) fn at(roots: &HashSet<i32>) -> Self {
        let mut all: Vec<_> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
                // One that has ended meanwhile is not there to be counted.
                let (parent, look) = parse(&fs::read(entry.path().join("stat")).ok()?)?;
                Some((pid, parent, look))
            })
            .collect();
        let mut family = HashSet::new();
        let mut sum = Self::default();
        loop {
            let before = family.len();
            all.retain(|(pid, parent, look)| {
                let belongs = roots.contains(pid) || family.contains(parent);
                if belongs {
                    family.insert(*pid);
                    sum.ticks += look.ticks;
                    sum.pages += look.pages;
                }
                !belongs
            });
            if family.len() == before {
                return sum;
            }
        }
    }
}

/// What was taken between two looks.
pub(crate) fn between(first: Look, second: Look, window: Duration) -> Usage {
    let constant = |variable, usual| match sysconf(variable) {
        Ok(Some(value)) => u64::try_from(value).unwrap_or(usual),
        _ => usual,
    };
    let ticks_per_second = constant(SysconfVar::CLK_TCK, 100);
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks of a quarter of a second are few"
    )]
    let seconds = second.ticks.saturating_sub(first.ticks) as f64 / ticks_per_second.max(1) as f64;
    Usage {
        cpu: (seconds / window.as_secs_f64() * 1000.0).round(),
        total_memory_bytes: second.pages * constant(SysconfVar::PAGE_SIZE, 4096),
    }
}

/// Parent, ticks and pages of one stat line. The name in parentheses may hold anything, so
/// fields are counted from the last closing one.
fn parse(text: &[u8]) -> Option<(i32, Look)> {
    let name_end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(name_end + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3 of the manual page is the first here.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let parent = fields.get(4 - 3)?.parse().ok()?;
    Some((
        parent,
        Look {
            ticks: (14..=17).map(number).sum::<Option<u64>>()?,
            pages: number(24)?,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line =
            b"42 (a) Z (b) S 1 42 40 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 987 1000 55 1";
        let look = Look {
            ticks: 100,
            pages: 55,
        };
        assert_eq!(parse(line), Some((1, look)));
        assert_eq!(parse(b"42 (a"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn cpu_is_in_thousandths_of_a_core() {
        let look = |ticks, pages| Look { ticks, pages };
        let usage = between(look(100, 1), look(150, 2), Duration::from_secs(1));
        assert_eq!(usage.cpu, 500.0);
        assert!(usage.total_memory_bytes >= 8192);
    }

    #[test]
    fn this_process_takes_something() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(Look::at(&HashSet::from([own])).pages > 0);
        assert_eq!(Look::at(&HashSet::new()), Look::default());
    }
}
