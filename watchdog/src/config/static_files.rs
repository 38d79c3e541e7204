//! The settings of static mode.

use std::path::PathBuf;

use super::RawConfig;

/// Where of-watchdog's templates put them.
const FOLDER_DEFAULT: &str = "/home/app/public";

/// What static mode serves.
#[derive(Debug)]
pub(crate) struct StaticFiles {
    /// All files in it can be read by anybody who may call. A relative path is below the working
    /// directory.
    pub(crate) folder: PathBuf,
    /// A program is set, for which there is no use.
    pub(crate) has_program: bool,
}

impl StaticFiles {
    pub(super) fn from_raw(raw: &RawConfig) -> Self {
        let folder = raw
            .get("static_path")
            .map_or_else(|| FOLDER_DEFAULT.into(), PathBuf::from);
        let is_set = |name: &str| raw.get(name).is_some();
        Self {
            folder,
            has_program: is_set("fprocess") || is_set("function_process"),
        }
    }
}
