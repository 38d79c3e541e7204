//! The control plane's own table of functions and ready replicas, and its publication to the
//! data plane as a whole snapshot.
//!
//! Many changes of one moment become one publication: a change wakes a task, which publishes
//! when all that is to be done now has been done. Who needs a change to be out, before draining
//! a replica or before answering a deploy, calls [`Routes::flush`].
//!
//! A publication costs a copy of the table of names, which shares all that it points to; it
//! happens when replicas come and go, never per request. `cargo bench -p gateway` says how long
//! it takes.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
};

use tokio::sync::Notify;

use crate::{
    limits::{FIRST_BYTE_TIMEOUT, FunctionLimits},
    metrics::FunctionCounters,
    provider::FunctionId,
    shared::Shared,
    snapshot::{Function, Replica, Snapshot},
};

/// The table. One per gateway, on the control thread.
#[derive(Debug)]
pub struct Routes {
    shared: Arc<Shared>,
    /// The control plane's own server.
    control: Arc<Function>,
    table: RefCell<BTreeMap<FunctionId, Arc<Function>>>,
    /// The same by all spellings, as the next snapshot will have it.
    by_name: RefCell<HashMap<Arc<str>, Arc<Function>>>,
    /// Replicas that are in the last snapshot and will not be in the next.
    leaving: RefCell<Vec<Arc<Replica>>>,
    changed: Cell<bool>,
    wake: Notify,
}

impl Routes {
    /// An empty table; `control` is the one of the first snapshot.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let control = Arc::clone(&shared.published.load().control);
        Self {
            shared,
            control,
            table: RefCell::default(),
            by_name: RefCell::default(),
            leaving: RefCell::default(),
            changed: Cell::new(false),
            wake: Notify::new(),
        }
    }

    /// Workers of the data plane.
    pub(crate) fn cores(&self) -> usize {
        self.shared.cores()
    }

    /// Serves the function by these replicas, from the next publication on, under limits of its
    /// own. Its counters live as long as it is in the table.
    pub fn set(&self, id: &FunctionId, replicas: Vec<Arc<Replica>>, limits: FunctionLimits) {
        let mut table = self.table.borrow_mut();
        let counters = match table.get(id) {
            Some(function) if same(&function.replicas, &replicas) && function.limits == limits => {
                return;
            }
            Some(function) => Arc::clone(&function.counters),
            None => Arc::new(FunctionCounters::new(self.cores())),
        };
        let function = Arc::new(Function {
            name: id.to_string().into(),
            replicas: replicas.into(),
            counters,
            limits,
        });
        let mut by_name = self.by_name.borrow_mut();
        for name in spellings(id) {
            by_name.insert(name, Arc::clone(&function));
        }
        let mut leaving = self.leaving.borrow_mut();
        if let Some(before) = table.insert(id.clone(), Arc::clone(&function)) {
            leaving.extend(before.replicas.iter().map(Arc::clone));
        }
        leaving.retain(|replica| !function.replicas.iter().any(|stays| stays.id == replica.id));
        drop((table, by_name, leaving));
        self.change();
    }

    /// Serves the function no more, from the next publication on.
    pub fn remove(&self, id: &FunctionId) {
        let Some(function) = self.table.borrow_mut().remove(id) else {
            return;
        };
        for name in spellings(id) {
            self.by_name.borrow_mut().remove(&name);
        }
        let replicas = function.replicas.iter().map(Arc::clone);
        self.leaving.borrow_mut().extend(replicas);
        self.change();
    }

    /// Requests answered for a function so far.
    pub(crate) fn invocations(&self, id: &FunctionId) -> u64 {
        let table = self.table.borrow();
        table
            .get(id)
            .map_or(0, |function| function.counters.completed())
    }

    fn change(&self) {
        self.changed.set(true);
        self.wake.notify_one();
    }

    /// Publishes what was changed, now.
    pub fn flush(&self) {
        if !self.changed.replace(false) {
            return;
        }
        let next = Snapshot {
            generation: self.shared.published.generation() + 1,
            functions: self.by_name.borrow().clone(),
            control: Arc::clone(&self.control),
        };
        self.shared.published.publish(next, &self.leaving.take());
    }

    /// Publishes changes as they come, for ever.
    pub(crate) async fn publish_changes(self: Rc<Self>) {
        loop {
            self.wake.notified().await;
            self.flush();
        }
    }
}

/// The names under which a function is called: with its namespace, and in the default one without,
/// which elsewhere is the same again.
fn spellings(id: &FunctionId) -> [Arc<str>; 2] {
    [id.qualified().into(), id.to_string().into()]
}

fn same(old: &[Arc<Replica>], new: &[Arc<Replica>]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.id == b.id)
}

