//! Tells the crate which commit it was built from, for `/system/info`, `ringway version` and the
//! metric of the build.
//!
//! A source archive has no git, and a build must not fail for that: the answer is then `unknown`.
//! `GIT_SHA` in the environment wins, for builds in containers that copy the sources without
//! `.git`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=GIT_SHA");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("GIT_SHA").ok().filter(|sha| !sha.is_empty());
    let sha = given
        .or_else(from_git)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=RINGWAY_GIT_SHA={sha}");
}

fn from_git() -> Option<String> {
    // HEAD names a branch and the log of HEAD grows with every commit and checkout; where there is
    // no log, the sha of an incremental build may be that of an earlier commit. Naming a file that
    // is not there would rebuild always.
    let folder = git(&["rev-parse", "--absolute-git-dir"])?;
    for name in ["HEAD", "logs/HEAD"] {
        let path = Path::new(&folder).join(name);
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
