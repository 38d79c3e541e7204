//! Which replica gets the next request: power of two choices on requests in flight.
//!
//! Two replicas are drawn at random and the less loaded one wins, which keeps the longest queue
//! short without a look at all of them (Mitzenmacher, "The Power of Two Choices in Randomized
//! Load Balancing", 2001). Each core goes by its own counts: the others' would cost a shared
//! cache line per look, and connections are spread over the cores evenly anyway.

use std::sync::Arc;

use crate::snapshot::Replica;

/// Picks one of `replicas`, not `avoid` (one that has just failed) where there is another.
/// `None` when there are no replicas.
pub(crate) fn pick<'s>(
    replicas: &'s [Arc<Replica>],
    core: usize,
    avoid: Option<u64>,
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
    if avoid == Some(first.id) {
        return Some(second);
    }
    if avoid == Some(second.id) {
        return Some(first);
    }
    let (load_of_first, load_of_second) = (first.in_flight_on(core), second.in_flight_on(core));
    let first_wins = if load_of_first == load_of_second {
        random.bool()
    } else {
        load_of_first < load_of_second
    };
    Some(if first_wins { first } else { second })
}

#[cfg(test)]
mod tests {
    use net::Endpoint;

    use super::*;

    fn replicas(count: usize) -> Vec<Arc<Replica>> {
        (0..count)
            .map(|_| Arc::new(Replica::new(Endpoint::Unix("/x".into()), "x", 1)))
            .collect()
    }

    #[test]
    fn without_replicas_there_is_no_choice() {
        assert!(pick(&[], 0, None, &mut fastrand::Rng::with_seed(1)).is_none());
    }

    #[test]
    fn of_two_the_idle_one_wins() {
        let replicas = replicas(2);
        let _busy = replicas[0].enter(0);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..100 {
            assert_eq!(
                pick(&replicas, 0, None, &mut random).unwrap().id,
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
                    pick(&replicas, 0, avoid, &mut random).unwrap().id,
                    replicas[0].id
                );
            }
        }
        let only = replicas(1);
        assert!(pick(&only, 0, Some(only[0].id), &mut random).is_some());
    }

    #[test]
    fn load_spreads_evenly_when_requests_stay() {
        let replicas = replicas(10);
        let mut random = fastrand::Rng::with_seed(7);
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(pick(&replicas, 0, None, &mut random).unwrap().enter(0));
        }
        for replica in &replicas {
            let load = replica.in_flight();
            assert!((95..=105).contains(&load), "{load} of 1000 on one of 10");
        }
    }
}
