//! One function: as many slots as there are to be replicas, and which of them get requests.
//!
//! A deploy is a generation. While a new one comes up the old one goes on serving; the switch is
//! one publication, when all replicas of the new one are ready, or when the old one has none
//! left and the new one has. A new generation that never becomes ready changes nothing but the
//! log: the old replicas serve on, and the new ones are tried again and again.
//!
//! What it does not do: store anything, or say whether a deployment is good.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use super::{
    launch::Launcher,
    logs::Logs,
    slot::{Keeper, Slot},
    spec::Spec,
    spec_store::StoredFunction,
};
use crate::{
    control::Routes,
    limits::Limits,
    provider::{FunctionId, FunctionStatus, ProviderError, call_limits},
    snapshot::Replica,
};

/// From one launch to the next, the time that it takes not counted.
const LAUNCH_PAUSE: Duration = Duration::from_millis(1);

/// What all functions of the provider share.
pub(crate) struct Context {
    pub(crate) launcher: Box<dyn Launcher>,
    pub(crate) routes: Rc<Routes>,
    pub(crate) limits: Limits,
    next_instance: Cell<u32>,
    /// Slots whose last replica is not gone yet.
    live: watch::Sender<usize>,
    hurry: watch::Sender<bool>,
    launches: Arc<Semaphore>,
}

impl Context {
    pub(crate) fn new(launcher: Box<dyn Launcher>, routes: Rc<Routes>, limits: Limits) -> Self {
        Self {
            launcher,
            routes,
            limits,
            next_instance: Cell::new(1),
            live: watch::Sender::new(0),
            hurry: watch::Sender::new(false),
            launches: Arc::new(Semaphore::new(1)),
        }
    }

    /// A number for a replica, never given twice before four thousand million others.
    pub(crate) fn next_instance(&self) -> u32 {
        let instance = self.next_instance.get();
        self.next_instance.set(instance.wrapping_add(1));
        instance
    }

    /// Waits for the turn to launch a replica. A launch keeps the control thread for up to some
    /// milliseconds; after each one it belongs to others for a moment, so that a gateway which
    /// brings hundreds of replicas back answers meanwhile. One launch alone does not wait.
    pub(crate) async fn launch_turn(&self) {
        // The semaphore is never closed.
        if let Ok(turn) = Arc::clone(&self.launches).acquire_owned().await {
            tokio::task::spawn_local(async move {
                sleep(LAUNCH_PAUSE).await;
                drop(turn);
            });
        }
    }

    /// Waits until no slot has a replica any more.
    pub(crate) async fn all_gone(&self) {
        // The sender is ours, so it cannot be gone.
        self.live.subscribe().wait_for(|live| *live == 0).await.ok();
    }

    /// From now on nobody waits for requests in flight.
    pub(crate) fn hurry(&self) {
        self.hurry.send_replace(true);
    }

    /// Returns when nobody waits any more.
    pub(crate) async fn hurried(&self) {
        self.hurry.subscribe().wait_for(|hurry| *hurry).await.ok();
    }
}

/// A deployed function.
pub(crate) struct LocalFunction {
    pub(crate) context: Rc<Context>,
    pub(crate) logs: Rc<Logs>,
    id: FunctionId,
    state: RefCell<State>,
}

struct State {
    spec: Rc<Spec>,
    /// How many there are to be.
    replicas: u32,
    /// When it was first deployed.
    created_at: String,
    /// The newest deploy.
    newest: u32,
    /// The one that gets requests.
    serving: u32,
    slots: Vec<Rc<Slot>>,
    /// Removed or stopped: what is left of it must not touch the routes, which may belong to a
    /// new function of the same name.
    over: bool,
}

impl LocalFunction {
    /// Puts the function on the routes and starts its replicas.
    pub(crate) fn start(
        context: &Rc<Context>,
        spec: Spec,
        replicas: u32,
        created_at: String,
    ) -> Rc<Self> {
        let function = Rc::new(Self {
            context: Rc::clone(context),
            logs: Rc::default(),
            id: spec.id.clone(),
            state: RefCell::new(State {
                spec: Rc::new(spec),
                replicas,
                created_at,
                newest: 0,
                serving: 0,
                slots: Vec::new(),
                over: false,
            }),
        });
        function.route(&function.state.borrow());
        function.fill();
        function
    }

    /// What is on disk.
    pub(crate) fn stored(&self) -> StoredFunction {
        let state = self.state.borrow();
        StoredFunction {
            deployment: state.spec.deployment.clone(),
            replicas: state.replicas,
            created_at: state.created_at.clone(),
        }
    }

    /// Whether this is what is deployed.
    pub(crate) fn is_deployed_as(&self, spec: &Spec) -> bool {
        self.state.borrow().spec.deployment == spec.deployment
    }

    /// Whether so many replicas are allowed.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] says how to raise the number.
    pub(crate) fn check_replicas(&self, replicas: u32) -> Result<(), ProviderError> {
        self.state.borrow().spec.bounds.check(replicas)
    }

