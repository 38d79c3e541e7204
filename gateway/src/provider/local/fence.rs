//! The control group around a replica: made and joined in the background, emptied at its end.
//!
//! Joining costs one write, for which the kernel waits until no processor is in the middle of a
//! fork (an RCU grace period): 5 to 16 ms on the build machine, several times what starting a
//! watchdog takes. It holds the lock of all groups meanwhile, so making or removing another one
//! waits as long. On the control thread everybody would wait with it; so all of it is done by
//! other threads (`chores`). A function with limits gets no request before it is under them; one without
//! gets its first request while its replica is joining, and what was started by then is taken
//! along.
//!
//! Where no group can be made, what is to be ended is looked for in the process list.
//!
//! What it does not do: choose limits, or start anything.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use process::limits::{Confined, Enforcer, Limits};
use tokio::{sync::watch, task::JoinHandle};

use super::{chores::Chore, stragglers};

/// What became of the attempt to join; none while it goes on.
type Outcome = Option<Result<(), String>>;

/// The group of one replica.
#[derive(Debug)]
pub(super) struct Fence {
    group: JoinHandle<Option<Confined>>,
    outcome: watch::Receiver<Outcome>,
    chore: Chore,
    /// No request may come before it has joined.
    strict: bool,
}

impl Fence {
    /// Begins to make a group of this name for the process `pid`, which was just started.
    pub(super) fn begin(
        chore: &Chore,
        enforcer: Arc<Enforcer>,
        name: String,
        pid: i32,
        limits: Limits,
    ) -> Self {
        let (sender, outcome) = watch::channel(None);
        let join = move || {
            let group = enforcer.group(&name, limits);
            let joined = match &group {
                Ok(group) => join_all(group, pid).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = &joined {
                tracing::warn!(instance = name, error, "a replica has no control group");
            }
            // Nobody listens when the replica has ended already.
            sender.send(Some(joined)).ok();
            group.ok()
        };
        let own = chore.clone();
        let group = tokio::spawn(async move { own.run(join).await.ok().flatten() });
        Self {
            group,
            outcome,
            chore: chore.clone(),
            strict: limits != Limits::default(),
        }
    }

    /// Waits until the replica may get requests.
    ///
    /// # Errors
    /// Why it cannot be put under its limits.
    pub(super) async fn closed(&self) -> Result<(), String> {
        if !self.strict {
            return Ok(());
        }
        let mut outcome = self.outcome.clone();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err("the attempt was broken off".to_owned()),
        }
    }

    /// Ends all that the replica `pid`, which must not have been reaped, has started, and gives
    /// its group back: dropping it removes its folders, once the replica is reaped.
    pub(super) async fn end_all(self, pid: i32, own_dir: PathBuf) -> Option<Confined> {
        let group = self.group.await.ok().flatten();
        let joined = matches!(*self.outcome.borrow(), Some(Ok(())));
        let ended = self.chore.run(move || {
            let result = match &group {
                Some(group) if joined && group.is_fenced() => group.kill_all(),
                _ => end_tree(pid, &own_dir),
            };
            (result, group)
        });
        let (result, group) = ended.await.ok()?;
        if let Err(error) = result {
            tracing::warn!(pid, %error, "not all that a replica started could be ended");
        }
        group
    }
}

/// Joins, and takes along what was started meanwhile. What is started after its parent has
/// joined is in the group by birth.
fn join_all(group: &Confined, root: i32) -> io::Result<()> {
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        match group.add(pid) {
            // It has ended; that is seen elsewhere.
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => continue,
            other => other?,
        }
        // None where it has ended; that is looked at below for the one that matters.
        waiting.extend(process::children_of(pid).unwrap_or_default());
    }
    if process::has_ended(root) {
        // What it had started belongs to nobody since, and cannot be found below it.
        return Err(io::Error::other("it ended while it was joining"));
    }
    Ok(())
}

