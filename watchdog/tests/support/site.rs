//! A watchdog in static mode and the folder that it serves.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;

use tempfile::TempDir;

use super::Watchdog;

/// A watchdog that serves the folder `public` of a folder of its own. Nothing is in it yet.
pub(crate) struct Site {
    pub(crate) watchdog: Watchdog,
    pub(crate) dir: TempDir,
}

impl Deref for Site {
    type Target = Watchdog;
    fn deref(&self) -> &Watchdog {
        &self.watchdog
    }
}

impl Site {
    pub(crate) fn public(&self) -> PathBuf {
        self.dir.path().join("public")
    }
}

pub(crate) fn start(driver: &str, settings: &[(&str, &str)]) -> Site {
    let dir = tempfile::tempdir().expect("a folder");
    let public = dir.path().join("public");
    fs::create_dir(&public).expect("a folder");
    let common = [
        ("mode", "static"),
        ("static_path", public.to_str().expect("text")),
    ];
    let watchdog = Watchdog::start(driver, &[&common, settings].concat());
    Site { watchdog, dir }
}

pub(crate) fn put(site: &Site, name: &str, content: impl AsRef<[u8]>) {
    let path = site.public().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, content).expect("a file");
}
