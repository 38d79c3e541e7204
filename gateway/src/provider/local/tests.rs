//! What a function's replicas do over time, told by a launcher whose replicas live and die as
//! the test says, in time that the test moves.

pub(crate) mod fake;
mod timeouts;
mod world;

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    control::tests_routes as routes,
    provider::{
        FunctionDeployment, FunctionId, Provider, ProviderError, local::spec_store::StoredFunction,
    },
};
use fake::Life;
use world::World;

fn wc(command: &str) -> FunctionDeployment {
    FunctionDeployment {
        service: "wc".to_owned(),
        env_process: command.to_owned(),
        ..FunctionDeployment::default()
    }
}

fn id() -> FunctionId {
    FunctionId::new("wc", "").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_replica_is_published_when_it_is_healthy_and_not_before() {
    World::run(async |world| {
        world.fakes.next(Life::Unready);
        world.provider.deploy(wc("wc")).await.unwrap();
        assert_eq!(world.ready().len(), 0);
        assert!(routes::published(&world.routes, "wc").is_some());
        sleep(Duration::from_secs(10)).await;
        assert_eq!(world.ready().len(), 0);
        world.fakes.all().last().unwrap().set(Life::Healthy);
        world.until_ready(1).await;
        let status = world.provider.status(&id()).await.unwrap();
        assert_eq!((status.replicas, status.available_replicas), (1, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_becomes_healthy_is_ended_and_started_again() {
    World::run(async |world| {
        world.fakes.next(Life::Unready);
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until(|| world.fakes.all().len() == 2).await;
        assert!(world.fakes.all()[0].is_cleaned_up());
        world.until_ready(1).await;
    })
    .await;
}

/// Goal: a crash takes the replica out at once, and brings another after a growing pause.
/// Steps: let three in a row crash right after they became ready, and look at the clock.
#[tokio::test(start_paused = true)]
async fn one_that_ends_is_taken_out_and_started_again_ever_later() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        let mut pauses = Vec::new();
        for number in 1..=4 {
            world.until_ready(1).await;
            let crashed = Instant::now();
            world.fakes.all().last().unwrap().set(Life::Ended);
            world.until_ready(0).await;
            let status = world.provider.status(&id()).await.unwrap();
            assert_eq!((status.replicas, status.available_replicas), (1, 0));
            world.until(|| world.fakes.all().len() == number + 1).await;
            pauses.push(crashed.elapsed());
        }
        assert!(pauses[3] > pauses[0] * 4, "{pauses:?}");
        assert!(
            world.fakes.all()[..4]
                .iter()
                .all(|fake| fake.is_cleaned_up())
        );
        // One that ran well begins anew.
        world.until_ready(1).await;
        sleep(Duration::from_secs(61)).await;
        let crashed = Instant::now();
        world.fakes.all().last().unwrap().set(Life::Ended);
        world.until(|| world.fakes.all().len() == 6).await;
        assert!(crashed.elapsed() < Duration::from_millis(150));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_says_no_gets_no_requests_until_it_says_yes() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until_ready(1).await;
        let first = world.ready()[0].id;
        world.fakes.all()[0].set(Life::Unready);
        world.until_ready(0).await;
        world.fakes.all()[0].set(Life::Healthy);
        world.until_ready(1).await;
        assert_eq!(world.fakes.all().len(), 1, "the same process");
        assert_ne!(world.ready()[0].id, first, "but new to the data plane");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_silent_for_a_moment_keeps_its_requests() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until_ready(1).await;
        let first = world.ready()[0].id;
        world.fakes.all()[0].set(Life::Silent);
        sleep(Duration::from_secs(12)).await;
        world.fakes.all()[0].set(Life::Healthy);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.ready()[0].id, first);
        world.fakes.all()[0].set(Life::Silent);
        world.until_ready(0).await;
    })
    .await;
}

/// Goal: a request in flight holds its replica, and only that.
/// Steps: keep one in flight, scale to zero: not published any more, but alive; let it end: the
/// replica is asked to end, and gone.
#[tokio::test(start_paused = true)]
async fn scaling_down_waits_for_requests_in_flight() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until_ready(1).await;
        let replica = Arc::clone(&world.ready()[0]);
        let in_flight = replica.enter(0);
        world.provider.scale(&id(), 0).await.unwrap();
        assert_eq!(world.ready().len(), 0);
        sleep(Duration::from_secs(20)).await;
        let fake = Rc::clone(&world.fakes.all()[0]);
        assert!(!fake.was_asked_to_end());
        drop(in_flight);
        world.until(|| fake.is_cleaned_up()).await;
        assert!(fake.was_asked_to_end());
        let status = world.provider.status(&id()).await.unwrap();
        assert_eq!((status.replicas, status.available_replicas), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_holds_its_replica_for_the_drain_limit_only() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until_ready(1).await;
        let replica = Arc::clone(&world.ready()[0]);
        let _in_flight = replica.enter(0);
        let begun = Instant::now();
        world.provider.remove(&id()).await.unwrap();
        let fake = Rc::clone(&world.fakes.all()[0]);
        world.until(|| fake.is_cleaned_up()).await;
        assert!(begun.elapsed() >= Duration::from_secs(30));
    })
    .await;
}

