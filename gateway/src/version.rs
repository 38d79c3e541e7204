//! Which release this is and which commit it was built from.
//!
//! The commit comes from `build.rs`. Nothing here asks the environment at run time.

/// Release, as in Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// First digits of the commit, or `unknown` for a build without git.
pub const GIT_SHA: &str = env!("RINGWAY_GIT_SHA");
