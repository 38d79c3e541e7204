//! Builds the small watchdog and puts it into a release build of `ringway`, so that one file is
//! all that has to be copied, and `cargo run --release` alone starts replicas from the small one.
//!
//! It matters: a replica that is started from `fwatchdog` answers 1.7 ms after it was spawned and
//! idles in 1.6 MB; from `ringway watchdog`, the same code in a larger file, it takes 2.9 ms and
//! 4.3 MB. Cargo cannot make one package's binary a part of another's (artifact dependencies are
//! unstable), so this asks a second Cargo, in a target directory of its own.
//!
//! Debug builds leave it out, to stay quick: there, tests build `fwatchdog` beside `ringway`. So
//! do builds with `RINGWAY_WATCHDOG=skip`, for packagers who install both.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the watchdog is made of, below the workspace's root.
const SOURCES: [&str; 7] = [
    "Cargo.lock",
    "Cargo.toml",
    "conduit",
    "net",
    "process",
    "watchdog",
    "wire",
];

/// What the first Cargo tells this script about this package would mislead the second.
const NOT_FOR_THE_SECOND: [&str; 3] = [
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-check-cfg=cfg(carries_watchdog)");
    println!("cargo::rerun-if-env-changed=RINGWAY_WATCHDOG");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let is_release = env::var("PROFILE")? == "release";
    let is_linux = env::var("CARGO_CFG_TARGET_OS")? == "linux";
    let is_unwanted = env::var("RINGWAY_WATCHDOG").is_ok_and(|value| value == "skip");
    if is_release && is_linux && !is_unwanted {
        build(&root)?;
        println!("cargo::rustc-cfg=carries_watchdog");
    }
    Ok(())
}

/// Leaves the binary at `OUT_DIR/fwatchdog`. The flags of the target come with the environment.
fn build(root: &Path) -> Result<(), Box<dyn Error>> {
    let (out, target) = (PathBuf::from(env::var("OUT_DIR")?), env::var("TARGET")?);
    let folder = out.join("watchdog");
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .current_dir(root)
        .args([
            "build",
            "--release",
            "--package",
            "watchdog",
            "--bin",
            "fwatchdog",
        ])
        .args(["--target", &target, "--target-dir"])
        .arg(&folder);
    for variable in NOT_FOR_THE_SECOND {
        cargo.env_remove(variable);
    }
    if !cargo.status()?.success() {
        return Err("the watchdog that `ringway` carries cannot be built; see above".into());
    }
    let built = folder.join(target).join("release/fwatchdog");
    fs::copy(built, out.join("fwatchdog"))?;
    Ok(())
}
