//! The house rules, checked: each test is one rule of CONTRIBUTING.md or ARCHITECTURE.md, and its
//! message says what to do.
//!
//! A rule that only people guard is broken within a month, and the person who breaks it is the last
//! to know. These tests read the tree as text, so they need no build of it and take milliseconds.
//! They do not judge style that rustfmt and clippy judge already.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "a tree that cannot be read fails the test, as it should"
)]

mod code;
mod layout;
mod modules;
mod rooms;
mod tree;

use std::collections::BTreeSet;

use tree::{File, Tree};

/// A file longer than this is two subjects.
const LINES_MAX: usize = 400;

/// The only files that may hold `unsafe`.
const UNSAFE_ROOMS: [&str; 7] = [
    // An allocator that counts, of a test alone.
    "gateway/tests/allocations/counting.rs",
    "net/src/fd.rs",
    "net/src/ring/kernel.rs",
    "net/src/ring/operations.rs",
    // The fake kernel has the real one's signature.
    "net/src/ring/operations/tests.rs",
    "net/src/ring/uring.rs",
    "process/src/unix.rs",
];

/// Crates that promise at their root to have none.
const SAFE_CRATES: [&str; 6] = ["wire", "conduit", "gateway", "watchdog", "cli", "tests"];

/// Crates with an unsafe room: no other room of theirs may have any.
const GUARDED_CRATES: [&str; 2] = ["net", "process"];

/// Fails with one line per finding and what to do about them.
fn assert_none(findings: &[String], advice: &str) {
    assert!(
        findings.is_empty(),
        "\n{}\n\n{advice}\n",
        findings.join("\n")
    );
}

/// What `rule` finds in each Rust file.
fn in_each_file(rule: impl Fn(&File) -> Option<String>) -> Vec<String> {
    Tree::read().rust.iter().filter_map(rule).collect()
}

#[test]
fn a_file_is_one_page() {
    let long = in_each_file(|file| {
        let lines = file.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines", file.path))
    });
    assert_none(
        &long,
        "Divide the file by subject, or move its tests to NAME/tests.rs (at most 400 lines).",
    );
}

#[test]
fn a_file_opens_with_what_it_is_for() {
    let mute = in_each_file(|file| {
        let speaks = file.text.starts_with("//! ");
        (!speaks).then(|| file.path.clone())
    });
    assert_none(
        &mute,
        "Begin the file with `//! `: one sentence of what, then why it exists, then what it does not do.",
    );
}

#[test]
fn unsafe_code_stays_in_its_rooms() {
    let astray = in_each_file(|file| {
        let allowed = UNSAFE_ROOMS.contains(&file.path.as_str());
        let found = code::words(&file.code).any(|word| word == "unsafe");
        (found && !allowed).then(|| file.path.clone())
    });
    assert_none(
        &astray,
        "Move the unsafe operation to a room listed in UNSAFE_ROOMS of this test, or find a safe way.",
    );
}

#[test]
fn crates_promise_to_be_safe_at_their_root() {
    let tree = Tree::read();
    let promises = |krate: &str, promise: &str| {
        tree.rust
            .iter()
            .filter(|file| layout::is_crate_root_of(&file.path, krate))
            .filter(|file| !file.text.contains(promise))
            .map(|file| format!("{}: lacks {promise}", file.path))
            .collect::<Vec<_>>()
    };
    let mut broken = Vec::new();
    for krate in SAFE_CRATES {
        broken.extend(promises(krate, "#![forbid(unsafe_code)]"));
    }
    for krate in GUARDED_CRATES {
        broken.extend(promises(krate, "#![deny(unsafe_code)]"));
    }
    assert_none(&broken, "Put the attribute at the root of the crate.");
}

#[test]
fn platform_crates_stay_behind_their_door() {
    let tree = Tree::read();
    let mut astray = Vec::new();
    for door in &rooms::DOORS {
        for file in &tree.rust {
            if !file.path.starts_with(door.room) && code::names_crate(&file.code, door.krate) {
                astray.push(format!("{}: names `{}`", file.path, door.krate));
            }
        }
        for manifest in &tree.manifests {
            let package = door.room.split('/').next().unwrap_or(door.room);
            let own =
                manifest.path == "Cargo.toml" || manifest.path.split('/').next() == Some(package);
            if !own && layout::depends_on(&manifest.text, door.krate) {
                astray.push(format!("{}: depends on `{}`", manifest.path, door.krate));
            }
        }
    }
    assert_none(
        &astray,
        "Use the door (net, provider, ebpf); what the door lacks is added to the door.",
    );
}

