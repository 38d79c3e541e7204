//! What a started process has, and what it has not: environment, descriptors, signals, group.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;

use process::{Command, Environment, Exit, Group, Io, Program, Signal, SpawnError, Stdio};
use support::{is_inner, output, shell};

#[test]
fn the_environment_is_exactly_what_was_given() {
    let (text, exit) = output(
        Command::new("/usr/bin/env")
            .env("B", "2")
            .env("A", "one")
            .env("B", "3"),
    );
    assert_eq!(text, "A=one\nB=3\n");
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(output(Command::new("/usr/bin/env")).0, "");
}

#[test]
fn a_template_starts_many_times_with_the_variables_of_each_start() {
    let template = shell("echo $$ $CALL $BASE")
        .env("BASE", "base")
        .env("CALL", "0")
        .prepare()
        .unwrap();
    let mut environment = Environment::default();
    for call in 1..4 {
        environment.clear();
        environment.set("CALL", call.to_string()).unwrap();
        let (read, write) = process::pipe().unwrap();
        let io = Io::new(Stdio::Null, Stdio::Fd(write), Stdio::Null);
        let mut child = template.spawn(io, Some(&environment)).unwrap();
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{} {call} base\n", child.pid()));
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn no_descriptor_is_inherited_unless_it_is_passed() {
    // A descriptor without close-on-exec, as a careless library leaves it.
    let careless = File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&careless, rustix::io::FdFlags::empty()).unwrap();
    let listing = || {
        shell(
            "ls -l /proc/self/fd | sed 's/.* \\([0-9]*\\) ->.*/\\1/' | grep -v total | tr '\\n' ' '",
        )
    };
    // ls itself has the folder open, as 3 or the first free number.
    assert_eq!(output(listing()).0, "0 1 2 3 ");
    let passed = File::open("/dev/null").unwrap();
    assert_eq!(output(listing().pass_fd(passed.into(), 5)).0, "0 1 2 3 5 ");
    drop(careless);
}

#[test]
fn descriptors_arrive_under_their_numbers_however_the_numbers_collide() {
    // Steps: four files; two are passed under each other's number, one under its own, one under a
    // number that none has; the child prints what it reads from each.
    let file = |text: &str| -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        // The numbers of a test process with many threads may be high by chance; ask for low ones.
        rustix::io::fcntl_dupfd_cloexec(file.as_fd(), 10).unwrap()
    };
    let files = [file("a"), file("b"), file("c"), file("d")];
    let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    if numbers.iter().any(|number| *number > Io::TARGET_MAX) {
        panic!("the test needs low descriptor numbers, not {numbers:?}");
    }
    let targets = [numbers[1], numbers[0], numbers[2], 3];
    let script = targets.map(|target| format!("cat <&{target}; ")).concat();
    let mut command = Command::new("/bin/bash")
        .arg("-c")
        .arg(script)
        .env("PATH", "/bin:/usr/bin");
    for (file, target) in files.into_iter().zip(targets) {
        command = command.pass_fd(file, target);
    }
    assert_eq!(output(command).0, "abcd");
}

#[test]
fn standard_error_can_go_where_standard_output_goes() {
    let (text, _) = output(shell("echo out; echo err >&2").stderr(Stdio::StdoutCopy));
    assert_eq!(text, "out\nerr\n");
    let (text, _) = output(shell("readlink /proc/$$/fd/0 /proc/$$/fd/2"));
    assert_eq!(text, "/dev/null\n/dev/null\n");
}

