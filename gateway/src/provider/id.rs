//! Which function is meant: a name in a namespace.

use std::fmt;

use super::{FunctionDeployment, ProviderError};
use crate::route::{DEFAULT_NAMESPACE, is_function_name};

/// Name and namespace, both proved to be names and so safe in a path. Ordered by namespace, then
/// name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId {
    namespace: Box<str>,
    name: Box<str>,
}

impl FunctionId {
    /// Checks both; an empty namespace means the default one.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] says which of the two is no name.
    pub fn new(name: &str, namespace: &str) -> Result<Self, ProviderError> {
        let check = |field: &str, text: &str| {
            if is_function_name(text) {
                return Ok(Box::from(text));
            }
            let shown = text.escape_default();
            Err(ProviderError::invalid(
                field,
                format!(
                    "'{shown}' is no name: use 1 to 63 letters, digits, '-' and '_', with a letter or digit at both ends"
                ),
            ))
        };
        let namespace = or_default(namespace);
        Ok(Self {
            namespace: check("namespace", namespace)?,
            name: check("name", name)?,
        })
    }

    /// Which function a deployment means.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] names the field of the deployment that is missing or no name.
    pub fn of(deployment: &FunctionDeployment) -> Result<Self, ProviderError> {
        if deployment.service.is_empty() {
            let why = "the function has no name; set it";
            return Err(ProviderError::invalid("service", why));
        }
        Self::new(&deployment.service, &deployment.namespace)
            .map_err(|error| error.with_field("name", "service"))
    }

    /// Reads `NAME` or `NAME.NAMESPACE`, with a namespace that may also be given beside it.
    ///
    /// # Errors
    /// As [`FunctionId::new`]; also if two different namespaces are given.
    pub fn parse(text: &str, beside: &str) -> Result<Self, ProviderError> {
        match text.split_once('.') {
            None => Self::new(text, beside),
            Some((name, namespace)) if beside.is_empty() || beside == namespace => {
                Self::new(name, namespace)
            }
            Some((_, namespace)) => Err(ProviderError::invalid(
                "namespace",
                format!(
                    "the name says '{}' and the request says '{}'",
                    namespace.escape_default(),
                    beside.escape_default()
                ),
            )),
        }
    }

    /// The name within its namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `NAME.NAMESPACE`, which is a spelling of every function.
    #[must_use]
    pub fn qualified(&self) -> String {
        format!("{}.{}", self.name, self.namespace)
    }
}

impl fmt::Display for FunctionId {
    /// `NAME`, or `NAME.NAMESPACE` outside the default namespace: how it is called and counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if &*self.namespace == DEFAULT_NAMESPACE {
            return Ok(());
        }
        write!(f, ".{}", self.namespace)
    }
}

/// The namespace that is meant when none is given.
pub(crate) fn or_default(namespace: &str) -> &str {
    if namespace.is_empty() {
        DEFAULT_NAMESPACE
    } else {
        namespace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_mean_the_same_function() {
        let short = FunctionId::parse("wc", "").unwrap();
        let long = FunctionId::parse("wc.openfaas-fn", "").unwrap();
        assert_eq!(short, long);
        assert_eq!(short.to_string(), "wc");
        assert_eq!(short.qualified(), "wc.openfaas-fn");
        let other = FunctionId::parse("wc.dev", "dev").unwrap();
        assert_eq!(other.to_string(), "wc.dev");
        assert_eq!(other, FunctionId::parse("wc", "dev").unwrap());
    }

    #[test]
    fn what_could_leave_a_directory_is_no_name() {
        for (name, namespace) in [
            ("", ""),
            ("..", ""),
            ("a/b", ""),
            ("wc", "../x"),
            ("wc", ".."),
            ("a b", ""),
            ("wc.a.b", ""),
            ("wc.dev", "prod"),
        ] {
            let error = FunctionId::parse(name, namespace).unwrap_err();
            assert!(
                matches!(error, ProviderError::Invalid { .. }),
                "{name} {namespace}: {error}"
            );
        }
    }
}
