//! End-to-end tests of the whole product: placeholder, filled by the test suite.
#![forbid(unsafe_code)]
