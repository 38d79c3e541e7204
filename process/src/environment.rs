//! A child's environment as one block of memory.
//!
//! A server that starts a process per request fills one [`Environment`] per request and reuses its
//! memory: two buffers, no allocation per variable.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

/// A variable that cannot be part of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable `{name}` cannot be set: {why}")]
pub struct BadVariable {
    name: String,
    why: &'static str,
}

/// Variables for a child, in the order in which they were set.
///
/// A name that is set twice is there twice, and programs differ in which one they take: this type
/// does not search, so that filling it stays linear. The caller sets each name once.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `NAME=value\0` one after the other.
    bytes: Vec<u8>,
    /// Where each of them begins.
    starts: Vec<usize>,
}

impl Environment {
    /// Adds `name=value`.
    ///
    /// # Errors
    /// If the name is empty or has `=` in it, or either has a NUL; nothing is added then.
    pub fn set(
        &mut self,
        name: impl AsRef<OsStr>,
        value: impl AsRef<OsStr>,
    ) -> Result<(), BadVariable> {
        let (name, value) = (name.as_ref().as_bytes(), value.as_ref().as_bytes());
        let why = if name.is_empty() {
            "its name is empty"
        } else if name.contains(&b'=') {
            "its name contains `=`"
        } else if name.contains(&0) || value.contains(&0) {
            "it contains a NUL byte"
        } else {
            self.starts.push(self.bytes.len());
            for part in [name, b"=", value, b"\0"] {
                self.bytes.extend_from_slice(part);
            }
            return Ok(());
        };
        Err(BadVariable {
            name: String::from_utf8_lossy(name).into_owned(),
            why,
        })
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    /// How many variables there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Those of `base` whose names are not set here.
    pub(crate) fn not_overridden<'s>(&'s self, base: &'s Self) -> impl Iterator<Item = &'s CStr> {
        // Dozens against dozens, and most differ in their first bytes: no map would be faster.
        let name_length =
            |entry: &[u8]| entry.iter().position(|byte| *byte == b'=').map(|at| at + 1);
        base.iter().filter(move |entry| {
            let entry = entry.to_bytes();
            let name = &entry[..name_length(entry).unwrap_or(entry.len())];
            !self
                .starts
                .iter()
                .any(|start| self.bytes[*start..].starts_with(name))
        })
    }

    /// Each variable as `NAME=value`, in order.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.starts
            .iter()
            .filter_map(|start| CStr::from_bytes_until_nul(&self.bytes[*start..]).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_variables_in_order_and_can_be_reused() {
        let mut environment = Environment::default();
        environment.set("A", "1").unwrap();
        environment.set("B", "two = 2").unwrap();
        environment.set("EMPTY", "").unwrap();
        let entries: Vec<_> = environment
            .iter()
            .map(|entry| entry.to_str().unwrap())
            .collect();
        assert_eq!(entries, ["A=1", "B=two = 2", "EMPTY="]);
        environment.clear();
        assert!(environment.is_empty());
        environment.set("C", "3").unwrap();
        assert_eq!(environment.iter().next(), Some(c"C=3"));
        assert_eq!(environment.len(), 1);
    }

    #[test]
    fn hides_what_it_overrides() {
        let (mut base, mut over) = (Environment::default(), Environment::default());
        for name in ["A", "AB", "B", "C"] {
            base.set(name, "base").unwrap();
        }
        over.set("AB", "").unwrap();
        over.set("C", "x").unwrap();
        let left: Vec<_> = over.not_overridden(&base).collect();
        assert_eq!(left, [c"A=base", c"B=base"]);
        assert_eq!(Environment::default().not_overridden(&base).count(), 4);
    }

    #[test]
    fn refuses_what_no_environment_can_hold() {
        let mut environment = Environment::default();
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0y")] {
            assert!(environment.set(name, value).is_err(), "{name:?}={value:?}");
        }
        assert!(environment.is_empty());
    }
}
