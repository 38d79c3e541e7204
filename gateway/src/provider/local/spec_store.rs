//! What was deployed, on disk: `functions/NAMESPACE/NAME.json` and `namespaces/NAME.json` in the
//! state directory.
//!
//! What it does not do: keep anything in memory, or order two writes of one function; the
//! provider does.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::durable;
use crate::{
    provider::{FunctionDeployment, FunctionId, Namespace, ProviderError},
    route::is_function_name,
};

/// A function as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredFunction {
    /// Word for word, but for credentials.
    pub(crate) deployment: FunctionDeployment,
    /// How many replicas there are to be.
    pub(crate) replicas: u32,
    /// When it was first deployed, RFC 3339.
    pub(crate) created_at: String,
}

/// Makes a change off the control thread, which must not wait for a disk.
///
/// # Errors
/// [`ProviderError::Storage`] with what the file system said.
pub(crate) async fn on_disk(
    store: &SpecStore,
    what: String,
    change: impl FnOnce(&SpecStore) -> io::Result<()> + Send + 'static,
) -> Result<(), ProviderError> {
    let store = store.clone();
    match spawn_blocking(move || change(&store)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(ProviderError::Storage { what, source }),
        Err(error) => Err(ProviderError::Internal(format!("{what}: {error}"))),
    }
}

/// The two directories.
#[derive(Debug, Clone)]
pub(crate) struct SpecStore {
    functions: PathBuf,
    namespaces: PathBuf,
}

impl SpecStore {
    /// Makes the directories below `state` if they are not there.
    ///
    /// # Errors
    /// What the file system said.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let store = Self {
            functions: state.join("functions"),
            namespaces: state.join("namespaces"),
        };
        durable::make_dir(&store.functions)?;
        durable::make_dir(&store.namespaces)?;
        // A run that was killed between a mkdir and its fsync has left a directory that is there
        // for us and may not be after a power failure.
        durable::sync_dir(state)?;
        durable::sync_dir(&store.functions)?;
        Ok(store)
    }

    /// Keeps a function; durable on return.
    ///
    /// # Errors
    /// What the file system said.
    pub(crate) fn put(&self, id: &FunctionId, function: &StoredFunction) -> io::Result<()> {
        let dir = self.functions.join(id.namespace());
        durable::make_dir(&dir)?;
        durable::write(&dir, id.name(), function)
    }

    /// Forgets a function; durable on return.
    ///
    /// # Errors
    /// What the file system said.
    pub(crate) fn remove(&self, id: &FunctionId) -> io::Result<()> {
        durable::remove(&self.functions.join(id.namespace()), id.name())
    }

    /// All functions that can be read. The file's place is what counts: a function whose content
    /// names another place is still the one that was deployed here.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub(crate) fn functions(&self) -> io::Result<Vec<(FunctionId, StoredFunction)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.functions)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(namespace) = name.to_str().filter(|name| is_function_name(name)) else {
                continue;
            };
            if !entry.path().is_dir() {
                tracing::warn!(path = %entry.path().display(), "this is no namespace and is passed over");
                continue;
            }
            for (name, function) in durable::read_all(&entry.path())? {
                match FunctionId::new(&name, namespace) {
                    Ok(id) => all.push((id, function)),
                    Err(error) => {
                        tracing::warn!(%name, namespace, %error, "a stored file is passed over");
                    }
                }
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    /// Keeps a namespace; durable on return.
    ///
    /// # Errors
    /// What the file system said.
    pub(crate) fn put_namespace(&self, namespace: &Namespace) -> io::Result<()> {
        durable::write(&self.namespaces, &namespace.name, namespace)
    }

    /// Forgets a namespace; durable on return.
    ///
    /// # Errors
    /// What the file system said.
    pub(crate) fn remove_namespace(&self, name: &str) -> io::Result<()> {
        durable::remove(&self.namespaces, name)
    }

    /// All namespaces that were created.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(crate) fn namespaces(&self) -> io::Result<Vec<Namespace>> {
        let all: Vec<(String, Namespace)> = durable::read_all(&self.namespaces)?;
        let named = all.into_iter().filter(|(name, _)| is_function_name(name));
        Ok(named
            .map(|(name, namespace)| Namespace { name, ..namespace })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(service: &str, replicas: u32) -> StoredFunction {
        StoredFunction {
            deployment: FunctionDeployment {
                service: service.to_owned(),
                env_process: "wc -l".to_owned(),
                ..FunctionDeployment::default()
            },
            replicas,
            created_at: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    #[test]
    fn functions_of_all_namespaces_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = SpecStore::open(dir.path()).unwrap();
        let ids = [("wc", "dev"), ("cat", ""), ("wc", "")]
            .map(|(name, namespace)| FunctionId::new(name, namespace).unwrap());
        for (id, replicas) in ids.iter().zip(1..) {
            store.put(id, &stored(id.name(), replicas)).unwrap();
        }
        let again = SpecStore::open(dir.path()).unwrap();
        let all = again.functions().unwrap();
        let found: Vec<_> = all
            .iter()
            .map(|(id, function)| (id.to_string(), function.replicas))
            .collect();
        let wanted = [("wc.dev", 1), ("cat", 2), ("wc", 3)];
        assert_eq!(found, wanted.map(|(name, n)| (name.to_owned(), n)));
        again.remove(&ids[0]).unwrap();
        assert_eq!(again.functions().unwrap().len(), 2);
    }

    #[test]
    fn a_torn_function_is_left_out_and_the_others_start() {
        let dir = tempfile::tempdir().unwrap();
        let store = SpecStore::open(dir.path()).unwrap();
        let id = FunctionId::new("wc", "").unwrap();
        store.put(&id, &stored("wc", 1)).unwrap();
        let torn = dir.path().join("functions/openfaas-fn/torn.json");
        fs::write(&torn, b"{\"format\":1}").unwrap();
        assert_eq!(store.functions().unwrap().len(), 1);
        assert!(!torn.exists());
        assert!(torn.with_extension("bad").exists());
    }

    #[test]
    fn namespaces_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = SpecStore::open(dir.path()).unwrap();
        let dev = Namespace {
            name: "dev".to_owned(),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            ..Namespace::default()
        };
        store.put_namespace(&dev).unwrap();
        assert_eq!(store.namespaces().unwrap(), [dev]);
        store.remove_namespace("dev").unwrap();
        assert_eq!(store.namespaces().unwrap(), []);
    }
}
