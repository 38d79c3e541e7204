//! The provider itself: the table of functions, and the order of each change.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    io,
    rc::Rc,
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    function::{Context, LocalFunction},
    keyed_lock::KeyedLock,
    logs::rfc3339,
    namespaces::Namespaces,
    spec::Spec,
    spec_store::{SpecStore, StoredFunction, on_disk},
    usage::{self, Look},
};
use crate::provider::{
    Answer, Deployed, FunctionDeployment, FunctionId, FunctionStatus, LogLine, LogQuery, Namespace,
    Provider, ProviderError, Usage,
};

/// For what is left after the time for draining: ending by force takes milliseconds.
const FORCE_MAX: Duration = Duration::from_secs(20);

/// Runs functions as processes of this machine.
pub(crate) struct LocalProvider {
    store: SpecStore,
    context: Rc<Context>,
    functions: RefCell<BTreeMap<FunctionId, Rc<LocalFunction>>>,
    /// On disk, but passed over at the start: they can only be removed or deployed anew.
    unusable: RefCell<BTreeSet<FunctionId>>,
    namespaces: Namespaces,
    locks: KeyedLock,
    /// Whether a log may still be followed.
    follow: Cell<bool>,
    leaving: Cell<bool>,
}

impl LocalProvider {
    /// Reads what was deployed and starts all of it.
    ///
    /// # Errors
    /// When the store cannot be read, or a stored function has a name of `taken`.
    pub(crate) fn restore(
        store: SpecStore,
        context: Rc<Context>,
        taken: &BTreeSet<FunctionId>,
    ) -> io::Result<Self> {
        let namespaces = Namespaces::restore(&store)?;
        let stored = store.functions()?;
        if let Some((id, _)) = stored.iter().find(|(id, _)| taken.contains(id)) {
            return Err(io::Error::other(format!(
                "the function '{id}' is deployed here and also given by --static; rename one of them"
            )));
        }
        let mut functions = BTreeMap::new();
        let mut unusable = BTreeSet::new();
        for (id, stored) in stored {
            match Spec::check(stored.deployment) {
                Ok(spec) => {
                    if let Err(error) = spec.check_machine() {
                        tracing::warn!(function = %id, %error, "a function was deployed that cannot run now");
                    }
                    // Where it lies counts, not what it says; see the store.
                    let spec = Spec {
                        id: id.clone(),
                        ..spec
                    };
                    let (replicas, created_at) = (stored.replicas, stored.created_at);
                    let function = LocalFunction::start(&context, spec, replicas, created_at);
                    functions.insert(id, function);
                }
                Err(error) => {
                    tracing::error!(function = %id, %error, "a stored function cannot be used and is passed over; remove it or deploy it anew");
                    unusable.insert(id);
                }
            }
        }
        tracing::info!(functions = functions.len(), "what was deployed is back");
        Ok(Self {
            store,
            context,
            functions: RefCell::new(functions),
            unusable: RefCell::new(unusable),
            namespaces,
            locks: KeyedLock::default(),
            follow: Cell::new(true),
            leaving: Cell::new(false),
        })
    }

    fn function(&self, id: &FunctionId) -> Result<Rc<LocalFunction>, ProviderError> {
        let functions = self.functions.borrow();
        let function = functions.get(id).map(Rc::clone);
        function.ok_or_else(|| ProviderError::NoFunction(id.clone()))
    }

    fn check_leaving(&self) -> Result<(), ProviderError> {
        if self.leaving.get() {
            return Err(ProviderError::Leaving);
        }
        Ok(())
    }

    async fn put(&self, id: &FunctionId, stored: &StoredFunction) -> Result<(), ProviderError> {
        let (key, value) = (id.clone(), stored.clone());
        let what = format!("the function '{id}'");
        on_disk(&self.store, what, move |store| store.put(&key, &value)).await
    }

    async fn deployed(&self, spec: &Spec) -> Deployed {
        let mut warnings = self.context.launcher.warnings(spec.limits).await;
        warnings.extend(spec.unenforced());
        Deployed {
            changed: true,
            warnings,
        }
    }

    async fn deploy_new(&self, deployment: FunctionDeployment) -> Result<Deployed, ProviderError> {
        self.check_leaving()?;
        let spec = Spec::check(deployment)?;
        spec.check_machine()?;
        let id = spec.id.clone();
        let _turn = self.locks.lock(&id).await;
        let _namespace = self.namespaces.hold(id.namespace()).await?;
        if let Ok(function) = self.function(&id) {
            if function.is_deployed_as(&spec) {
                return Ok(Deployed {
                    changed: false,
                    ..self.deployed(&spec).await
                });
            }
            return Err(ProviderError::Conflict(format!(
                "the function '{id}' is deployed already; change it with PUT /system/functions"
            )));
        }
        let stored = StoredFunction {
            deployment: spec.deployment.clone(),
            replicas: spec.bounds.min,
            created_at: rfc3339(OffsetDateTime::now_utc()),
        };
        self.put(&id, &stored).await?;
        let deployed = self.deployed(&spec).await;
        self.check_leaving()?;
        let function =
            LocalFunction::start(&self.context, spec, stored.replicas, stored.created_at);
        self.unusable.borrow_mut().remove(&id);
        self.functions.borrow_mut().insert(id, function);
        self.context.routes.flush();
        Ok(deployed)
    }

