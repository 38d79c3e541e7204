//! The binaries under test: `ringway` and, beside it, `fwatchdog`.
//!
//! Cargo names the binaries of its own package to a test, but not those of others, so they are
//! looked for where this test was built. From a fresh clone `cargo test -p tests` has not built
//! them; then, and when a source is newer, Cargo is asked to.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// Crates that the binaries are made of.
const CRATES: [&str; 7] = [
    "wire", "net", "conduit", "process", "gateway", "watchdog", "cli",
];

/// The path of `ringway`, built if need be.
///
/// `RINGWAY_TEST_BIN_DIR` names a folder with other binaries, a release build, say.
pub fn ringway() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("RINGWAY_TEST_BIN_DIR") {
        Some(folder) => Path::new(&folder).join("ringway"),
        None => built(),
    })
}

fn built() -> PathBuf {
    // …/target/PROFILE/deps/TEST-HASH
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap();
    let binaries = ["ringway", "fwatchdog"].map(|name| folder.join(name));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    if binaries.iter().any(|binary| is_stale(binary, root)) {
        build(root, folder);
    }
    for binary in &binaries {
        assert!(
            binary.is_file(),
            "{} is not there: build it, or name its folder in RINGWAY_TEST_BIN_DIR",
            binary.display()
        );
    }
    let [ringway, _] = binaries;
    ringway
}

/// Asks Cargo, which knows better than times of files. It waits by itself for other builds.
fn build(root: &Path, folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--package",
            "ringway",
            "--package",
            "watchdog",
        ])
        .args(["--bins", "--profile", profile])
        .status()
        .unwrap();
    assert!(status.success(), "the binaries under test cannot be built");
}

fn is_stale(binary: &Path, root: &Path) -> bool {
    let Ok(built) = fs::metadata(binary).and_then(|meta| meta.modified()) else {
        return true;
    };
    CRATES.iter().any(|name| has_newer(&root.join(name), built))
}

/// Whether a source under `folder` is newer than `built`. Tests are not part of the binaries.
fn has_newer(folder: &Path, built: SystemTime) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let is_test = path.file_name().is_some_and(|name| name == "tests");
            return !is_test && has_newer(&path, built);
        }
        let is_source = path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "toml");
        // A file that has gone since it was listed is an edit in progress.
        is_source
            && fs::metadata(&path)
                .and_then(|meta| meta.modified())
                .is_ok_and(|time| time > built)
    })
}