/// The function that stands for the control plane's own server at `endpoint`.
pub(crate) fn control_function(endpoint: net::Endpoint, cores: usize) -> Arc<Function> {
    Arc::new(Function {
        name: "system".into(),
        replicas: Box::new([Arc::new(Replica::new(endpoint, "ringway", cores))]),
        counters: Arc::new(FunctionCounters::new(cores)),
        limits: FunctionLimits {
            // What functions are allowed says nothing about a deploy, which has limits of its own.
            first_byte_timeout: Some(FIRST_BYTE_TIMEOUT),
            body_bytes_max: Some(u64::MAX),
            upstream_timeout: None,
        },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use net::Endpoint;

    use super::*;

    /// A data plane of one core that nobody drives.
    pub(crate) fn shared() -> Arc<Shared> {
        let control = control_function(Endpoint::Unix("/nonexistent".into()), 1);
        let first = Snapshot {
            generation: 1,
            functions: HashMap::new(),
            control,
        };
        Arc::new(Shared::new(first, 1))
    }

    /// Routes to such a data plane.
    pub(crate) fn routes() -> Rc<Routes> {
        Rc::new(Routes::new(shared()))
    }

    /// The replicas that the data plane sees.
    pub(crate) fn published(routes: &Routes, name: &str) -> Option<Vec<Arc<Replica>>> {
        let snapshot = routes.shared.published.load();
        let function = snapshot.functions.get(name)?;
        Some(function.replicas.to_vec())
    }

    /// The function's own limits, as the data plane sees them.
    pub(crate) fn limits(routes: &Routes, name: &str) -> FunctionLimits {
        let snapshot = routes.shared.published.load();
        snapshot
            .functions
            .get(name)
            .map_or_else(FunctionLimits::default, |function| function.limits)
    }

    fn replica() -> Arc<Replica> {
        Arc::new(Replica::new(Endpoint::Unix("/x".into()), "wc", 1))
    }

    #[test]
    fn a_function_is_found_by_both_spellings_and_once_outside_the_default_namespace() {
        let routes = routes();
        routes.set(
            &FunctionId::new("wc", "").unwrap(),
            vec![replica()],
            FunctionLimits::default(),
        );
        routes.set(
            &FunctionId::new("wc", "dev").unwrap(),
            Vec::new(),
            FunctionLimits::default(),
        );
        assert_eq!(published(&routes, "wc").map(|r| r.len()), None);
        routes.flush();
        let ids =
            |name| published(&routes, name).map(|r| r.iter().map(|r| r.id).collect::<Vec<_>>());
        assert_eq!(ids("wc"), ids("wc.openfaas-fn"));
        assert_eq!(ids("wc").map(|r| r.len()), Some(1));
        assert_eq!(ids("wc.dev"), Some(Vec::new()));
        assert_eq!(routes.shared.published.load().functions.len(), 3);
    }

    #[test]
    fn counters_outlive_replicas_but_not_the_function() {
        let routes = routes();
        let id = FunctionId::new("wc", "").unwrap();
        routes.set(&id, vec![replica()], FunctionLimits::default());
        let counters = Arc::clone(&routes.table.borrow()[&id].counters);
        counters.on(0).end(200, Duration::from_millis(1));
        routes.set(&id, vec![replica()], FunctionLimits::default());
        assert_eq!(routes.invocations(&id), 1);
        routes.remove(&id);
        routes.set(&id, Vec::new(), FunctionLimits::default());
        assert_eq!(routes.invocations(&id), 0);
    }

    #[test]
    fn a_replica_is_retired_when_its_function_goes_on_without_it_and_not_when_it_comes_back() {
        let routes = routes();
        let id = FunctionId::new("wc", "").unwrap();
        let (stays, leaves, returns) = (replica(), replica(), replica());
        let set = |replicas: &[&Arc<Replica>]| {
            let replicas = replicas.iter().map(|replica| Arc::clone(replica));
            routes.set(&id, replicas.collect(), FunctionLimits::default());
        };
        set(&[&stays, &leaves, &returns]);
        routes.flush();
        set(&[&stays]);
        set(&[&stays, &returns]);
        assert!(!leaves.is_retired(), "not before it is published");
        routes.flush();
        let retired = |replica: &Arc<Replica>| replica.is_retired();
        assert_eq!(
            [&stays, &leaves, &returns].map(retired),
            [false, true, false]
        );
        routes.remove(&id);
        routes.flush();
        assert!(stays.is_retired() && returns.is_retired());
        assert_eq!(published(&routes, "wc.openfaas-fn").map(|r| r.len()), None);
    }

    #[test]
    fn nothing_is_published_when_nothing_changed() {
        let routes = routes();
        let id = FunctionId::new("wc", "").unwrap();
        let one = replica();
        routes.set(&id, vec![Arc::clone(&one)], FunctionLimits::default());
        routes.flush();
        let generation = routes.shared.published.generation();
        routes.set(&id, vec![one], FunctionLimits::default());
        routes.flush();
        routes.remove(&FunctionId::new("other", "").unwrap());
        routes.flush();
        assert_eq!(routes.shared.published.generation(), generation);
    }
}