    async fn deploy_again(
        &self,
        deployment: FunctionDeployment,
    ) -> Result<Deployed, ProviderError> {
        self.check_leaving()?;
        let spec = Spec::check(deployment)?;
        let id = spec.id.clone();
        let _turn = self.locks.lock(&id).await;
        let function = self.function(&id)?;
        if function.is_deployed_as(&spec) {
            return Ok(Deployed {
                changed: false,
                ..self.deployed(&spec).await
            });
        }
        spec.check_machine()?;
        let stored = StoredFunction {
            deployment: spec.deployment.clone(),
            replicas: function.replicas_after(&spec),
            created_at: function.stored().created_at,
        };
        self.put(&id, &stored).await?;
        let deployed = self.deployed(&spec).await;
        self.check_leaving()?;
        function.replace(spec, stored.replicas);
        self.context.routes.flush();
        Ok(deployed)
    }

    async fn remove_one(&self, id: &FunctionId) -> Result<(), ProviderError> {
        self.check_leaving()?;
        let _turn = self.locks.lock(id).await;
        let function = match self.function(id) {
            Err(_) if self.unusable.borrow().contains(id) => None,
            found => Some(found?),
        };
        let key = id.clone();
        let what = format!("the removal of '{id}'");
        on_disk(&self.store, what, move |store| store.remove(&key)).await?;
        self.unusable.borrow_mut().remove(id);
        self.functions.borrow_mut().remove(id);
        if let Some(function) = function {
            function.remove();
        }
        self.context.routes.flush();
        Ok(())
    }

    async fn scale_one(&self, id: &FunctionId, replicas: u32) -> Result<(), ProviderError> {
        self.check_leaving()?;
        let _turn = self.locks.lock(id).await;
        let function = self.function(id)?;
        function.check_replicas(replicas)?;
        let mut stored = function.stored();
        if stored.replicas == replicas {
            return Ok(());
        }
        stored.replicas = replicas;
        self.put(id, &stored).await?;
        self.check_leaving()?;
        function.scale(replicas);
        self.context.routes.flush();
        Ok(())
    }

    async fn measure(&self, id: &FunctionId) -> Result<Usage, ProviderError> {
        let roots: std::collections::HashSet<i32> = self.function(id)?.pids().into_iter().collect();
        let look = || {
            let roots = roots.clone();
            spawn_blocking(move || Look::at(&roots))
        };
        let failed = |error: tokio::task::JoinError| ProviderError::Internal(error.to_string());
        let first = look().await.map_err(failed)?;
        sleep(usage::WINDOW).await;
        let second = look().await.map_err(failed)?;
        Ok(usage::between(first, second, usage::WINDOW))
    }
}

impl Provider for LocalProvider {
    fn orchestration(&self) -> &'static str {
        "local"
    }

    fn deploy(&self, deployment: FunctionDeployment) -> Answer<'_, Deployed> {
        Box::pin(self.deploy_new(deployment))
    }

    fn update(&self, deployment: FunctionDeployment) -> Answer<'_, Deployed> {
        Box::pin(self.deploy_again(deployment))
    }

    fn remove<'a>(&'a self, id: &'a FunctionId) -> Answer<'a, ()> {
        Box::pin(self.remove_one(id))
    }

    fn scale<'a>(&'a self, id: &'a FunctionId, replicas: u32) -> Answer<'a, ()> {
        Box::pin(self.scale_one(id, replicas))
    }

    fn list<'a>(&'a self, namespace: Option<&'a str>) -> Answer<'a, Vec<FunctionStatus>> {
        Box::pin(async move {
            let functions = self.functions.borrow();
            let wanted = functions
                .iter()
                .filter(|(id, _)| namespace.is_none_or(|only| id.namespace() == only));
            Ok(wanted.map(|(_, function)| function.status()).collect())
        })
    }

    fn status<'a>(&'a self, id: &'a FunctionId) -> Answer<'a, FunctionStatus> {
        Box::pin(async move { Ok(self.function(id)?.status()) })
    }

    fn usage<'a>(&'a self, id: &'a FunctionId) -> Answer<'a, Usage> {
        Box::pin(self.measure(id))
    }

    fn logs<'a>(
        &'a self,
        id: &'a FunctionId,
        query: LogQuery,
    ) -> Answer<'a, mpsc::Receiver<LogLine>> {
        let query = LogQuery {
            follow: query.follow && self.follow.get(),
            ..query
        };
        Box::pin(async move { Ok(self.function(id)?.logs.stream(id, query)) })
    }

    fn namespaces(&self) -> Answer<'_, Vec<Namespace>> {
        Box::pin(async move { Ok(self.namespaces.list().await) })
    }

    fn put_namespace(&self, namespace: Namespace, replace: bool) -> Answer<'_, ()> {
        Box::pin(self.namespaces.put(namespace, replace))
    }

    fn remove_namespace<'a>(&'a self, name: &'a str) -> Answer<'a, ()> {
        let count = move || {
            let (functions, unusable) = (self.functions.borrow(), self.unusable.borrow());
            let all = functions.keys().chain(unusable.iter());
            all.filter(|id| id.namespace() == name).count()
        };
        Box::pin(self.namespaces.remove(name, count))
    }

    fn end_followers(&self) {
        self.follow.set(false);
        for function in self.functions.borrow().values() {
            function.logs.end();
        }
    }

    fn shutdown(&self, limit: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            self.leaving.set(true);
            self.end_followers();
            for function in self.functions.borrow().values() {
                function.stop();
            }
            self.context.routes.flush();
            if timeout(limit, self.context.all_gone()).await.is_err() {
                tracing::warn!("replicas that are still busy are ended by force");
                self.context.hurry();
                timeout(FORCE_MAX, self.context.all_gone()).await.ok();
            }
        })
    }
}
