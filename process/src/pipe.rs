//! Pipes and descriptor flags.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// A new pipe: the end to read and the end to write. Both are close-on-exec and block; a program
/// expects its own end to block, so the caller calls [`set_nonblocking`] on the end it keeps.
///
/// # Errors
/// `EMFILE` or `ENFILE` if no descriptor is left, pipe(2).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC)?)
}

/// Makes reads and writes return `WouldBlock` instead of waiting.
///
/// The flag belongs to the open file, not to the descriptor: copies share it. The two ends of a
/// pipe are two open files.
///
/// # Errors
/// What fcntl(2) reports.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&fd)?;
    Ok(fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

/// Sets how many bytes a pipe may hold (the default is 64 KiB) and returns what it holds now: the
/// kernel rounds up to a power of two of pages.
///
/// # Errors
/// `EPERM` above /proc/sys/fs/pipe-max-size, `EBUSY` if it holds more now, pipe(7).
pub fn set_pipe_size(pipe: impl AsFd, bytes: usize) -> io::Result<usize> {
    Ok(fcntl_setpipe_size(pipe, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonblocking_end_says_so_and_leaves_the_other_end_alone() {
        let (read, write) = pipe().unwrap();
        set_nonblocking(&read).unwrap();
        assert!(fcntl_getfl(&read).unwrap().contains(OFlags::NONBLOCK));
        assert!(!fcntl_getfl(&write).unwrap().contains(OFlags::NONBLOCK));
        let mut byte = [0];
        let error = rustix::io::read(&read, &mut byte).unwrap_err();
        assert_eq!(error, rustix::io::Errno::AGAIN);
    }

    #[test]
    fn a_pipe_grows() {
        let (_read, write) = pipe().unwrap();
        assert_eq!(set_pipe_size(&write, 200_000).unwrap(), 262_144);
    }
}