/// Ends the tree below a watchdog, whose functions have sessions of their own, then its own
/// session, then what has lost its place in the tree because the watchdog was killed.
fn end_tree(pid: i32, own_dir: &Path) -> io::Result<()> {
    let begun = process::start_time(pid);
    let below = process::kill_descendants(pid);
    let session = process::kill_session(pid, begun);
    stragglers::end(own_dir)?;
    below.and(session).map(|_count| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::local::chores::Chores;
    use process::{Command, Group, Signal, Stdio};
    use std::{fs, io::Read};

    fn chore() -> Chore {
        Chores::new().fences
    }

    /// Goal: whatever a replica started is gone at its end, with and without control groups.
    /// Steps: start a shell that starts a sleeper in another session, wait for its word, end
    /// all; the pipe that all of them hold comes to its end.
    async fn all_is_ended(enforcer: Enforcer) {
        let (read, write) = process::pipe().unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", "setsid sleep 1000 & echo; wait"])
            .stdout(Stdio::Fd(write))
            .group(Group::NewSession)
            .spawn()
            .unwrap();
        let mut output = fs::File::from(read);
        output.read_exact(&mut [0]).unwrap();
        let name = "test".to_owned();
        let fence = Fence::begin(
            &chore(),
            Arc::new(enforcer),
            name,
            shell.pid(),
            Limits::default(),
        );
        fence.closed().await.unwrap();
        let group = fence
            .end_all(shell.pid(), "/nonexistent".into())
            .await
            .unwrap();
        shell.signal(Signal::KILL).unwrap();
        shell.wait().unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        drop(group);
    }

    #[tokio::test]
    async fn nothing_outlives_a_replica_where_there_are_groups() {
        all_is_ended(Enforcer::detect()).await;
    }

    #[tokio::test]
    async fn nothing_outlives_a_replica_where_there_are_none() {
        all_is_ended(Enforcer::without_cgroups("this is a test")).await;
    }

    /// Goal: a replica that is killed while it joins its group leaves nothing behind.
    /// Steps: start a shell that starts a sleeper and is killed, then make the group; the
    /// sleeper is nobody's child by then, and is found by its environment.
    #[tokio::test]
    async fn what_a_replica_that_died_early_had_started_is_ended() {
        let own_dir = tempfile::tempdir().unwrap();
        let (read, write) = process::pipe().unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", "setsid sleep 1000 & echo; wait"])
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", own_dir.path())
            .stdout(Stdio::Fd(write))
            .group(Group::NewSession)
            .spawn()
            .unwrap();
        let mut output = fs::File::from(read);
        output.read_exact(&mut [0]).unwrap();
        shell.signal(Signal::KILL).unwrap();
        while !process::has_ended(shell.pid()) {
            std::thread::yield_now();
        }
        let enforcer = Arc::new(Enforcer::detect());
        let fence = Fence::begin(
            &chore(),
            enforcer,
            "early".to_owned(),
            shell.pid(),
            Limits::default(),
        );
        let group = fence.end_all(shell.pid(), own_dir.path().to_owned()).await;
        shell.wait().unwrap();
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
        drop(group);
    }

    #[tokio::test]
    async fn a_function_with_limits_waits_until_it_is_under_them() {
        let enforcer = Arc::new(Enforcer::detect());
        let mut sleeper = Command::new("sleep").arg("1000").spawn().unwrap();
        let limits = Limits {
            memory_bytes: Some(64 << 20),
            cpu_millicores: None,
        };
        let fence = Fence::begin(
            &chore(),
            enforcer,
            "limited".to_owned(),
            sleeper.pid(),
            limits,
        );
        fence.closed().await.unwrap();
        assert!(fence.outcome.borrow().is_some());
        drop(fence.end_all(sleeper.pid(), "/nonexistent".into()).await);
        sleeper.signal(Signal::KILL).unwrap();
        sleeper.wait().unwrap();
    }
}
