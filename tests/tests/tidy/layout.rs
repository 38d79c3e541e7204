//! Manifests and the code map: small questions to files that are not Rust. Pure: text in, answers
//! out.

use std::collections::BTreeSet;

/// Whether `path` is where the compiler begins with `krate`.
pub(crate) fn is_crate_root_of(path: &str, krate: &str) -> bool {
    let own = path.strip_prefix(krate);
    // A package with a library keeps its rooms there, and its `main.rs` is a few lines.
    matches!(own, Some("/src/lib.rs")) || own == Some("/src/main.rs") && krate == "cli"
}

/// Whether a manifest names the dependency, for tests or not. Cargo takes `-` and `_` as one.
pub(crate) fn depends_on(manifest: &str, krate: &str) -> bool {
    let mut in_dependencies = false;
    manifest.lines().any(|line| {
        if let Some(section) = line.trim().strip_prefix('[') {
            in_dependencies = section.trim_end_matches(']').ends_with("dependencies");
        }
        let name: String = line
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_'))
            .collect();
        in_dependencies && name.replace('-', "_") == krate
    })
}

/// Whether a manifest is the workspace's own or takes its lints.
pub(crate) fn takes_workspace_lints(manifest: &str) -> bool {
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    let takes = |pair: &[&str]| pair == ["[lints]", "workspace = true"];
    lines.contains(&"[workspace]") || lines.windows(2).any(takes)
}

/// The folders in the section "Code map": what stands in backticks and ends with a slash.
pub(crate) fn code_map(architecture: &str) -> BTreeSet<String> {
    let section = architecture
        .split("\n## ")
        .find(|section| section.starts_with("Code map"))
        .unwrap_or_default();
    section
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| quoted.ends_with('/'))
        .map(str::to_owned)
        .collect()
}

/// Folders at the top, and the rooms of the gateway.
pub(crate) fn belongs_on_the_map(folder: &str) -> bool {
    let depth = folder.matches('/').count();
    depth == 1 || depth == 3 && folder.starts_with("gateway/src/")
}

#[test]
fn a_manifest_is_read_by_section() {
    let manifest =
        "[package]\nmonoio = 1\n[dev-dependencies]\nio-uring = \"0.7\"\nhyper.workspace = true\n";
    assert!(depends_on(manifest, "io_uring") && depends_on(manifest, "hyper"));
    assert!(!depends_on(manifest, "monoio") && !depends_on(manifest, "io"));
}

#[test]
fn lints_are_taken_or_missed() {
    assert!(takes_workspace_lints("[lints]\nworkspace = true\n"));
    assert!(takes_workspace_lints("[workspace]\nmembers = []\n"));
    assert!(!takes_workspace_lints(
        "[package]\nversion.workspace = true\n"
    ));
}

#[test]
fn the_map_is_what_stands_in_backticks_with_a_slash() {
    let text = "# A\n\n## Before\n`x/`\n\n## Code map\n| `a/` | one |\n| `a/src/b/` | `c.rs` |\n\n## After\n`y/`\n";
    let expected = BTreeSet::from(["a/".to_owned(), "a/src/b/".to_owned()]);
    assert_eq!(code_map(text), expected);
}

#[test]
fn only_the_top_and_the_rooms_of_the_gateway_need_a_line() {
    for (folder, needed) in [
        ("wire/", true),
        ("gateway/src/worker/", true),
        ("gateway/src/", false),
        ("gateway/src/provider/local/", false),
        ("wire/src/body/", false),
    ] {
        assert_eq!(belongs_on_the_map(folder), needed, "{folder}");
    }
}

/// The variables that a file of settings reads: the first argument of each `raw.something("name", …)`.
pub(crate) fn variables(text: &str) -> Vec<String> {
    let name = |call: &str| {
        let (_method, arguments) = call.split_once('(')?;
        let (name, _) = arguments.trim_start().strip_prefix('"')?.split_once('"')?;
        Some(name.to_owned())
    };
    text.split("raw.").skip(1).filter_map(name).collect()
}
