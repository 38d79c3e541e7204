//! From a request target to the one who answers it. Pure: bytes in, a verdict out.

mod name;

pub use name::{DEFAULT_NAMESPACE, is_function_name};
