//! Waiting for something that has a name, never longer than a limit.

use std::time::{Duration, Instant};

/// The condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("gave up waiting for {what} after {} s", limit.as_secs())]
pub struct TimedOut {
    /// What was waited for, as a person would say it.
    pub what: String,
    /// The limit that ran out.
    pub limit: Duration,
}

/// Polls `ready` every `every` until it returns `Some`, for at most `limit`.
///
/// # Errors
/// [`TimedOut`], which names `what`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    every: Duration,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let start = Instant::now();
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        if start.elapsed() >= limit {
            return Err(TimedOut { what: what.to_owned(), limit });
        }
        #[allow(clippy::disallowed_methods)] // the one place that sleeps: bounded and named
        std::thread::sleep(every.min(limit.saturating_sub(start.elapsed())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_value_once_ready() {
        let mut tries = 0;
        let got = until("third try", Duration::from_secs(5), Duration::from_millis(1), || {
            tries += 1;
            (tries == 3).then_some(tries)
        });
        assert_eq!(got.unwrap(), 3);
    }

    #[test]
    fn names_what_it_waited_for() {
        let err = until("disk vda", Duration::from_millis(2), Duration::from_millis(1), || None::<()>);
        assert!(err.unwrap_err().to_string().contains("disk vda"));
    }
}
