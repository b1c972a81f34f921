//! A clock that is certainly wrong: by it, a certificate that was made a moment ago does not hold. A new machine's battery
//! may be empty, and without the time it can verify nobody. Time servers do the rest afterwards.

use maekin_host::cmd::Cmd;

use crate::app::App;
use crate::clock::now;

/// Sets the clock of an installed node to `time`, as a member that proved who it is told it, or as the time before which
/// it cannot be.
pub(crate) fn set(app: &App, time: u64) {
    if time == 0 {
        return;
    }
    tracing::warn!(now = now(), time, "this node's clock is wrong");
    if app.boot.is_none() {
        return; // not on an installed node: the clock is not ours
    }
    if let Err(e) = Cmd::new("date").args(["--utc".to_owned(), format!("--set=@{time}")]).run() {
        tracing::warn!(error = %crate::errors::chain(&e), "the clock cannot be set");
    }
}
