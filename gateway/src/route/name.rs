//! Names of functions and namespaces.

/// The namespace of a function whose name says none, as in the reference system.
pub const DEFAULT_NAMESPACE: &str = "openfaas-fn";

/// Longest name of a function or namespace, in bytes: a DNS label, since Swarm and Kubernetes
/// make one of it.
const NAME_BYTES_MAX: usize = 63;

/// Whether a function or namespace may be deployed under this name: letters, digits, `-` and
/// `_`, beginning and ending with a letter or digit. No dot: in a URL the dot divides function
/// and namespace.
#[must_use]
pub fn is_function_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= NAME_BYTES_MAX
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels_with_underscores() {
        for good in ["a", "wc", "sha256sum", "a-b_c", "A1"] {
            assert!(is_function_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", ".", "..", "a.b", "a/b", "-a", "a-", "a b", "ä", "a\0", &long,
        ] {
            assert!(!is_function_name(bad), "{bad:?}");
        }
    }
}
