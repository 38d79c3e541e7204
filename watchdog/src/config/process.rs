//! What the watchdog, and with it every process of the function, is to run as.

use std::path::PathBuf;

use super::{ConfigError, RawConfig};

/// Settings that are applied to the watchdog's own process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessSettings {
    /// Its working directory.
    pub(crate) working_dir: Option<PathBuf>,
    /// Permissions that new files do not get, umask(2).
    pub(crate) umask: Option<u32>,
    pub(crate) user: Option<UserSetting>,
}

/// A user, and perhaps a group that is not the user's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserSetting {
    pub(crate) user: NameOrId,
    pub(crate) group: Option<NameOrId>,
}

/// How a user or a group is named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NameOrId {
    Name(String),
    Id(u32),
}

impl ProcessSettings {
    pub(super) fn from_raw(raw: &RawConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            working_dir: raw.get("working_dir").map(PathBuf::from),
            umask: raw.parsed(
                "umask",
                None,
                |text| parse_umask(text).map(Some),
                "up to four octal digits, such as 022 or 0027",
            )?,
            user: raw.parsed(
                "user",
                None,
                |text| parse_user(text).map(Some),
                "a user, by name or number, and a group if it is not the user's own: app, 1000, app:www or 1000:1000",
            )?,
        })
    }
}

fn parse_umask(text: &str) -> Option<u32> {
    // `from_str_radix` takes a sign, which no mask has.
    let is_octal = text.len() <= 4 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mask = u32::from_str_radix(text, 8).ok().filter(|_| is_octal)?;
    (mask <= 0o777).then_some(mask)
}

fn parse_user(text: &str) -> Option<UserSetting> {
    let (user, group) = match text.split_once(':') {
        None => (text, None),
        Some((user, group)) => (user, Some(group)),
    };
    Some(UserSetting {
        user: parse_account(user)?,
        group: match group {
            None => None,
            Some(group) => Some(parse_account(group)?),
        },
    })
}

fn parse_account(text: &str) -> Option<NameOrId> {
    // A name of digits alone is possible, but nobody could tell what it means.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // The last number means "unchanged" to setresuid(2).
        let id = text.parse().ok().filter(|id| *id != u32::MAX)?;
        return Some(NameOrId::Id(id));
    }
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    (text.bytes().all(fits) && !text.starts_with(['-', '+']))
        .then(|| NameOrId::Name(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<ProcessSettings, String> {
        let config = read(&[&[("fprocess", "cat")], variables].concat());
        config.map(|config| config.process)
    }

    #[test]
    fn nothing_is_changed_unless_it_is_asked_for() {
        assert_eq!(settings(&[]), Ok(ProcessSettings::default()));
    }

    #[test]
    fn all_of_it_is_read() {
        let read = settings(&[
            ("working_dir", "/srv"),
            ("umask", "0027"),
            ("user", "app:50"),
        ]);
        let user = UserSetting {
            user: NameOrId::Name("app".to_owned()),
            group: Some(NameOrId::Id(50)),
        };
        let want = ProcessSettings {
            working_dir: Some("/srv".into()),
            umask: Some(0o27),
            user: Some(user),
        };
        assert_eq!(read, Ok(want));
    }

    #[test]
    fn a_mask_is_octal() {
        assert_eq!(parse_umask("0"), Some(0));
        assert_eq!(parse_umask("777"), Some(0o777));
        for wrong in ["8", "1000", "00022", "+22", "0o22", "u=rwx", "-1"] {
            assert_eq!(parse_umask(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn users_that_cannot_be_meant_are_refused() {
        for wrong in [
            ":",
            "a:",
            ":a",
            "a:b:c",
            "-1",
            "a b",
            "4294967295",
            "99999999999",
            "1000:-1",
        ] {
            assert_eq!(parse_user(wrong), None, "{wrong}");
        }
        let error = settings(&[("user", "a:")]).unwrap_err();
        assert_eq!(
            error,
            "user: `a:` cannot be used; give a user, by name or number, and a group if it is not the user's own: app, 1000, app:www or 1000:1000"
        );
    }
}
