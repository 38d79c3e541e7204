//! A provider with fake replicas, in time that moves when everybody waits.

use std::{collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    task::LocalSet,
    time::{Instant, sleep},
};

use super::fake::Fakes;
use crate::{
    control::{Routes, tests_routes as routes},
    limits::Limits,
    provider::local::{Context, LocalProvider, SpecStore},
    snapshot::Replica,
};

/// A provider on an empty directory with fake replicas.
pub(super) struct World {
    pub(super) fakes: Rc<Fakes>,
    pub(super) routes: Rc<Routes>,
    pub(super) provider: LocalProvider,
    dir: tempfile::TempDir,
}

impl World {
    /// Runs a test in time that moves when everybody waits.
    pub(super) async fn run(test: impl AsyncFnOnce(&mut Self)) {
        let set = LocalSet::new();
        set.run_until(async {
            let dir = tempfile::tempdir().unwrap();
            let (fakes, routes, provider) = Self::start(&dir, Fakes::new());
            let mut world = Self {
                fakes,
                routes,
                provider,
                dir,
            };
            test(&mut world).await;
        })
        .await;
    }

    fn start(dir: &tempfile::TempDir, fakes: Rc<Fakes>) -> (Rc<Fakes>, Rc<Routes>, LocalProvider) {
        let routes = routes::routes();
        tokio::task::spawn_local(Rc::clone(&routes).publish_changes());
        let launcher = Box::new(Rc::clone(&fakes));
        let context = Context::new(launcher, Rc::clone(&routes), Limits::default());
        let store = SpecStore::open(dir.path()).unwrap();
        let provider = LocalProvider::restore(store, Rc::new(context), &BTreeSet::new()).unwrap();
        routes.flush();
        (fakes, routes, provider)
    }

    /// What is on disk.
    pub(super) fn store(&self) -> SpecStore {
        SpecStore::open(self.dir.path()).unwrap()
    }

    /// The provider again, as after a crash.
    pub(super) fn restart(&mut self) {
        let (fakes, routes, provider) = Self::start(&self.dir, Fakes::new());
        (self.fakes, self.routes, self.provider) = (fakes, routes, provider);
    }

    pub(super) fn ready(&self) -> Vec<Arc<Replica>> {
        routes::published(&self.routes, "wc").unwrap_or_default()
    }

    /// Waits until so many replicas are published.
    pub(super) async fn until_ready(&self, count: usize) {
        self.until(|| self.ready().len() == count).await;
    }

    pub(super) async fn until(&self, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(3600);
        while !condition() {
            assert!(Instant::now() < deadline, "it never came true");
            sleep(Duration::from_millis(1)).await;
        }
    }
}
