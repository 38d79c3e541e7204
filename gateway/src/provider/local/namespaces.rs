//! Namespaces: the default one, which is always there, and those that were created.
//!
//! What it does not do: look at functions; whether a namespace is empty, its owner says.

use std::{collections::BTreeMap, io};

use tokio::sync::{RwLock, RwLockReadGuard};

use super::spec_store::{SpecStore, on_disk};
use crate::{
    provider::{Namespace, ProviderError},
    route::{DEFAULT_NAMESPACE, is_function_name},
};

type ByName = BTreeMap<String, Namespace>;

/// All namespaces of the provider.
#[derive(Debug)]
pub(super) struct Namespaces {
    store: SpecStore,
    created: RwLock<ByName>,
}

/// Keeps a namespace from being removed while it is held.
#[derive(Debug)]
pub(super) struct Held<'a> {
    _created: RwLockReadGuard<'a, ByName>,
}

impl Namespaces {
    /// Reads those that were created.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn restore(store: &SpecStore) -> io::Result<Self> {
        let named = |namespace: Namespace| (namespace.name.clone(), namespace);
        Ok(Self {
            created: RwLock::new(store.namespaces()?.into_iter().map(named).collect()),
            store: store.clone(),
        })
    }

    /// Says that something is about to be put into this one.
    ///
    /// # Errors
    /// [`ProviderError::NoNamespace`] if there is none.
    pub(super) async fn hold(&self, name: &str) -> Result<Held<'_>, ProviderError> {
        let created = self.created.read().await;
        check(&created, name)?;
        Ok(Held { _created: created })
    }

    /// All of them, by name.
    pub(super) async fn list(&self) -> Vec<Namespace> {
        let mut all = self.created.read().await.clone();
        all.entry(DEFAULT_NAMESPACE.to_owned())
            .or_insert_with(|| Namespace {
                name: DEFAULT_NAMESPACE.to_owned(),
                ..Namespace::default()
            });
        all.into_values().collect()
    }

    /// Creates one, or with `replace` changes one; durable on return.
    ///
    /// # Errors
    /// A bad name, one that is there or not there, or what the disk said.
    pub(super) async fn put(
        &self,
        namespace: Namespace,
        replace: bool,
    ) -> Result<(), ProviderError> {
        let name = namespace.name.clone();
        if !is_function_name(&name) {
            return Err(ProviderError::invalid(
                "name",
                format!(
                    "'{}' is no name of a namespace: use 1 to 63 letters, digits, '-' and '_'",
                    name.escape_default()
                ),
            ));
        }
        let mut created = self.created.write().await;
        let there = check(&created, &name).is_ok();
        if replace && !there {
            return Err(ProviderError::NoNamespace(name));
        }
        if !replace && there {
            let why = format!("the namespace '{name}' is there already");
            return Err(ProviderError::Conflict(why));
        }
        let value = namespace.clone();
        let what = format!("the namespace '{name}'");
        on_disk(&self.store, what, move |store| store.put_namespace(&value)).await?;
        created.insert(name, namespace);
        Ok(())
    }

    /// Removes one in which there are `functions()` functions; durable on return.
    ///
    /// # Errors
    /// One that is not there, is the default one, or is not empty; or what the disk said.
    pub(super) async fn remove(
        &self,
        name: &str,
        functions: impl FnOnce() -> usize,
    ) -> Result<(), ProviderError> {
        let mut created = self.created.write().await;
        check(&created, name)?;
        if name == DEFAULT_NAMESPACE {
            let why = format!("the namespace '{name}' is the default one and stays");
            return Err(ProviderError::Conflict(why));
        }
        // Counted while nobody can put another one in.
        let count = functions();
        if count > 0 {
            return Err(ProviderError::Conflict(format!(
                "the namespace '{name}' has {count} functions; remove them first"
            )));
        }
        let key = name.to_owned();
        let what = format!("the removal of the namespace '{name}'");
        on_disk(&self.store, what, move |store| store.remove_namespace(&key)).await?;
        created.remove(name);
        Ok(())
    }
}

fn check(created: &ByName, name: &str) -> Result<(), ProviderError> {
    if name == DEFAULT_NAMESPACE || created.contains_key(name) {
        return Ok(());
    }
    Err(ProviderError::NoNamespace(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dev() -> Namespace {
        Namespace {
            name: "dev".to_owned(),
            ..Namespace::default()
        }
    }

    /// Steps: create, again (there), change, restart, remove while in use (refused), remove.
    #[tokio::test]
    async fn a_namespace_lives_from_its_creation_to_its_removal() {
        let dir = tempfile::tempdir().unwrap();
        let store = SpecStore::open(dir.path()).unwrap();
        let namespaces = Namespaces::restore(&store).unwrap();
        namespaces.put(dev(), true).await.unwrap_err();
        namespaces.hold("dev").await.unwrap_err();
        namespaces.put(dev(), false).await.unwrap();
        let again = namespaces.put(dev(), false).await.unwrap_err();
        assert!(matches!(again, ProviderError::Conflict(_)), "{again}");
        let labelled = Namespace {
            labels: [("a".to_owned(), "b".to_owned())].into(),
            ..dev()
        };
        namespaces.put(labelled.clone(), true).await.unwrap();
        let namespaces = Namespaces::restore(&store).unwrap();
        let all = namespaces.list().await;
        assert_eq!(all[0], labelled);
        assert_eq!(all[1].name, DEFAULT_NAMESPACE);
        let busy = namespaces.remove("dev", || 2).await.unwrap_err();
        assert!(busy.to_string().contains("2 functions"), "{busy}");
        namespaces.remove("dev", || 0).await.unwrap();
        namespaces.remove("dev", || 0).await.unwrap_err();
        assert_eq!(store.namespaces().unwrap(), []);
    }

    #[tokio::test]
    async fn the_default_one_is_always_there_and_names_are_names() {
        let dir = tempfile::tempdir().unwrap();
        let namespaces = Namespaces::restore(&SpecStore::open(dir.path()).unwrap()).unwrap();
        drop(namespaces.hold(DEFAULT_NAMESPACE).await.unwrap());
        let stays = namespaces
            .remove(DEFAULT_NAMESPACE, || 0)
            .await
            .unwrap_err();
        assert!(matches!(stays, ProviderError::Conflict(_)), "{stays}");
        for name in ["", "..", "a/b"] {
            let bad = Namespace {
                name: name.to_owned(),
                ..Namespace::default()
            };
            let error = namespaces.put(bad, false).await.unwrap_err();
            assert!(matches!(error, ProviderError::Invalid { .. }), "{error}");
        }
    }
}
