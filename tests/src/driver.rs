//! Each test under each driver: one suite, two of the kernel's interfaces, two executors.
//!
//! A machine that refuses io_uring fails the two io_uring parts, so that nobody believes it was tested.
//! `RINGWAY_TEST_DRIVERS=epoll` says that this is known; `RINGWAY_TEST_DRIVERS=auto` leaves the choice
//! to the gateway, which is what a user does.

use std::fmt;

/// What `--driver` is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driver(&'static str);

impl Driver {
    /// io_uring under our own executor.
    pub const RING: Self = Self("ring");
    /// io_uring under monoio.
    pub const MONOIO_URING: Self = Self("monoio-uring");
    /// The fallback.
    pub const EPOLL: Self = Self("epoll");
    /// What the gateway chooses.
    pub const AUTO: Self = Self("auto");

    /// Runs `test`, or says that it was left out on request.
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    pub fn run(self, test: impl FnOnce(Self)) {
        let chosen = std::env::var("RINGWAY_TEST_DRIVERS").unwrap_or_default();
        // Once for each test, where there is one for each driver.
        if chosen == Self::AUTO.0 && self == Self::EPOLL {
            test(Self::AUTO);
        } else if chosen.is_empty() || chosen.split(',').any(|name| name == self.0) {
            test(self);
        } else {
            eprintln!("left out: RINGWAY_TEST_DRIVERS={chosen} does not name {self}");
        }
    }

    /// The word for the flag.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Makes a test for each driver of each function that takes a [`Driver`].
#[macro_export]
macro_rules! under_each_driver {
    ($($name:ident)*) => {
        mod monoio_uring { $(#[test] fn $name() { $crate::Driver::MONOIO_URING.run(super::$name); })* }
        mod ring { $(#[test] fn $name() { $crate::Driver::RING.run(super::$name); })* }
        mod epoll { $(#[test] fn $name() { $crate::Driver::EPOLL.run(super::$name); })* }
    };
}