/// Goal: no moment without a replica during an update.
/// Steps: update to replicas that are slow to come up; the old one is published until all new
/// ones are ready; then only those, and the old one goes.
#[tokio::test(start_paused = true)]
async fn an_update_serves_by_the_old_until_all_new_are_ready() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.provider.scale(&id(), 2).await.unwrap();
        world.until_ready(2).await;
        let old: Vec<u64> = world.ready().iter().map(|replica| replica.id).collect();
        world.fakes.next(Life::Unready);
        let deployed = world.provider.update(wc("wc -l")).await.unwrap();
        assert!(deployed.changed);
        sleep(Duration::from_secs(5)).await;
        let now: Vec<u64> = world.ready().iter().map(|replica| replica.id).collect();
        assert_eq!(now, old);
        assert!(
            world.fakes.all()[..2]
                .iter()
                .all(|fake| !fake.is_cleaned_up())
        );
        world.fakes.all()[2].set(Life::Healthy);
        world
            .until(|| {
                world
                    .ready()
                    .iter()
                    .all(|replica| !old.contains(&replica.id))
            })
            .await;
        assert_eq!(world.ready().len(), 2);
        world
            .until(|| {
                world.fakes.all()[..2]
                    .iter()
                    .all(|fake| fake.is_cleaned_up())
            })
            .await;
        assert_eq!(world.fakes.all().len(), 4);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_that_cannot_run_leaves_the_old_serving() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until_ready(1).await;
        let old = world.ready()[0].id;
        world.fakes.always(Life::Ended);
        world.provider.update(wc("wc -l")).await.unwrap();
        sleep(Duration::from_secs(300)).await;
        assert_eq!(
            world.ready().iter().map(|r| r.id).collect::<Vec<_>>(),
            [old]
        );
        // A better one overtakes it.
        world.fakes.always(Life::Healthy);
        world.provider.update(wc("wc -c")).await.unwrap();
        world
            .until(|| world.ready().iter().all(|replica| replica.id != old))
            .await;
        let status = world.provider.status(&id()).await.unwrap();
        assert_eq!(status.env_process, "wc -c");
        world.until(|| world.fakes.living() == 1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_of_a_broken_function_serves_as_soon_as_one_is_ready() {
    World::run(async |world| {
        world.fakes.always(Life::Ended);
        world.provider.deploy(wc("wc")).await.unwrap();
        world.provider.scale(&id(), 3).await.unwrap();
        world.fakes.next(Life::Healthy);
        world.provider.update(wc("wc -l")).await.unwrap();
        world.until_ready(1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_equal_update_changes_nothing() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until_ready(1).await;
        let before = world.ready()[0].id;
        assert!(!world.provider.update(wc("wc")).await.unwrap().changed);
        assert!(!world.provider.deploy(wc("wc")).await.unwrap().changed);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.ready()[0].id, before);
        let error = world.provider.deploy(wc("wc -l")).await.unwrap_err();
        assert!(matches!(error, ProviderError::Conflict(_)), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_there_after_a_crash() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.provider.scale(&id(), 3).await.unwrap();
        let other = FunctionDeployment {
            service: "cat".to_owned(),
            ..wc("cat")
        };
        world.provider.deploy(other).await.unwrap();
        world
            .provider
            .remove(&FunctionId::new("cat", "").unwrap())
            .await
            .unwrap();
        let before = world.provider.status(&id()).await.unwrap();
        world.restart();
        // The routes are there before the replicas are.
        assert!(routes::published(&world.routes, "wc").is_some());
        world.until_ready(3).await;
        let after = world.provider.status(&id()).await.unwrap();
        assert_eq!(after.created_at, before.created_at);
        assert_eq!(after.env_process, "wc");
        assert_eq!(world.provider.list(None).await.unwrap().len(), 1);
    })
    .await;
}

/// Goal: what an earlier version took and this one does not can be got rid of by the API.
/// Steps: put two such functions on the disk and start; they are not there; deploy one anew,
/// remove the other; after a restart it is still so.
#[tokio::test(start_paused = true)]
async fn a_stored_function_that_cannot_be_used_can_be_removed_or_replaced() {
    World::run(async |world| {
        let other = FunctionId::new("other", "").unwrap();
        for id in [id(), other.clone()] {
            let bad = StoredFunction {
                deployment: FunctionDeployment {
                    service: id.name().to_owned(),
                    ..wc("")
                },
                replicas: 1,
                created_at: String::new(),
            };
            world.store().put(&id, &bad).unwrap();
        }
        world.restart();
        assert_eq!(world.provider.list(None).await.unwrap().len(), 0);
        world.provider.status(&other).await.unwrap_err();
        world.provider.remove(&other).await.unwrap();
        let error = world.provider.remove(&other).await.unwrap_err();
        assert!(matches!(error, ProviderError::NoFunction(_)), "{error}");
        world.provider.deploy(wc("wc")).await.unwrap();
        world.restart();
        world.until_ready(1).await;
        assert_eq!(world.store().functions().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_function_removed_and_deployed_again_is_not_touched_by_what_is_left_of_it() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.until_ready(1).await;
        let old = Arc::clone(&world.ready()[0]);
        let in_flight = old.enter(0);
        world.provider.remove(&id()).await.unwrap();
        world.provider.deploy(wc("wc -l")).await.unwrap();
        world.until_ready(1).await;
        drop(in_flight);
        world.until(|| world.fakes.all()[0].is_cleaned_up()).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.ready().len(), 1);
        assert_ne!(world.ready()[0].id, old.id);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn scaling_is_bounded_and_unknown_functions_are_unknown() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        let error = world.provider.scale(&id(), 21).await.unwrap_err();
        assert!(
            error.to_string().contains("com.openfaas.scale.max"),
            "{error}"
        );
        let nobody = FunctionId::new("nobody", "").unwrap();
        for error in [
            world.provider.scale(&nobody, 1).await.unwrap_err(),
            world.provider.remove(&nobody).await.unwrap_err(),
            world.provider.status(&nobody).await.unwrap_err(),
        ] {
            assert!(matches!(error, ProviderError::NoFunction(_)), "{error}");
        }
        let error = world
            .provider
            .deploy(FunctionDeployment {
                namespace: "dev".to_owned(),
                ..wc("wc")
            })
            .await
            .unwrap_err();
        assert!(matches!(error, ProviderError::NoNamespace(_)), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn shutting_down_ends_all_replicas_and_takes_no_more_work() {
    World::run(async |world| {
        world.provider.deploy(wc("wc")).await.unwrap();
        world.provider.scale(&id(), 2).await.unwrap();
        world.until_ready(2).await;
        let held = Arc::clone(&world.ready()[0]);
        let _in_flight = held.enter(0);
        world.provider.shutdown(Duration::from_secs(5)).await;
        assert_eq!(world.fakes.living(), 0);
        assert_eq!(world.ready().len(), 0);
        let error = world.provider.deploy(wc("wc -l")).await.unwrap_err();
        assert!(matches!(error, ProviderError::Leaving), "{error}");
    })
    .await;
}
