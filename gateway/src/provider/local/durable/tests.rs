//! Values that are whole or not there, and the order of steps that makes them so.

use super::{super::disk::fake::Watched, *};
use std::collections::BTreeMap;

type Value = BTreeMap<String, String>;

fn value(text: &str) -> Value {
    BTreeMap::from([("text".to_owned(), text.to_owned())])
}

#[test]
fn what_was_written_is_read_and_what_was_removed_is_not() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", &value("one")).unwrap();
    write(dir.path(), "b", &value("two")).unwrap();
    write(dir.path(), "a", &value("three")).unwrap();
    let all: Vec<(String, Value)> = read_all(dir.path()).unwrap();
    assert_eq!(
        all,
        [
            ("a".to_owned(), value("three")),
            ("b".to_owned(), value("two"))
        ]
    );
    remove(dir.path(), "a").unwrap();
    remove(dir.path(), "a").unwrap();
    assert_eq!(read_all::<Value>(dir.path()).unwrap().len(), 1);
}

/// Goal: no part of a file is taken for the whole.
/// Steps: cut a good file at every length, flip every byte; each must be refused.
#[test]
fn a_torn_file_is_never_read_as_good() {
    let bytes = encode(&value("wc -l")).unwrap();
    decode::<Value>(&bytes).unwrap();
    for length in 0..bytes.len() {
        decode::<Value>(&bytes[..length]).unwrap_err();
    }
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 0x01;
        decode::<Value>(&changed).unwrap_err();
    }
    let zeros = vec![0; bytes.len()];
    decode::<Value>(&zeros).unwrap_err();
    let twice = [bytes.clone(), bytes].concat();
    decode::<Value>(&twice).unwrap_err();
}

#[test]
fn a_bad_file_is_moved_aside_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "good", &value("x")).unwrap();
    fs::write(path(dir.path(), "torn"), b"{\"format\":1,\"byt").unwrap();
    fs::write(dir.path().join("half.writing"), b"{").unwrap();
    let all: Vec<(String, Value)> = read_all(dir.path()).unwrap();
    assert_eq!(all.len(), 1);
    assert!(dir.path().join("torn.bad").exists());
    assert!(!dir.path().join("half.writing").exists());
    assert_eq!(read_all::<Value>(dir.path()).unwrap().len(), 1);
}

#[test]
fn a_directory_is_private_and_may_be_there_already() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("x");
    make_dir(&made).unwrap();
    make_dir(&made).unwrap();
    assert_eq!(
        fs::metadata(&made).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

/// Goal: what is acknowledged is on the disk, whatever crashes next: fsync(2) of the file before
/// its name, and of the directory after.
#[test]
fn every_change_reaches_the_disk_in_the_order_that_a_crash_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("state");
    let steps = |change: &dyn Fn(&Watched) -> io::Result<()>| {
        let disk = Watched::default();
        change(&disk).unwrap();
        disk.steps.take()
    };
    let above = dir.path().file_name().unwrap().to_str().unwrap();
    let made = steps(&|disk| make_dirs_on(disk, &root.join("functions")));
    assert_eq!(
        made,
        [
            "make-dir state",
            &format!("sync-dir {above}"),
            "make-dir functions",
            "sync-dir state"
        ]
    );
    let made = steps(&|disk| make_dirs_on(disk, &root.join("functions")));
    assert_eq!(made, [] as [&str; 0]);
    let written = steps(&|disk| write_on(disk, &root, "wc", &value("one")));
    assert_eq!(
        written,
        [
            "create wc.writing",
            "sync wc.writing",
            "rename wc.writing wc.json",
            "sync-dir state"
        ]
    );
    let removed = steps(&|disk| remove_on(disk, &root, "wc"));
    assert_eq!(removed, ["remove wc.json", "sync-dir state"]);
    // Its name may still be on the disk, from a removal that was cut off.
    let disk = Watched::default();
    remove_on(&disk, &root, "wc").unwrap();
    assert!(disk.steps.take().contains(&"sync-dir state".to_owned()));
}

#[test]
fn a_step_that_fails_before_the_name_is_changed_leaves_the_old_value() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "wc", &value("old")).unwrap();
    for failing in ["create", "sync wc", "rename"] {
        let disk = Watched {
            failing: Some(failing),
            ..Watched::default()
        };
        write_on(&disk, dir.path(), "wc", &value("new")).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{failing}");
        let all: Vec<(String, Value)> = read_all(dir.path()).unwrap();
        assert_eq!(all, [("wc".to_owned(), value("old"))], "{failing}");
    }
}

#[test]
fn a_change_that_may_not_be_on_the_disk_is_told_from_one_that_was_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Watched {
        failing: Some("sync-dir"),
        ..Watched::default()
    };
    let written = write_on(&disk, dir.path(), "wc", &value("new")).unwrap_err();
    assert!(written.to_string().contains("may be in force"), "{written}");
    assert!(written.to_string().contains("os error 5"), "{written}");
    assert_eq!(read_all::<Value>(dir.path()).unwrap().len(), 1);
    let removed = remove_on(&disk, dir.path(), "wc").unwrap_err();
    assert!(removed.to_string().contains("may be in force"), "{removed}");
    // Asking again settles it.
    remove(dir.path(), "wc").unwrap();
    assert_eq!(read_all::<Value>(dir.path()).unwrap().len(), 0);
}
