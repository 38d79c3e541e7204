//! A function with an HTTP server of its own, started by the tests of the watchdog's http mode.
//! All of it is in the library.

#![forbid(unsafe_code)]

fn main() {
    tests::function::serve();
}
