//! Which room may know which: the invariants of ARCHITECTURE.md as tables. Pure: path and code in,
//! findings out.

use crate::code::{names_crate, segments_after, words};

/// A crate that one room alone may name.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) krate: &'static str,
    /// Where paths begin that may name it.
    pub(crate) room: &'static str,
}

/// The doors. `ebpf/` is on the list before it exists, so that its first line is written there.
pub(crate) const DOORS: [Door; 4] = [
    Door {
        krate: "monoio",
        room: "net/",
    },
    Door {
        krate: "io_uring",
        room: "net/",
    },
    Door {
        krate: "bollard",
        room: "gateway/src/provider/swarm",
    },
    Door {
        krate: "aya",
        room: "ebpf/",
    },
];

/// Rooms of the gateway through which requests run.
const DATA_PLANE: [&str; 5] = ["worker", "route", "balance", "pool", "proxy"];

/// Rooms of the gateway that decide.
const CONTROL_PLANE: [&str; 4] = ["control", "provider", "api", "autoscale"];

/// Names from the data plane that the control plane must not know. `route` is no secret: it says
/// what a function may be called.
const DATA_PLANE_SECRETS: [&str; 4] = ["worker", "balance", "pool", "proxy"];

/// Rooms that neither read nor write nor ask for the time.
const PURE_ROOMS: [&str; 4] = [
    "wire/src/",
    "gateway/src/route/",
    "gateway/src/balance.rs",
    "gateway/src/autoscale/decide",
];

/// Modules of `std` through which the world comes in.
const WORLD: [&str; 5] = ["fs", "env", "process", "thread", "os"];

/// What `std::net` has beside addresses, which are values.
const SOCKETS: [&str; 4] = ["TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs"];

/// Rooms of the other plane that the file at `path` names.
pub(crate) fn foreign_rooms(path: &str, code: &str) -> Vec<String> {
    let Some(room) = room_of(path) else {
        return Vec::new();
    };
    let foreign: &[&str] = if DATA_PLANE.contains(&room) {
        &CONTROL_PLANE
    } else if CONTROL_PLANE.contains(&room) {
        &DATA_PLANE_SECRETS
    } else {
        return Vec::new();
    };
    named(code, &["crate", "super"], foreign)
}

/// What a file in a pure room names of the world.
pub(crate) fn world_in_pure_room(path: &str, code: &str) -> Vec<String> {
    if !PURE_ROOMS.iter().any(|room| path.starts_with(room)) {
        return Vec::new();
    }
    let mut found = named(code, &["std"], &WORLD);
    for krate in ["tokio", "net"] {
        // An address is a value; everything else of `net` does something.
        let only_values = krate == "net"
            && segments_after(code, "net")
                .iter()
                .all(|name| *name == "Endpoint");
        if names_crate(code, krate) && !only_values {
            found.push(krate.to_owned());
        }
    }
    let sockets = words(code).filter(|word| SOCKETS.contains(word));
    found.extend(sockets.map(str::to_owned));
    for clock in ["Instant", "SystemTime"] {
        if segments_after(code, clock).contains(&"now") {
            found.push(format!("{clock}::now"));
        }
    }
    found
}

/// Whether a file of the product starts processes behind the back of the crate `process`.
pub(crate) fn starts_processes(path: &str, code: &str) -> bool {
    let may = path.starts_with("process/")
        || path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/build.rs");
    let product = code.split("#[cfg(test)]").next().unwrap_or_default();
    let other_ways = ["std::process::Command", "tokio::process"];
    !may && other_ways.iter().any(|way| product.contains(way))
}

/// The room of the gateway that `path` belongs to.
fn room_of(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("gateway/src/")?;
    let first = inner.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

fn named(code: &str, roots: &[&str], names: &[&str]) -> Vec<String> {
    roots
        .iter()
        .flat_map(|root| segments_after(code, root))
        .filter(|segment| names.contains(segment))
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_plane_is_caught_naming_the_other() {
    let data = "use crate::{limits::Limits, provider::Provider};";
    assert_eq!(
        foreign_rooms("gateway/src/worker/mod.rs", data),
        ["provider"]
    );
    assert_eq!(
        foreign_rooms("gateway/src/pool.rs", "super::control::x()"),
        ["control"]
    );
    let control = "use crate::worker::Worker; use crate::route::is_function_name;";
    assert_eq!(foreign_rooms("gateway/src/api/mod.rs", control), ["worker"]);
    assert!(foreign_rooms("gateway/src/lib.rs", control).is_empty());
    assert!(foreign_rooms("gateway/src/worker/mod.rs", "routes.control").is_empty());
}

#[test]
fn a_pure_room_is_caught_asking_the_world() {
    let asks = "use std::{collections::HashMap, fs}; let now = Instant::now(); tokio::spawn(x);";
    let found = world_in_pure_room("wire/src/head.rs", asks);
    assert_eq!(found, ["fs", "tokio", "Instant::now"]);
    assert!(world_in_pure_room("gateway/src/worker/mod.rs", asks).is_empty());
    assert!(world_in_pure_room("gateway/src/balance.rs", "use net::Endpoint;").is_empty());
}

#[test]
fn a_process_started_elsewhere_is_caught() {
    let code = "let child = std::process::Command::new(x).spawn();";
    assert!(starts_processes(
        "gateway/src/provider/local/replica.rs",
        code
    ));
    assert!(!starts_processes("cli/tests/verbs/main.rs", code));
    assert!(!starts_processes(
        "watchdog/src/mode/fork/start.rs",
        "process::Command::new(x)"
    ));
}
