//! The tree as the rules see it: its Rust files, its manifests, its folders.
//!
//! Walks the folders itself, since a source archive has no git to ask. What is built or hidden is
//! left out.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::code;

/// Folders that hold no source of ours.
const LEFT_OUT: [&str; 2] = ["target", "node_modules"];

/// Text that people maintain by hand, by the end of the name.
const SOURCES: [&str; 7] = [".toml", ".sh", ".py", ".c", ".lua", ".yml", ".yaml"];

/// A text file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments and literals; empty where it is not Rust.
    pub(crate) code: String,
}

/// What the rules read.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) rust: Vec<File>,
    pub(crate) manifests: Vec<File>,
    other: Vec<File>,
    /// Every folder, with a slash at its end.
    pub(crate) folders: BTreeSet<String>,
    pub(crate) architecture: String,
}

impl Tree {
    /// Reads the repository that this test was built from.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut tree = Self::default();
        let mut waiting = vec![root.to_path_buf()];
        while let Some(folder) = waiting.pop() {
            for path in entries(&folder) {
                if path.is_dir() {
                    waiting.push(path);
                } else {
                    tree.add(root, &path);
                }
            }
        }
        tree
    }

    /// Rust and everything else that is maintained by hand.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &File> {
        self.rust.iter().chain(&self.manifests).chain(&self.other)
    }

    fn add(&mut self, root: &Path, path: &Path) {
        let name = relative(root, path);
        // Only folders with files in them: git knows no others.
        let ends = name.match_indices('/').map(|(slash, _)| slash + 1);
        self.folders.extend(ends.map(|end| name[..end].to_owned()));
        let file = |text: String| File {
            path: name.clone(),
            code: String::new(),
            text,
        };
        if name.ends_with(".rs") {
            let text = fs::read_to_string(path).unwrap();
            let code = code::without_comments_and_literals(&text);
            self.rust.push(File { code, ..file(text) });
        } else if path.ends_with("Cargo.toml") {
            self.manifests.push(file(fs::read_to_string(path).unwrap()));
        } else if name == "ARCHITECTURE.md" {
            self.architecture = fs::read_to_string(path).unwrap();
        } else if SOURCES.iter().any(|end| name.ends_with(end)) {
            self.other.push(file(fs::read_to_string(path).unwrap()));
        }
    }
}

/// What is in `folder`, but not what is hidden or built.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with('.') && !LEFT_OUT.contains(&name.as_ref())
        })
        .collect();
    paths.sort();
    paths
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap()
        .to_string_lossy()
        .replace('\\', "/")
}