#[test]
fn signals_are_reset_whatever_the_parent_ignores_or_blocks() {
    // Steps: this test runs itself under env(1), which ignores and blocks signals for it; inside,
    // it starts a child and reads the child's masks.
    if !is_inner() {
        let name = "signals_are_reset_whatever_the_parent_ignores_or_blocks";
        let exe = std::env::current_exe().unwrap();
        let under = Command::new("/usr/bin/env")
            .args([
                "--ignore-signal=TERM",
                "--ignore-signal=HUP",
                "--block-signal=USR1",
                "INNER=1",
            ])
            .arg(exe)
            .args([name, "--exact", "--nocapture", "--test-threads=1"]);
        let (text, exit) = output(under.stderr(Stdio::StdoutCopy));
        assert!(exit.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }
    // 32 and 33 are the C library's own: glibc leaves them ignored in what it starts, and no
    // program can name them (nptl(7)).
    const INTERNAL: u64 = 0b11 << 31;
    let mask = |status: &str, name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap() & !INTERNAL
    };
    let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert_ne!(mask(&own, "SigBlk"), 0);
    assert_ne!(mask(&own, "SigIgn"), 0);
    let (status, _) = output(Command::new("/bin/cat").arg("/proc/self/status"));
    assert_eq!(mask(&status, "SigBlk"), 0);
    assert_eq!(mask(&status, "SigIgn"), 0);
}

#[test]
fn groups_and_sessions_are_as_asked() {
    let ids_of = |text: &str| {
        let fields: Vec<i32> = text
            .rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .skip(2)
            .take(2)
            .map(|id| id.parse().unwrap())
            .collect();
        let pid: i32 = text.split(' ').next().unwrap().parse().unwrap();
        (pid, fields[0], fields[1])
    };
    let ids =
        |group| ids_of(&output(Command::new("/bin/cat").arg("/proc/self/stat").group(group)).0);
    // Not by getsid: as the first process of a PID namespace this one's
    // session lies outside it and has the number 0, which rustix refuses.
    let (_, own_group, own_session) = ids_of(&std::fs::read_to_string("/proc/self/stat").unwrap());
    let (_, group, session) = ids(Group::Inherit);
    assert_eq!((group, session), (own_group, own_session));
    let (pid, group, session) = ids(Group::NewGroup);
    assert_eq!((group, session), (pid, own_session));
    let (pid, group, session) = ids(Group::NewSession);
    assert_eq!((group, session), (pid, pid));
}

#[test]
fn the_working_directory_is_set_and_programs_are_found_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("run");
    std::fs::write(&script, "#!/bin/sh\npwd\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (text, _) = output(Command::new("./run").dir(dir.path()));
    assert_eq!(
        text.trim_end(),
        dir.path().canonicalize().unwrap().to_str().unwrap()
    );
    let (text, _) = output(
        Command::new("run")
            .env("PATH", "/nowhere:.")
            .dir(dir.path()),
    );
    assert!(!text.is_empty());
}

#[test]
fn what_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let fails = |command: Command| command.spawn().unwrap_err();

    let error = fails(Command::new("no-such-program").env("PATH", "/usr/bin:/bin"));
    assert!(matches!(error, SpawnError::NotFound { .. }));
    assert_eq!(
        error.to_string(),
        "there is no program `no-such-program` in PATH (/usr/bin:/bin); check the name, or give the program's full path"
    );
    assert!(matches!(
        fails(Command::new("/no/such/file")),
        SpawnError::NotFound { .. }
    ));
    assert!(matches!(
        fails(Command::new("/usr/bin")),
        SpawnError::NotFound { .. }
    ));
    assert!(matches!(
        fails(Command::new("")),
        SpawnError::BadText { .. }
    ));
    assert!(matches!(
        fails(Command::new("cat").arg("a\0b")),
        SpawnError::BadText { .. }
    ));
    assert!(matches!(
        fails(Command::new("cat").env("A=B", "x")),
        SpawnError::BadVariable { .. }
    ));
    let plain = file("plain", "text", 0o644);
    assert!(matches!(
        fails(Command::new(&plain)),
        SpawnError::NotExecutable { .. }
    ));
    let by_path = Command::new("plain").env("PATH", dir.path());
    assert!(matches!(fails(by_path), SpawnError::NotExecutable { .. }));
    let text = file("text", "no program", 0o755);
    assert!(matches!(
        fails(Command::new(text)),
        SpawnError::NotAProgram { .. }
    ));
    let lost = file("lost", "#!/no/such/interpreter\n", 0o755);
    assert!(matches!(
        fails(Command::new(lost)),
        SpawnError::NoInterpreter { .. }
    ));
    let no_dir = fails(Command::new("cat").dir(dir.path().join("none")));
    assert!(matches!(no_dir, SpawnError::BadDir { .. }), "{no_dir}");
    let not_a_dir = fails(Command::new("/bin/cat").dir(plain));
    assert!(
        matches!(not_a_dir, SpawnError::BadDir { .. }),
        "{not_a_dir}"
    );
    let large = fails(Command::new("cat").arg("x".repeat(200_000)));
    assert!(matches!(large, SpawnError::TooLarge { .. }), "{large}");
}

