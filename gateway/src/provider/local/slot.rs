//! One wanted replica: started, watched, taken out and put back, started again when it ends, and
//! drained and ended when it is wanted no more.
//!
//! ```text
//!          ┌──────────── wait (backoff) ◄───────────┐
//!          ▼                                        │ ended, or
//!       launch ──► until ready ──► ready, checked ──┤ ill for too long
//!                   (30 s)          every 5 s       │
//!          any of these, when wanted no more ──► drain ──► ask to end ──► clean up
//! ```
//!
//! What it does not do: decide how many there are or which get requests; `function` does.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    backoff,
    function::LocalFunction,
    launch::{Order, Running, Unhealthy},
    logs::instance_name,
    spec::Spec,
};
use crate::snapshot::Replica;

/// From its start, or from the moment it fell ill, until a replica must be healthy.
const READY_MAX: Duration = Duration::from_secs(30);
/// Between two checks of a replica that is ready.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// For one check of a replica that is ready.
const CHECK_MAX: Duration = Duration::from_secs(5);
/// Checks in a row without an answer before a replica is taken out: under full load an answer
/// may come late, and taking a busy replica out would make the others busier. One that says no
/// is taken out at once.
const SILENT_CHECKS_MAX: u32 = 3;
/// Between checks of a replica that is not ready: first, and at most.
const RETRY_FIRST: Duration = Duration::from_millis(2);
const RETRY_LONGEST: Duration = Duration::from_millis(250);
/// From SIGTERM until it is ended by force.
const END_MAX: Duration = Duration::from_secs(5);
/// Between two looks at the requests in flight: first, and at most.
const DRAIN_LOOK_FIRST: Duration = Duration::from_millis(1);
const DRAIN_LOOK_LONGEST: Duration = Duration::from_millis(20);

/// One wanted replica, as its function sees it.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Which deploy of the function it belongs to.
    pub(crate) generation: u32,
    pub(crate) spec: Rc<Spec>,
    /// What the data plane may send to; none while it is not ready.
    ready: RefCell<Option<Arc<Replica>>>,
    /// Its process, 0 for none.
    pid: Cell<i32>,
    retired: watch::Sender<bool>,
}

impl Slot {
    pub(crate) fn new(generation: u32, spec: Rc<Spec>) -> Self {
        Self {
            generation,
            spec,
            ready: RefCell::default(),
            pid: Cell::new(0),
            retired: watch::Sender::new(false),
        }
    }

    /// What the data plane may send to now.
    pub(crate) fn ready(&self) -> Option<Arc<Replica>> {
        self.ready.borrow().clone()
    }

    /// Its process, while there is one.
    pub(crate) fn pid(&self) -> Option<i32> {
        Some(self.pid.get()).filter(|pid| *pid > 0)
    }

    /// It is wanted no more. Whoever says so takes it off the routes in the same breath.
    pub(crate) fn retire(&self) {
        self.retired.send_replace(true);
    }
}

/// Why a replica was given up.
enum End {
    /// It is wanted no more.
    Retired,
    /// It has ended by itself.
    Ended,
    /// It was not healthy for too long.
    Ill(Unhealthy),
}

/// The life of a slot.
pub(crate) struct Keeper {
    pub(crate) slot: Rc<Slot>,
    pub(crate) function: Rc<LocalFunction>,
}

impl Keeper {
    /// Keeps the slot filled until it is retired and its last replica is gone.
    pub(crate) async fn run(self) {
        let mut failures = 0;
        let mut retired = self.slot.retired.subscribe();
        while !*retired.borrow() {
            let started = Instant::now();
            let why = match self.one_life().await {
                Ok(()) => return,
                Err(why) => why,
            };
            if started.elapsed() >= backoff::RAN_WELL {
                failures = 0;
            }
            failures += 1;
            let wait = backoff::delay(failures, fastrand::f64());
            tracing::warn!(
                function = %self.slot.spec.id,
                why,
                failures,
                next_start_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                "a replica is down and will be started again"
            );
            // An error would mean that the slot itself is gone.
            timeout(wait, retired.wait_for(|retired| *retired))
                .await
                .ok();
        }
    }