    /// How many replicas there will be after an update to `spec`.
    pub(crate) fn replicas_after(&self, spec: &Spec) -> u32 {
        spec.bounds.keep(self.state.borrow().replicas)
    }

    /// Its status.
    pub(crate) fn status(&self) -> FunctionStatus {
        let state = self.state.borrow();
        let mut status = FunctionStatus::of(
            &state.spec.deployment,
            self.id.namespace(),
            &state.created_at,
        );
        status.name = self.id.name().to_owned();
        status.replicas = state.replicas;
        status.available_replicas = u32::try_from(state.ready().len()).unwrap_or(u32::MAX);
        status
    }

    /// The processes of its replicas now.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let state = self.state.borrow();
        state.slots.iter().filter_map(|slot| slot.pid()).collect()
    }

    /// Changes the number of replicas.
    pub(crate) fn scale(self: &Rc<Self>, replicas: u32) {
        self.state.borrow_mut().replicas = replicas;
        self.fill();
        self.reroute();
    }

    /// Begins a new generation.
    pub(crate) fn replace(self: &Rc<Self>, spec: Spec, replicas: u32) {
        {
            let mut state = self.state.borrow_mut();
            state.spec = Rc::new(spec);
            state.replicas = replicas;
            state.newest += 1;
            // An update that was still coming up is overtaken.
            let serving = state.serving;
            state.retire(|slot| slot.generation != serving);
        }
        self.fill();
        self.reroute();
    }

    /// Takes the function off the routes; its replicas are drained and ended.
    pub(crate) fn remove(&self) {
        self.state.borrow_mut().end();
        self.context.routes.remove(&self.id);
        self.logs.end();
    }

    /// Drains and ends its replicas; the function stays known, with none.
    pub(crate) fn stop(&self) {
        let mut state = self.state.borrow_mut();
        state.end();
        self.route(&state);
    }

    /// Makes as many slots of the newest generation as are wanted, or retires some.
    fn fill(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        let newest = state.newest;
        let wanted = state.replicas as usize;
        let mut have = state.of(newest).count();
        while have < wanted {
            let slot = Rc::new(Slot::new(newest, Rc::clone(&state.spec)));
            state.slots.push(Rc::clone(&slot));
            self.keep(slot);
            have += 1;
        }
        // Those that are not ready go first, then the youngest.
        let mut surplus = have.saturating_sub(wanted);
        for only_unready in [true, false] {
            while surplus > 0 {
                let choice = state.slots.iter().rposition(|slot| {
                    slot.generation == newest && (!only_unready || slot.ready().is_none())
                });
                let Some(index) = choice else { break };
                state.slots.remove(index).retire();
                surplus -= 1;
            }
        }
    }

    fn keep(self: &Rc<Self>, slot: Rc<Slot>) {
        let keeper = Keeper {
            slot,
            function: Rc::clone(self),
        };
        let context = Rc::clone(&self.context);
        context.live.send_modify(|live| *live += 1);
        tokio::task::spawn_local(async move {
            keeper.run().await;
            context.live.send_modify(|live| *live -= 1);
        });
    }

    /// Tells the routes who is ready, and completes an update whose time has come.
    pub(crate) fn reroute(&self) {
        let mut state = self.state.borrow_mut();
        if state.over {
            return;
        }
        if state.serving != state.newest {
            let ready = |generation| state.of(generation).filter(|s| s.ready().is_some()).count();
            let (new, old) = (ready(state.newest), ready(state.serving));
            if new >= state.replicas as usize || (old == 0 && new > 0) {
                tracing::info!(function = %self.id, ready = new, "an update serves; the replicas before it are drained");
                state.serving = state.newest;
                let serving = state.serving;
                state.retire(|slot| slot.generation != serving);
            }
        }
        self.route(&state);
    }

    fn route(&self, state: &State) {
        let spec = state.serving_spec();
        let variables = &spec.deployment.env_vars;
        let own = call_limits::with_patience(spec.call_limits, variables, &self.context.limits);
        self.context.routes.set(&self.id, state.ready(), own);
    }
}

impl State {
    fn of(&self, generation: u32) -> impl Iterator<Item = &Rc<Slot>> {
        self.slots
            .iter()
            .filter(move |slot| slot.generation == generation)
    }

    /// What those that get requests were started by; where there are none, what is to come.
    fn serving_spec(&self) -> &Spec {
        let serving = self.of(self.serving).next();
        serving.map_or(&self.spec, |slot| &slot.spec)
    }

    /// The replicas that get requests.
    fn ready(&self) -> Vec<Arc<Replica>> {
        self.of(self.serving)
            .filter_map(|slot| slot.ready())
            .collect()
    }

    fn end(&mut self) {
        self.over = true;
        self.retire(|_| true);
    }

    fn retire(&mut self, which: impl Fn(&Slot) -> bool) {
        self.slots.retain(|slot| {
            let goes = which(slot);
            if goes {
                slot.retire();
            }
            !goes
        });
    }
}
