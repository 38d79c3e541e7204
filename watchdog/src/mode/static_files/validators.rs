//! What tells one state of a file from another: its entity tag and the time of its last change,
//! RFC 9110 §8.8.
//!
//! The tag is made of the inode's number, the size and the time of the inode's last change. That time cannot
//! be set by anybody, unlike that of the content: an image whose files were all given one date for
//! the sake of a reproducible build still gets new tags with new content. Copies of a file on two
//! machines have different tags.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::conditions::seconds;

/// The clock of file systems ticks this often at most (CONFIG_HZ=100, and a margin): a change so
/// soon after another may leave the same time.
const TICK: Duration = Duration::from_millis(20);

/// What an answer says about the state of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// A strong entity tag, with its quotes. None for a file that has changed this very moment: the
    /// next change might leave the same tag.
    pub(super) tag: Option<String>,
    /// Seconds since 1970. None if that is in the future, or 0, which nobody means.
    pub(super) modified_s: Option<u64>,
}

impl Validators {
    pub(super) fn of(file: &Metadata, now: SystemTime) -> Self {
        let changed = time(file.ctime(), file.ctime_nsec());
        let tag = changed
            .filter(|changed| is_settled(*changed, now))
            .map(|_| {
                // Hashed, since the number of an inode is nobody's business.
                let mut hasher = DefaultHasher::new();
                let state = (file.ino(), file.size(), file.ctime(), file.ctime_nsec());
                state.hash(&mut hasher);
                format!("\"{:016x}\"", hasher.finish())
            });
        let modified_s = time(file.mtime(), file.mtime_nsec())
            .filter(|modified| *modified <= now)
            .and_then(seconds)
            .filter(|seconds| *seconds > 0);
        Self { tag, modified_s }
    }

    /// The tag without its quotes.
    pub(super) fn opaque(&self) -> Option<&[u8]> {
        let tag = self.tag.as_deref()?;
        Some(tag.trim_matches('"').as_bytes())
    }
}

/// A time in the future is that of another machine's clock, and as good as any.
fn is_settled(changed: SystemTime, now: SystemTime) -> bool {
    let apart = now
        .duration_since(changed)
        .unwrap_or_else(|ahead| ahead.duration());
    apart > TICK
}

/// None before 1970.
fn time(seconds: i64, nanoseconds: i64) -> Option<SystemTime> {
    let since = Duration::new(
        u64::try_from(seconds).ok()?,
        u32::try_from(nanoseconds).ok()?,
    );
    UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn a_tag_changes_with_the_file_and_waits_for_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let of = |now| Validators::of(&fs::metadata(&path).unwrap(), now);
        fs::write(&path, "one").unwrap();
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(of(changed).tag, None);
        assert_eq!(of(changed - TICK).tag, None);
        let later = changed + Duration::from_secs(1);
        let first = of(later);
        assert!(first.tag.is_some() && of(changed - TICK * 2).tag.is_some());
        let opaque = first.opaque().unwrap();
        assert_eq!(
            first.tag.as_deref(),
            Some(&*format!("\"{}\"", str::from_utf8(opaque).unwrap()))
        );
        // The same size and date: the tag knows better.
        let other = dir.path().join("other");
        fs::write(&other, "two").unwrap();
        File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(changed)
            .unwrap();
        fs::rename(&other, &path).unwrap();
        let second = of(later);
        assert_eq!(second.modified_s, first.modified_s);
        assert_ne!(second.tag, first.tag);
    }

    #[test]
    fn a_date_that_cannot_be_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = File::create(&path).unwrap();
        let now = SystemTime::now();
        for (date, is_told) in [
            (UNIX_EPOCH, false),
            (UNIX_EPOCH - Duration::from_secs(9), false),
            (now + Duration::from_secs(60), false),
            (UNIX_EPOCH + Duration::from_secs(1), true),
        ] {
            file.set_modified(date).unwrap();
            let told = Validators::of(&file.metadata().unwrap(), now).modified_s;
            assert_eq!(told.is_some(), is_told, "{date:?}");
        }
    }
}
