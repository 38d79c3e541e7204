//! Replicas that live and die as a test says.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use net::Endpoint;
use process::limits::Limits;
use tokio::sync::watch;

use crate::provider::local::launch::{Later, Launcher, Order, Running, Unhealthy};

/// What a fake does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Healthy,
    /// Its health check says 503.
    Unready,
    /// Its health check never answers.
    Silent,
    Ended,
}

/// One fake replica.
pub(crate) struct Fake {
    life: watch::Sender<Life>,
    asked: Cell<bool>,
    cleaned_up: Cell<bool>,
}

impl Fake {
    pub(crate) fn set(&self, life: Life) {
        self.life.send_replace(life);
    }

    pub(crate) fn was_asked_to_end(&self) -> bool {
        self.asked.get()
    }

    pub(crate) fn is_cleaned_up(&self) -> bool {
        self.cleaned_up.get()
    }
}

/// The launcher, and all that it launched.
pub(crate) struct Fakes {
    all: RefCell<Vec<Rc<Fake>>>,
    next: Cell<Option<Life>>,
    always: Cell<Life>,
}

impl Fakes {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            all: RefCell::default(),
            next: Cell::new(None),
            always: Cell::new(Life::Healthy),
        })
    }

    /// How the next one begins.
    pub(crate) fn next(&self, life: Life) {
        self.next.set(Some(life));
    }

    /// How all others begin.
    pub(crate) fn always(&self, life: Life) {
        self.always.set(life);
    }

    pub(crate) fn all(&self) -> Vec<Rc<Fake>> {
        self.all.borrow().clone()
    }

    pub(crate) fn living(&self) -> usize {
        let all = self.all.borrow();
        all.iter().filter(|fake| !fake.is_cleaned_up()).count()
    }
}

impl Launcher for Rc<Fakes> {
    fn launch(&self, _order: &Order) -> Result<Box<dyn Running>, String> {
        let life = self.next.take().unwrap_or_else(|| self.always.get());
        let fake = Rc::new(Fake {
            life: watch::Sender::new(life),
            asked: Cell::new(false),
            cleaned_up: Cell::new(false),
        });
        self.all.borrow_mut().push(Rc::clone(&fake));
        Ok(Box::new(fake))
    }

    fn warnings(&self, _limits: Limits) -> Later<'_, Vec<String>> {
        Box::pin(async { Vec::new() })
    }
}

impl Running for Rc<Fake> {
    fn endpoint(&self) -> Endpoint {
        Endpoint::Unix("/fake".into())
    }

    fn pid(&self) -> i32 {
        i32::MAX
    }

    fn ended(&self) -> Later<'_, ()> {
        let mut life = self.life.subscribe();
        Box::pin(async move {
            life.wait_for(|life| *life == Life::Ended).await.ok();
        })
    }

    fn check(&self) -> Later<'_, Result<(), Unhealthy>> {
        let life = *self.life.borrow();
        Box::pin(async move {
            match life {
                Life::Healthy => Ok(()),
                Life::Unready => Err(Unhealthy::SaysNo(503)),
                Life::Silent | Life::Ended => std::future::pending().await,
            }
        })
    }

    fn ask_to_end(&self) {
        self.asked.set(true);
        self.set(Life::Ended);
    }

    fn clean_up(self: Box<Self>) -> Later<'static, String> {
        Box::pin(async move {
            self.cleaned_up.set(true);
            "as the test says".to_owned()
        })
    }
}
