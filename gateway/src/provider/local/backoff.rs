//! How long to wait before a replica that ended is started again. Pure: the number of failures
//! and a random number in, a time out.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(100);
/// At most.
const LONGEST: Duration = Duration::from_secs(30);
/// By how much of itself a wait is shortened at most, so that a hundred replicas that fell
/// together do not rise together.
const JITTER: f64 = 0.25;

/// Who ran so long is not failing any more: the next failure is the first.
pub(crate) const RAN_WELL: Duration = Duration::from_secs(60);

/// The wait after `failures` in a row, the first being 1; `random` lies in 0..1.
pub(crate) fn delay(failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    full.mul_f64(1.0 - JITTER * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_from_a_tenth_of_a_second_to_half_a_minute() {
        let waits: Vec<_> = (1..=10).map(|n| delay(n, 0.0).as_millis()).collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]
        );
        assert_eq!(delay(u32::MAX, 0.0), LONGEST);
    }

    #[test]
    fn jitter_only_shortens_and_by_a_quarter_at_most() {
        for random in [0.0, 0.3, 0.999, 7.0] {
            let wait = delay(5, random);
            assert!(wait <= Duration::from_millis(1600), "{wait:?}");
            assert!(wait >= Duration::from_millis(1200), "{wait:?}");
        }
    }
}
