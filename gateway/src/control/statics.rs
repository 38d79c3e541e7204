//! Servers given by `--static`, shown and routed like functions that nobody can change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Routes;
use crate::{
    config::StaticUpstream,
    limits::FunctionLimits,
    provider::{FunctionId, FunctionStatus, ProviderError},
    snapshot::Replica,
};

/// Says in a status that the function is not a deployed one.
const ANNOTATION: &str = "ringway.static";

/// The servers by name; several of one name are replicas.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statics {
    by_id: BTreeMap<FunctionId, Vec<StaticUpstream>>,
    since: String,
}

impl Statics {
    /// Takes what the configuration lists; `now` is shown as the time of their creation.
    ///
    /// # Errors
    /// A name that is none.
    pub(crate) fn new(upstreams: &[StaticUpstream], now: String) -> Result<Self, ProviderError> {
        let mut by_id: BTreeMap<FunctionId, Vec<_>> = BTreeMap::new();
        for upstream in upstreams {
            let id = FunctionId::new(&upstream.name, "")?;
            by_id.entry(id).or_default().push(upstream.clone());
        }
        Ok(Self { by_id, since: now })
    }

    /// Their names.
    pub(crate) fn ids(&self) -> BTreeSet<FunctionId> {
        self.by_id.keys().cloned().collect()
    }

    /// Puts them on the routes, for good.
    pub(crate) fn route(&self, routes: &Routes) {
        for (id, upstreams) in &self.by_id {
            let replica = |upstream: &StaticUpstream| {
                let endpoint = upstream.endpoint.clone();
                Arc::new(Replica::new(endpoint, &upstream.authority, routes.cores()))
            };
            let replicas = upstreams.iter().map(replica).collect();
            routes.set(id, replicas, FunctionLimits::default());
        }
    }

    /// The status of one. Whether its servers live is not known: nobody asks them.
    pub(crate) fn status(&self, id: &FunctionId) -> Option<FunctionStatus> {
        let upstreams = self.by_id.get(id)?;
        let count = u32::try_from(upstreams.len()).unwrap_or(u32::MAX);
        let places: Vec<_> = upstreams.iter().map(|u| u.endpoint.to_string()).collect();
        Some(FunctionStatus {
            name: id.name().to_owned(),
            namespace: id.namespace().to_owned(),
            annotations: BTreeMap::from([(ANNOTATION.to_owned(), places.join(" "))]),
            replicas: count,
            available_replicas: count,
            created_at: self.since.clone(),
            ..FunctionStatus::default()
        })
    }

    /// The statuses of all in a namespace, or of all.
    pub(crate) fn list(&self, namespace: Option<&str>) -> Vec<FunctionStatus> {
        self.by_id
            .keys()
            .filter(|id| namespace.is_none_or(|only| id.namespace() == only))
            .filter_map(|id| self.status(id))
            .collect()
    }

    /// Refuses to show the log of one of them.
    ///
    /// # Errors
    /// [`ProviderError::Conflict`] if it is one.
    pub(crate) fn refuse_logs(&self, id: &FunctionId) -> Result<(), ProviderError> {
        if !self.by_id.contains_key(id) {
            return Ok(());
        }
        Err(ProviderError::Conflict(format!(
            "'{id}' is a server given by --static; its log is where it was started"
        )))
    }

    /// Refuses to change one of them.
    ///
    /// # Errors
    /// [`ProviderError::Conflict`] if it is one.
    pub(crate) fn refuse(&self, id: &FunctionId) -> Result<(), ProviderError> {
        if !self.by_id.contains_key(id) {
            return Ok(());
        }
        Err(ProviderError::Conflict(format!(
            "'{id}' is a server given by --static; it can be changed only where the gateway is started"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::routes::tests::{published, routes};

    #[test]
    fn several_of_one_name_are_replicas() {
        let upstreams: Vec<StaticUpstream> = ["web=unix:/a", "web=unix:/b", "api=unix:/c"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let statics = Statics::new(&upstreams, "2026-01-01T00:00:00Z".to_owned()).unwrap();
        let routes = routes();
        statics.route(&routes);
        routes.flush();
        assert_eq!(published(&routes, "web").unwrap().len(), 2);
        let list = statics.list(None);
        assert_eq!(list.len(), 2);
        assert_eq!(list[1].available_replicas, 2);
        assert_eq!(list[1].annotations[ANNOTATION], "unix:/a unix:/b");
        assert_eq!(statics.list(Some("dev")), []);
        let web = FunctionId::new("web", "").unwrap();
        statics.refuse(&web).unwrap_err();
        statics.refuse(&FunctionId::new("wc", "").unwrap()).unwrap();
    }
}