#[test]
fn the_planes_know_each_other_only_through_the_joints() {
    let astray = in_each_file(|file| {
        let foreign = rooms::foreign_rooms(&file.path, &file.code);
        (!foreign.is_empty()).then(|| format!("{}: names {foreign:?}", file.path))
    });
    assert_none(
        &astray,
        "Down goes a Snapshot, up go counters and wake requests (ARCHITECTURE.md, invariants).",
    );
}

#[test]
fn pure_rooms_touch_no_world() {
    let impure = in_each_file(|file| {
        let world = rooms::world_in_pure_room(&file.path, &file.code);
        (!world.is_empty()).then(|| format!("{}: names {world:?}", file.path))
    });
    assert_none(
        &impure,
        "Take bytes, `now` and a random generator as arguments; the caller has the socket and clock.",
    );
}

#[test]
fn only_one_crate_starts_processes() {
    let astray = in_each_file(|file| {
        rooms::starts_processes(&file.path, &file.code).then(|| file.path.clone())
    });
    assert_none(
        &astray,
        "Start it through the crate `process`: no leaked descriptor, no zombie, no fork.",
    );
}

#[test]
fn no_file_is_dead() {
    let tree = Tree::read();
    let paths: BTreeSet<&str> = tree.rust.iter().map(|file| file.path.as_str()).collect();
    let live = modules::reachable(&tree.rust);
    let dead: Vec<String> = paths
        .iter()
        .filter(|path| !live.contains(**path))
        .map(|path| (*path).to_owned())
        .collect();
    assert_none(
        &dead,
        "No `mod` line and no target leads to the file: add one, or delete it.",
    );
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
    ];
    let tree = Tree::read();
    let found: Vec<String> = tree
        .sources()
        .flat_map(|file| file.text.lines().enumerate().map(move |line| (file, line)))
        .filter(|(_, (_, line))| marks.iter().any(|mark| line.contains(mark)))
        .map(|(file, (number, line))| format!("{}:{}: {}", file.path, number + 1, line.trim()))
        .collect();
    assert_none(
        &found,
        "Do it now, or file an issue and leave the mark out.",
    );
}

#[test]
fn every_crate_obeys_the_lints_of_the_workspace() {
    let lax: Vec<String> = Tree::read()
        .manifests
        .iter()
        .filter(|manifest| !layout::takes_workspace_lints(&manifest.text))
        .map(|manifest| manifest.path.clone())
        .collect();
    assert_none(&lax, "Add `[lints]` with `workspace = true`.");
}

#[test]
fn the_code_map_names_every_folder_and_no_other() {
    let tree = Tree::read();
    let map = layout::code_map(&tree.architecture);
    let missing = tree
        .folders
        .iter()
        .filter(|folder| layout::belongs_on_the_map(folder) && !map.contains(*folder))
        .map(|folder| format!("{folder}: not on the map"));
    let invented = map
        .iter()
        .filter(|folder| !tree.folders.contains(*folder))
        .map(|folder| format!("{folder}: on the map only"));
    let findings: Vec<String> = missing.chain(invented).collect();
    assert_none(
        &findings,
        "Mend the section \"Code map\" of ARCHITECTURE.md: one line per folder, path in backticks with a slash at its end.",
    );
}

#[test]
fn every_variable_of_the_watchdog_is_in_its_guide() {
    let tree = Tree::read();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(root.join("../docs/watchdog.md")).unwrap();
    let settings = tree.rust.iter().filter(|file| {
        file.path.starts_with("watchdog/src/config/") && !file.path.ends_with("tests.rs")
    });
    let names: BTreeSet<String> = settings
        .flat_map(|file| layout::variables(&file.text))
        .collect();
    assert!(names.len() > 30, "they are looked for in the wrong way");
    let missing: Vec<String> = names
        .into_iter()
        .filter(|name| !guide.contains(&format!("`{name}`")) && !name.starts_with("LISTEN_"))
        .collect();
    assert_none(
        &missing,
        "Say in docs/watchdog.md what each means, with unit and default.",
    );
}
