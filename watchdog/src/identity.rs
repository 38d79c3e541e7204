//! Who the watchdog is, and where: its user and groups, its mask for new files, its working
//! directory.
//!
//! It applies them to itself, once, before it starts anything, so every process of the function has
//! them without a cost. Names are looked up in /etc/passwd and /etc/group and nowhere else: those
//! are the container's own, and a static program has no other way that does not load libraries.
//!
//! What it does not do: change the environment. `HOME` stays what it is.

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};

use crate::config::{NameOrId, ProcessSettings, UserSetting};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Applies all of them.
///
/// # Errors
/// A sentence that begins with the name of the setting.
pub(crate) fn apply(settings: &ProcessSettings) -> Result<(), String> {
    if let Some(mask) = settings.umask {
        umask(Mode::from_bits_truncate(mask));
    }
    if let Some(user) = &settings.user {
        become_user(user).map_err(|problem| format!("user: {problem}"))?;
    }
    // Last, so that a directory in which this user could not work is noticed now.
    if let Some(dir) = &settings.working_dir {
        std::env::set_current_dir(dir).map_err(|error| {
            let dir = dir.display();
            format!("working_dir: {dir} cannot be entered: {error}; give a folder that is there and that the function's user may enter")
        })?;
    }
    Ok(())
}

/// What a setting means on this machine.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    user: u32,
    group: u32,
    /// Further ones.
    groups: Vec<u32>,
}

fn become_user(setting: &UserSetting) -> Result<(), String> {
    let read = |path: &str| match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // An image with nothing but a program has none, and numbers need none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("{path} cannot be read: {error}")),
    };
    let wanted = Identity::find(setting, &read(USERS)?, &read(GROUPS)?)?;
    let (user, group) = (Uid::from_raw(wanted.user), Gid::from_raw(wanted.group));
    if !geteuid().is_root() {
        // Where the container's starter has done it already, there is nothing left to do.
        if (geteuid(), getegid()) == (user, group) {
            return Ok(());
        }
        return Err(format!(
            "only root can become another, and this is user {}; start the watchdog as root, or leave `user` out",
            geteuid()
        ));
    }
    let groups: Vec<_> = wanted.groups.into_iter().map(Gid::from_raw).collect();
    // The user last: no other can be changed after it.
    let changed = setgroups(&groups)
        .and_then(|()| setresgid(group, group, group))
        .and_then(|()| setresuid(user, user, user));
    changed.map_err(|error: Errno| {
        format!("user {user} and group {group} cannot be taken: {error}; the container may lack CAP_SETUID and CAP_SETGID")
    })
}

impl Identity {
    /// Looks names up in the texts of /etc/passwd and /etc/group, passwd(5) and group(5).
    fn find(setting: &UserSetting, users: &str, groups: &str) -> Result<Self, String> {
        let found = lines(users).find(|fields| setting.user.is(fields));
        let user = match (&setting.user, &found) {
            (NameOrId::Id(id), _) => *id,
            (NameOrId::Name(name), None) => return Err(unknown(name, USERS)),
            (NameOrId::Name(name), Some(fields)) => id(fields, 2, name, USERS)?,
        };
        if let Some(group) = &setting.group {
            // Who names a group wants this one and no other.
            return Ok(Self {
                user,
                group: find_group(group, groups)?,
                groups: Vec::new(),
            });
        }
        let Some(fields) = found else {
            return Err(format!(
                "{user} is not in {USERS}, so its group is not known; give it too, such as {user}:{user}"
            ));
        };
        let name = fields[0];
        let is_member = |fields: &Vec<&str>| {
            let members = fields.get(3).copied().unwrap_or_default();
            members.split(',').any(|member| member == name)
        };
        Ok(Self {
            user,
            group: id(&fields, 3, name, USERS)?,
            groups: lines(groups)
                .filter(is_member)
                .filter_map(|fields| fields.get(2)?.parse().ok())
                .collect(),
        })
    }
}

fn find_group(group: &NameOrId, groups: &str) -> Result<u32, String> {
    match group {
        NameOrId::Id(id) => Ok(*id),
        NameOrId::Name(name) => match lines(groups).find(|fields| group.is(fields)) {
            Some(fields) => id(&fields, 2, name, GROUPS),
            None => Err(unknown(name, GROUPS)),
        },
    }
}

impl NameOrId {
    /// Whether a line is about this user or group.
    fn is(&self, fields: &[&str]) -> bool {
        match self {
            Self::Name(name) => fields[0] == name,
            Self::Id(id) => fields.get(2).is_some_and(|own| own.parse() == Ok(*id)),
        }
    }
}

/// The fields of each line; there is always one.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

fn id(fields: &[&str], at: usize, name: &str, path: &str) -> Result<u32, String> {
    let id = fields.get(at).and_then(|text| text.parse().ok());
    id.ok_or_else(|| format!("the line of `{name}` in {path} is broken"))
}

fn unknown(name: &str, path: &str) -> String {
    format!("`{name}` is not in {path}; give one that is there, or a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:100::/home/app:/bin/sh\nodd:x:many:1:::\n";
    const GROUP: &str = "root:x:0:\nwww:x:33:app,other\nnone:x:44:application\nlog:x:4:other,app\n";

    fn find(user: NameOrId, group: Option<NameOrId>) -> Result<(u32, u32, Vec<u32>), String> {
        let found = Identity::find(&UserSetting { user, group }, PASSWD, GROUP);
        found.map(|found| (found.user, found.group, found.groups))
    }

    fn name(name: &str) -> NameOrId {
        NameOrId::Name(name.to_owned())
    }

    #[test]
    fn a_user_brings_its_groups_unless_one_is_given() {
        let own = Ok((1000, 100, vec![33, 4]));
        assert_eq!(find(name("app"), None), own);
        assert_eq!(find(NameOrId::Id(1000), None), own);
        let given = |group| find(name("app"), Some(group));
        assert_eq!(given(name("www")), Ok((1000, 33, Vec::new())));
        assert_eq!(given(NameOrId::Id(7)), Ok((1000, 7, Vec::new())));
        // Numbers need not be known.
        let both = find(NameOrId::Id(5), Some(NameOrId::Id(6)));
        assert_eq!(both, Ok((5, 6, Vec::new())));
    }

    #[test]
    fn what_cannot_be_found_is_named() {
        for (user, group, want) in [
            (
                name("nobody"),
                None,
                "`nobody` is not in /etc/passwd; give one that is there, or a number",
            ),
            (
                name("app"),
                Some(name("app")),
                "`app` is not in /etc/group; give one that is there, or a number",
            ),
            (
                NameOrId::Id(7),
                None,
                "7 is not in /etc/passwd, so its group is not known; give it too, such as 7:7",
            ),
            (
                name("odd"),
                None,
                "the line of `odd` in /etc/passwd is broken",
            ),
        ] {
            assert_eq!(find(user, group), Err(want.to_owned()));
        }
    }
}
