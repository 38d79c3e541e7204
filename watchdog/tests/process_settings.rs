//! Working directory, mask and user of the function's processes, which are those of the watchdog.

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use process::Exit;
use support::{Watchdog, on_each_driver};

/// What a watchdog that does not start says.
fn refusal(settings: &[(&str, &str)]) -> (Exit, String) {
    let mut watchdog = Watchdog::start("epoll", &[&[("fprocess", "cat")], settings].concat());
    (watchdog.wait(), watchdog.log())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn the_function_works_in_the_given_directory() {
    on_each_driver(|driver| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let script = dir.path().join("where");
        std::fs::write(&script, "#!/bin/sh\npwd\n").unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        // A program whose name has a slash is looked for from there.
        let settings = [("fprocess", "./where"), ("working_dir", path)];
        let watchdog = Watchdog::start(driver, &settings);
        assert_eq!(watchdog.post("").text(), format!("{path}\n"));
    });
}

#[test]
fn a_directory_that_is_not_there_ends_the_start() {
    let (exit, log) = refusal(&[("working_dir", "/nowhere")]);
    assert_eq!(exit, Exit::Code(69));
    assert!(
        log.starts_with("working_dir: /nowhere cannot be entered: "),
        "{log}"
    );
    assert_eq!(log.lines().count(), 1);
}

#[test]
fn new_files_have_the_permissions_that_the_mask_leaves() {
    let script = "sh -c 'umask; : > $TMPDIR/new'";
    let watchdog = Watchdog::start("epoll", &[("fprocess", script), ("umask", "027")]);
    assert_eq!(watchdog.post("").text(), "0027\n");
    for name in ["new", ".lock"] {
        let mode = std::fs::metadata(watchdog.dir().join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o640, "{name}");
    }
}

#[test]
fn the_function_runs_as_the_given_user() {
    // Without root nobody can be somebody else; the next test is for that.
    if !is_root() {
        return;
    }
    on_each_driver(|driver| {
        // Steps: a folder of that user for the lock file; a call says who it is; all that the
        // watchdog wrote is the user's; a second call ends at its limit, so it may end its own.
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), Some(12_345), Some(23_456)).unwrap();
        let settings = [
            (
                "fprocess",
                "sh -c 'id -u; id -g; id -G; read x; exec sleep $x'",
            ),
            ("user", "12345:23456"),
            ("TMPDIR", dir.path().to_str().unwrap()),
        ];
        let watchdog = Watchdog::start(driver, &settings);
        assert_eq!(watchdog.post("0\n").text(), "12345\n23456\n23456\n");
        let lock = std::fs::metadata(dir.path().join(".lock")).unwrap();
        assert_eq!((lock.uid(), lock.gid()), (12_345, 23_456));
        assert_eq!(watchdog.get("/_/health").status, 200);
        let limited = "POST / HTTP/1.1\r\nHost: x\r\nX-Timeout: 100ms\r\n";
        assert_eq!(watchdog.call(limited, "1000\n").status, 504);
        support::wait_until("it is ended", || watchdog.children().is_empty());
    });
}

#[test]
fn a_user_by_name_brings_its_own_groups() {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    // Known to every Linux system with a list of users.
    let has_nobody = passwd.lines().any(|line| line.starts_with("nobody:"));
    if !is_root() || !has_nobody {
        return;
    }
    let settings = [
        ("fprocess", "id -un"),
        ("user", "nobody"),
        ("suppress_lock", "true"),
    ];
    let watchdog = Watchdog::start("epoll", &settings);
    assert_eq!(watchdog.post("").text(), "nobody\n");
}

#[test]
fn a_user_that_cannot_be_taken_ends_the_start() {
    let (exit, log) = refusal(&[("user", "no-such-user")]);
    assert_eq!(exit, Exit::Code(69));
    assert_eq!(
        log,
        "user: `no-such-user` is not in /etc/passwd; give one that is there, or a number\n"
    );
    let (exit, log) = refusal(&[("user", "a b")]);
    assert_eq!(exit, Exit::Code(64));
    assert!(
        log.starts_with("user: `a b` cannot be used; give a user, "),
        "{log}"
    );
    // Its lock file would be another's.
    if is_root() {
        let (exit, log) = refusal(&[("user", "12345:23456")]);
        assert_eq!(exit, Exit::Code(69));
        assert!(
            log.starts_with("the lock file cannot be written to "),
            "{log}"
        );
    } else {
        let (exit, log) = refusal(&[("user", "0:0")]);
        assert_eq!(exit, Exit::Code(69));
        assert!(
            log.starts_with("user: only root can become another"),
            "{log}"
        );
    }
}
