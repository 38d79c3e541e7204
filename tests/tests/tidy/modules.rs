//! Which files a compiler would reach: from every target along its `mod` lines. Pure: paths and
//! code in, paths out.
//!
//! Targets are found where Cargo looks for them by itself. `#[path]` and modules inside inline
//! modules are not followed: this tree has neither.

use std::collections::BTreeSet;

use crate::{code::words, tree::File};

/// The files that some target reaches.
pub(crate) fn reachable(files: &[File]) -> BTreeSet<String> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&File> = files.iter().filter(|file| is_target(&file.path)).collect();
    while let Some(file) = waiting.pop() {
        if !reached.insert(file.path.clone()) {
            continue;
        }
        let folder = folder_of_modules(&file.path);
        for name in declared(&file.code) {
            let places = [
                format!("{folder}{name}.rs"),
                format!("{folder}{name}/mod.rs"),
            ];
            waiting.extend(places.iter().filter_map(|path| find(path)));
        }
    }
    reached
}

/// Whether Cargo makes a target of it: `PACKAGE/src/main.rs`, `PACKAGE/tests/NAME/main.rs`, ….
fn is_target(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts[..],
        [_, "build.rs"]
            | [_, "src", "lib.rs" | "main.rs"]
            | [_, "src", "bin", _]
            | [_, "tests" | "benches" | "examples", _]
            | [_, "tests" | "benches" | "examples", _, "main.rs"]
            // A package in a package, with targets named in its manifest.
            | ["tests", "fuzz", "src", "lib.rs"]
            | ["tests", "fuzz", "fuzz_targets", _]
            // What the product is measured against.
            | ["bench-results", .., "src", "main.rs"]
    )
}

/// Where the modules that a file declares are looked for.
fn folder_of_modules(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if is_target(path) || name == "mod.rs" {
        return format!("{folder}/");
    }
    format!("{folder}/{}/", name.trim_end_matches(".rs"))
}

/// The names in `mod NAME;`.
fn declared(code: &str) -> Vec<&str> {
    let words: Vec<&str> = words(code).collect();
    words
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .map(|three| three[1])
        .collect()
}

#[test]
fn a_file_that_nobody_declares_is_not_reached() {
    let file = |path: &str, code: &str| File {
        path: path.to_owned(),
        text: String::new(),
        code: code.to_owned(),
    };
    let files = [
        file(
            "a/src/lib.rs",
            "mod one; pub(crate) mod two; mod inline { }",
        ),
        file("a/src/one.rs", "#[cfg(test)] mod tests;"),
        file("a/src/one/tests.rs", ""),
        file("a/src/two/mod.rs", "mod three;"),
        file("a/src/two/three.rs", ""),
        file("a/src/dead.rs", "mod deader;"),
        file("a/src/dead/deader.rs", ""),
        file("a/tests/suite/main.rs", "mod part;"),
        file("a/tests/suite/part.rs", ""),
        file("a/build.rs", ""),
    ];
    let reached = reachable(&files);
    let dead: Vec<&str> = files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| !reached.contains(*path))
        .collect();
    assert_eq!(dead, ["a/src/dead.rs", "a/src/dead/deader.rs"]);
}
