//! A worker, started by the tests of the watchdog's worker mode. All of it is in the library.

#![forbid(unsafe_code)]

fn main() {
    tests::worker::serve();
}
