//! Which replica gets the next request: power of two choices on requests in flight.
//!
//! Two replicas are drawn at random and the less loaded one wins, which keeps the longest queue
//! short without a look at all of them (Mitzenmacher, "The Power of Two Choices in Randomized
//! Load Balancing", 2001). Each core goes by its own counts: the others' would cost a shared
//! cache line per look, and connections are spread over the cores evenly anyway.
//!
//! One that has just failed, or that could not be connected to lately, gets a request only where
//! there is no other: somebody is always left to choose.

use std::{sync::Arc, time::Instant};

use crate::snapshot::Replica;

/// Picks one of `replicas`, not `avoid` (one that has just failed this request) nor one that is
/// left out at `now`, as long as there is another. `None` when there are no replicas.
#[must_use]
pub fn pick<'s>(
    replicas: &'s [Arc<Replica>],
    core: usize,
    avoid: Option<u64>,
    now: Instant,
    random: &mut fastrand::Rng,
) -> Option<&'s Arc<Replica>> {
    let (first, second) = match replicas {
        [] => return None,
        [only] => return Some(only),
        [a, b] => (a, b),
        many => {
            let first = random.usize(..many.len());
            // Drawn from the others, so that the two differ.
            let second = (first + random.usize(1..many.len())) % many.len();
            (&many[first], &many[second])
        }
    };
    let is_avoided = |replica: &Replica| avoid == Some(replica.id);
    let is_fit = |replica: &Replica| !is_avoided(replica) && !replica.outlier.is_left_out(now);
    Some(match (is_fit(first), is_fit(second)) {
        (true, true) => less_loaded(first, second, core, random),
        (true, false) => first,
        (false, true) => second,
        (false, false) => {
            // Rare, so a look at all of them costs nothing that counts. From a random place, or
            // the first that is fit would get all that its unfit neighbours do not.
            let (before, from) = replicas.split_at(random.usize(..replicas.len()));
            let mut around = from.iter().chain(before);
            match around.clone().find(|replica| is_fit(replica)) {
                Some(fit) => fit,
                None => around.find(|replica| !is_avoided(replica))?,
            }
        }
    })
}

fn less_loaded<'s>(
    first: &'s Arc<Replica>,
    second: &'s Arc<Replica>,
    core: usize,
    random: &mut fastrand::Rng,
) -> &'s Arc<Replica> {
    let (load_of_first, load_of_second) = (first.in_flight_on(core), second.in_flight_on(core));
    let first_wins = if load_of_first == load_of_second {
        random.bool()
    } else {
        load_of_first < load_of_second
    };
    if first_wins { first } else { second }
}

#[cfg(test)]
mod tests {
    use net::Endpoint;

    use super::*;
    use crate::outlier::a_moment;

    fn replicas(count: usize) -> Vec<Arc<Replica>> {
        (0..count)
            .map(|_| Arc::new(Replica::new(Endpoint::Unix("/x".into()), "x", 1)))
            .collect()
    }

    #[test]
    fn without_replicas_there_is_no_choice() {
        assert!(pick(&[], 0, None, a_moment(), &mut fastrand::Rng::with_seed(1)).is_none());
    }

    #[test]
    fn of_two_the_idle_one_wins() {
        let replicas = replicas(2);
        let _busy = replicas[0].enter(0);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            assert_eq!(
                pick(&replicas, 0, None, a_moment(), &mut random)
                    .unwrap()
                    .id,
                replicas[1].id
            );
        }
    }

    #[test]
    fn one_that_has_just_failed_is_avoided_while_there_is_another() {
        let mut random = fastrand::Rng::with_seed(1);
        for count in [2, 3, 10] {
            let replicas = replicas(count);
            let avoid = Some(replicas[0].id);
            for _ in 0..100 {
                assert_ne!(
                    pick(&replicas, 0, avoid, a_moment(), &mut random)
                        .unwrap()
                        .id,
                    replicas[0].id
                );
            }
        }
        let only = replicas(1);
        assert!(pick(&only, 0, Some(only[0].id), a_moment(), &mut random).is_some());
    }

    #[test]
    fn load_spreads_evenly_when_requests_stay() {
        let replicas = replicas(10);
        let mut random = fastrand::Rng::with_seed(7);
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(
                pick(&replicas, 0, None, a_moment(), &mut random)
                    .unwrap()
                    .enter(0),
            );
        }
        for replica in &replicas {
            let load = replica.in_flight();
            assert!((95..=105).contains(&load), "{load} of 1000 on one of 10");
        }
    }

    #[test]
    fn those_left_out_get_nothing_until_they_are_all_there_is() {
        let replicas = replicas(10);
        let (now, mut random) = (a_moment(), fastrand::Rng::with_seed(3));
        let mut drawn = |avoid| -> Vec<u64> {
            let pick = |_| pick(&replicas, 0, avoid, now, &mut random).unwrap().id;
            (0..200).map(pick).collect()
        };
        for replica in &replicas[1..] {
            replica.outlier.failed(now);
        }
        let last = replicas[0].id;
        assert!(drawn(None).iter().all(|id| *id == last));
        assert!(!drawn(Some(last)).contains(&last));
        replicas[0].outlier.failed(now);
        let anybody = drawn(None);
        assert!(replicas.iter().all(|replica| anybody.contains(&replica.id)));
    }
}
