//! Where this process stands in the cgroup trees, read from two texts of /proc.
//!
//! Pure: the texts come in, paths go out. Formats: proc_pid_mountinfo(5) and cgroups(7),
//! "/proc files".

use std::path::{Path, PathBuf};

/// The folder of one cgroup tree that this process is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The process's own folder.
    pub(crate) own: PathBuf,
    /// Where the tree is mounted; `own` is this or below.
    pub(crate) mount: PathBuf,
}

/// The version 2 tree, if it is mounted.
pub(crate) fn version_2(mountinfo: &str, cgroup: &str) -> Option<Place> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts(mountinfo).find(|mount| mount.kind == "cgroup2")?;
    Some(place(&mount, path))
}

/// The version 1 tree that has `controller`, if there is one.
pub(crate) fn version_1(mountinfo: &str, cgroup: &str, controller: &str) -> Option<Place> {
    let path = cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        controllers
            .split(',')
            .any(|name| name == controller)
            .then(|| fields.next())?
    })?;
    let mount = mounts(mountinfo).find(|mount| {
        mount.kind == "cgroup" && mount.options.split(',').any(|name| name == controller)
    })?;
    Some(place(&mount, path))
}

struct Mount<'t> {
    /// The folder of the tree that is mounted here: not `/` in many containers.
    root: String,
    point: PathBuf,
    kind: &'t str,
    options: &'t str,
}

fn mounts(mountinfo: &str) -> impl Iterator<Item = Mount<'_>> {
    mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let kind = after.next()?;
        let options = after.nth(1)?;
        Some(Mount {
            root: unescape(root),
            point: unescape(point).into(),
            kind,
            options,
        })
    })
}

/// The kernel writes space, tab, newline and backslash as a backslash and three octal digits.
fn unescape(text: &str) -> String {
    let plain = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    plain.iter().fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

fn place(mount: &Mount<'_>, path: &str) -> Place {
    // Seen from inside a container, the path may begin with the part that is mounted as the root,
    // or lie outside of what is mounted; then the mount point is the nearest that can be reached.
    let inside = Path::new(path).strip_prefix(&mount.root).ok();
    let safe = inside.filter(|inside| inside.components().all(|part| part.as_os_str() != ".."));
    let own = safe.map_or_else(|| mount.point.clone(), |inside| mount.point.join(inside));
    Place {
        own,
        mount: mount.point.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURE_2: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const MIXED: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn place(own: &str, mount: &str) -> Option<Place> {
        Some(Place {
            own: own.into(),
            mount: mount.into(),
        })
    }

    #[test]
    fn finds_version_2() {
        let own = "0::/user.slice/user-1000.slice\n";
        let want = place(
            "/sys/fs/cgroup/user.slice/user-1000.slice",
            "/sys/fs/cgroup",
        );
        assert_eq!(version_2(PURE_2, own), want);
        assert_eq!(version_1(PURE_2, own, "memory"), None);
        assert_eq!(
            version_2(PURE_2, "0::/\n"),
            place("/sys/fs/cgroup/", "/sys/fs/cgroup")
        );
    }

    #[test]
    fn finds_version_1_beside_it() {
        let own = "9:name=systemd:/\n4:memory:/box/1\n1:cpu,cpuacct:/\n0::/\n";
        let memory = place("/sys/fs/cgroup/memory/box/1", "/sys/fs/cgroup/memory");
        assert_eq!(version_1(MIXED, own, "memory"), memory);
        let cpu = place("/sys/fs/cgroup/cpu,cpuacct/", "/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(version_1(MIXED, own, "cpu"), cpu);
        assert_eq!(version_1(MIXED, own, "pids"), None);
        assert!(version_2(MIXED, own).is_some());
    }

    #[test]
    fn maps_paths_of_containers() {
        let mounted = "9 8 0:1 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let cases = [
            ("4:memory:/docker/abc\n", "/sys/fs/cgroup/memory/"),
            ("4:memory:/docker/abc/in\n", "/sys/fs/cgroup/memory/in"),
            ("4:memory:/\n", "/sys/fs/cgroup/memory"),
            ("4:memory:/../other\n", "/sys/fs/cgroup/memory"),
        ];
        for (own, want) in cases {
            assert_eq!(
                version_1(mounted, own, "memory"),
                place(want, "/sys/fs/cgroup/memory"),
                "{own}"
            );
        }
    }

    #[test]
    fn reads_escaped_mount_points() {
        let mounted = "9 8 0:1 / /mnt/a\\040b rw - cgroup2 none rw\n";
        assert_eq!(
            version_2(mounted, "0::/x\n"),
            place("/mnt/a b/x", "/mnt/a b")
        );
    }
}
