//! The wall clock of a worker: the value of `Date`, written anew once a second.

use std::{
    cell::RefCell,
    io::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use httpdate::HttpDate;

/// Length of an IMF-fixdate (RFC 9110, 5.6.7), in bytes.
const DATE_BYTES: usize = 29;

/// One per worker.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    date: RefCell<(u64, [u8; DATE_BYTES])>,
}

impl Clock {
    /// Time since the epoch; zero before it.
    pub(crate) fn since_epoch() -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    /// The value of `Date` for this moment.
    pub(crate) fn date(&self) -> [u8; DATE_BYTES] {
        let seconds = Self::since_epoch().as_secs();
        let mut cached = self.date.borrow_mut();
        if cached.0 != seconds {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            // Into the array itself: a string would be an allocation. It fits, as any date does.
            let (at, text) = &mut *cached;
            if write!(&mut text[..], "{}", HttpDate::from(time)).is_ok() {
                *at = seconds;
            }
        }
        cached.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_an_imf_fixdate() {
        let date = Clock::default().date();
        let text = std::str::from_utf8(&date).unwrap();
        httpdate::parse_http_date(text).unwrap();
    }
}