    /// One process, from its start to its end. `Ok` when the slot was retired.
    async fn one_life(&self) -> Result<(), String> {
        let context = &self.function.context;
        context.launch_turn().await;
        let mut retired = self.slot.retired.subscribe();
        if *retired.borrow() {
            return Ok(());
        }
        let order = Order {
            spec: Rc::clone(&self.slot.spec),
            instance: context.next_instance(),
            logs: Rc::clone(&self.function.logs),
        };
        let replica = context.launcher.launch(&order)?;
        let name = instance_name(&self.slot.spec.id, order.instance);
        self.slot.pid.set(replica.pid());
        tracing::debug!(
            instance = name,
            pid = replica.pid(),
            "a replica was started"
        );
        let mut served = Vec::new();
        let end = tokio::select! {
            biased;
            _ = retired.wait_for(|retired| *retired) => End::Retired,
            () = replica.ended() => End::Ended,
            ill = self.tend(&*replica, &mut served) => End::Ill(ill),
        };
        self.set_ready(None);
        if matches!(end, End::Retired) {
            self.drain(&*replica, &served).await;
        }
        self.slot.pid.set(0);
        let how = replica.clean_up().await;
        tracing::debug!(instance = name, how, "a replica is gone");
        match end {
            End::Retired => Ok(()),
            End::Ended => Err(format!("{name}: {how}")),
            End::Ill(ill) => Err(format!(
                "{name} was ended: {ill} for {} s",
                READY_MAX.as_secs()
            )),
        }
    }

    /// Puts the replica in and out of the routes as its health says; returns when it has been
    /// ill for too long. Every `Replica` that was given to the data plane goes to `served`.
    async fn tend(&self, replica: &dyn Running, served: &mut Vec<Arc<Replica>>) -> Unhealthy {
        loop {
            let mut last = Unhealthy::NoAnswer("it has not answered yet".to_owned());
            if timeout(READY_MAX, until_healthy(replica, &mut last))
                .await
                .is_err()
            {
                return last;
            }
            let cores = self.function.context.routes.cores();
            let authority = self.slot.spec.id.name();
            // A new one each time: the data plane closes its connections to one that was
            // taken out, and never uses it again.
            let given = Arc::new(Replica::new(replica.endpoint(), authority, cores));
            served.push(Arc::clone(&given));
            self.set_ready(Some(given));
            let ill = until_ill(replica).await;
            tracing::warn!(function = %self.slot.spec.id, %ill, "a replica gets no requests");
            self.set_ready(None);
            // What has been answered for good need not be remembered. A count of zero is final
            // only once the data plane has been told.
            self.function.context.routes.flush();
            served.retain(|replica| replica.in_flight() > 0);
        }
    }

    fn set_ready(&self, replica: Option<Arc<Replica>>) {
        let changed = replica.is_some() || self.slot.ready.borrow().is_some();
        *self.slot.ready.borrow_mut() = replica;
        if changed {
            self.function.reroute();
        }
    }

    /// Waits for the requests in flight, then asks the replica to end. It is off the routes.
    async fn drain(&self, replica: &dyn Running, served: &[Arc<Replica>]) {
        let context = &self.function.context;
        // Only what is published is off the routes; then a count of zero is final.
        context.routes.flush();
        let idle = async {
            let mut pause = DRAIN_LOOK_FIRST;
            while served.iter().any(|replica| replica.in_flight() > 0) {
                sleep(pause).await;
                pause = (pause * 2).min(DRAIN_LOOK_LONGEST);
            }
        };
        let finish = async {
            if timeout(context.limits.drain_timeout, idle).await.is_err() {
                tracing::warn!(
                    function = %self.slot.spec.id,
                    "a replica is ended although requests are in flight: the drain limit is over"
                );
            }
            replica.ask_to_end();
            timeout(END_MAX, replica.ended()).await.ok();
        };
        tokio::select! {
            () = finish => {}
            () = replica.ended() => {}
            () = context.hurried() => {}
        }
    }
}

/// Returns when a check succeeds; `last` says what the last one said.
async fn until_healthy(replica: &dyn Running, last: &mut Unhealthy) {
    let mut pause = RETRY_FIRST;
    while let Err(why) = replica.check().await {
        *last = why;
        sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}

/// Returns when the replica should get no more requests.
async fn until_ill(replica: &dyn Running) -> Unhealthy {
    let mut silent = 0;
    loop {
        sleep(CHECK_EVERY).await;
        let late = |_| {
            let seconds = CHECK_MAX.as_secs();
            Err(Unhealthy::NoAnswer(format!("nothing within {seconds} s")))
        };
        match timeout(CHECK_MAX, replica.check())
            .await
            .unwrap_or_else(late)
        {
            Ok(()) => silent = 0,
            Err(no @ Unhealthy::SaysNo(_)) => return no,
            Err(why) => {
                silent += 1;
                if silent == SILENT_CHECKS_MAX {
                    return why;
                }
            }
        }
    }
}