#[test]
fn a_program_that_goes_away_after_it_was_found_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("brief");
    std::fs::copy("/bin/true", &path).unwrap();
    let template = Command::new(&path).prepare().unwrap();
    std::fs::remove_file(&path).unwrap();
    let error = template.spawn(Io::default(), None).unwrap_err();
    assert!(matches!(error, SpawnError::NotFound { .. }), "{error}");
}

#[test]
fn programs_are_searched_in_the_childs_path() {
    let found = Program::resolve(
        "cat".as_ref(),
        Some("/nowhere:/usr/bin:/bin".as_ref()),
        None,
    )
    .unwrap();
    assert!(found.path().ends_with("bin/cat"));
    let missing = Program::resolve("cat".as_ref(), Some("/nowhere".as_ref()), None);
    assert!(matches!(missing, Err(SpawnError::NotFound { .. })));
}

#[test]
fn exits_are_told_and_signals_arrive() {
    assert_eq!(output(shell("exit 7")).1, Exit::Code(7));
    assert_eq!(
        output(shell("kill -KILL $$")).1,
        Exit::Signal {
            number: 9,
            core_dumped: false
        }
    );
    let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    assert!(!child.has_ended().unwrap());
    assert_eq!(child.try_wait().unwrap(), None);
    child.signal(Signal::TERM).unwrap();
    assert_eq!(
        child.wait().unwrap(),
        Exit::Signal {
            number: 15,
            core_dumped: false
        }
    );
    assert!(child.has_ended().unwrap());
    // Reaped: these do nothing, and above all do not reach whoever has the number now.
    child.signal(Signal::KILL).unwrap();
    child.kill_group(Signal::KILL).unwrap();
}

#[test]
fn a_raised_limit_of_descriptors_is_not_passed_on() {
    // Steps: this test runs itself under a low limit; inside, it raises its own and asks a child,
    // which waits for a word that it gets after its start, for the limit that it has.
    if !is_inner() {
        let name = "a_raised_limit_of_descriptors_is_not_passed_on";
        let exe = std::env::current_exe().unwrap();
        let under = shell("ulimit -Sn 200; exec \"$0\" \"$@\"")
            .arg(exe)
            .args([name, "--exact", "--nocapture", "--test-threads=1"])
            .env("INNER", "1");
        let (text, exit) = output(under.stderr(Stdio::StdoutCopy));
        assert!(exit.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }
    let own = process::raise_descriptor_limit().unwrap();
    assert!(own.is_none_or(|own| own > 200), "{own:?}");
    // Once more changes nothing.
    assert_eq!(process::raise_descriptor_limit().unwrap(), own);
    let (hold, go) = process::pipe().unwrap();
    let (read, write) = process::pipe().unwrap();
    let command = shell("read word; ulimit -Sn; ulimit -Hn");
    let mut child = command
        .stdin(Stdio::Fd(hold))
        .stdout(Stdio::Fd(write))
        .spawn()
        .unwrap();
    drop(go);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let hard = own.map_or_else(|| "unlimited".to_owned(), |own| own.to_string());
    assert_eq!(text, format!("200\n{hard}\n"));
}
