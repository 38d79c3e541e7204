//! How long a function may take, as the data plane is told.

use std::time::Duration;

use super::{World, fake::Life, id, wc};
use crate::{
    control::tests_routes::limits,
    provider::{FunctionDeployment, Provider},
};

fn patient(command: &str, exec_timeout: &str) -> FunctionDeployment {
    let mut deployment = wc(command);
    let name = "exec_timeout".to_owned();
    deployment.env_vars.insert(name, exec_timeout.to_owned());
    deployment
}

/// Goal: the gateway waits as long as the replicas that get the requests may take.
/// Steps: deploy with two minutes; update to five, whose replica is slow to come up: it is two
/// until that one serves; scale to zero and start again: still five; update to none.
#[tokio::test(start_paused = true)]
async fn the_limit_is_that_of_the_replicas_that_serve() {
    World::run(async |world| {
        let own = |world: &World| {
            let limits = limits(&world.routes, "wc");
            limits.first_byte_timeout.map(|limit| limit.as_secs())
        };
        world.provider.deploy(patient("wc", "2m")).await.unwrap();
        assert_eq!(own(world), Some(125), "before any is ready");
        world.until_ready(1).await;
        world.fakes.next(Life::Unready);
        world
            .provider
            .update(patient("wc -l", "300"))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(own(world), Some(125));
        world.fakes.all()[1].set(Life::Healthy);
        world.until(|| own(world) == Some(305)).await;
        world.provider.scale(&id(), 0).await.unwrap();
        assert_eq!(own(world), Some(305));
        world.restart();
        assert_eq!(own(world), Some(305));
        world.provider.update(wc("wc")).await.unwrap();
        world.until(|| own(world).is_none()).await;
    })
    .await;
}
