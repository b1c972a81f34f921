//! The parts of a node that settings change, but for its network.
//!
//! | module | job |
//! | --- | --- |
//! | [`hostname`] | the host name, and with it the member's |
//! | [`time`] | NTP servers |
//! | [`ssh`] | who may log in, and whether sshd and its port are there at all |
//! | [`roles`] | labels that voters are spread by |
//! | [`maintenance`] | whether it leaves to others what they can do as well |
//! | [`syslog`] | where the journal is sent |
//! | [`console`] | whether the console menu gives a shell |

mod console;
mod hostname;
mod maintenance;
mod roles;
mod ssh;
mod syslog;
mod time;

use std::sync::Arc;
use std::time::Duration;

use maekin_host::cmd::Cmd;

use super::applier::{Applier, FAILED, Outcome};
use super::files::ApplyError;
use crate::app::{App, Member};
use crate::errors::chain;
use crate::record::RecordError;
use crate::settings::Settings;

/// How long a service may take to do what it is told.
const LIMIT: Duration = Duration::from_secs(60);
/// The record is not reached: nothing can be told of the part, and what was applied stays.
const NO_RECORD: &str = "NoRecord";
/// How soon the record is asked again.
const RECORD_AGAIN: Duration = Duration::from_secs(30);

/// All of them, for this node.
pub(super) fn all(app: &Arc<App>, member: &Arc<Member>) -> Vec<Arc<dyn Applier>> {
    vec![
        Arc::new(hostname::Hostname { app: Arc::clone(app), member: Arc::clone(member) }),
        Arc::new(time::Time { settings: app.settings.clone() }),
        Arc::new(ssh::Ssh { settings: app.settings.clone() }),
        Arc::new(roles::Roles { app: Arc::clone(app), member: Arc::clone(member) }),
        Arc::new(crate::network::NetworkApplier { app: Arc::clone(app) }),
        Arc::new(maintenance::Maintenance { app: Arc::clone(app) }),
        Arc::new(syslog::Syslog { app: Arc::clone(app) }),
        Arc::new(console::Console { settings: app.settings.clone() }),
    ]
}

/// `systemctl` with these arguments.
fn systemctl(settings: &Settings, args: &[&str]) -> Result<(), ApplyError> {
    Ok(Cmd::new(&settings.systemctl).args(args).limit(LIMIT).run()?)
}

/// What became of a part that needs the record. A node that is cut off is not as it shall be for another reason, and
/// has an alarm for that; a value that is not understood is wrong for good.
fn of_record(e: &RecordError) -> Outcome {
    match e {
        RecordError::Value { .. } | RecordError::Newer { .. } => Outcome::failed(FAILED, chain(e)),
        _ => Outcome::working(NO_RECORD, chain(e), RECORD_AGAIN),
    }
}

/// Work with files and services, away from the threads that answer.
async fn blocking(work: impl FnOnce() -> Result<Outcome, ApplyError> + Send + 'static) -> Outcome {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(e)) => Outcome::failed(FAILED, chain(&e)),
        Err(e) => Outcome::failed(FAILED, format!("it ended early: {e}")),
    }
}
