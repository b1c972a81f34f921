//! Where the journal is sent. The forwarder works by itself; here it is told where to, and asked how it goes.

use std::sync::Arc;
use std::time::Duration;

use maekin_api::settings::{Syslog as Target, condition};

use crate::app::App;
use crate::desired::applier::{Applier, FAILED, Outcome, WORKING, Wanted, Work};
use crate::errors::chain;
use crate::syslog::{Health, State};

/// How long it is waited for word of how it goes.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is asked again: servers come and go.
const LOOK: Duration = Duration::from_secs(30);
/// Entries are sent as they come.
const FORWARDING: &str = "Forwarding";
/// The server is not reached, or does not take them.
const NOT_SENT: &str = "NotSent";

pub(super) struct Syslog {
    pub(super) app: Arc<App>,
}

/// What is told of how it goes. Pure.
fn outcome(target: &Target, state: &State) -> Outcome {
    let place = format!("{} port {}", target.server, target.port());
    match state {
        State::Sending => Outcome::holds(FORWARDING, format!("to {place}")).again(LOOK),
        State::Failing(why) => Outcome::failed(NOT_SENT, why.clone()).again(LOOK),
        State::Starting => Outcome::working(WORKING, format!("connecting to {place}"), LOOK),
    }
}

impl Applier for Syslog {
    fn condition(&self) -> &'static str {
        condition::SYSLOG
    }

    fn apply<'a>(&'a self, wanted: &'a Wanted) -> Work<'a> {
        Box::pin(async move {
            let target = wanted.spec.syslog.as_ref();
            if let Err(e) = self.app.syslog.set(&self.app.settings, target) {
                return Outcome::failed(FAILED, chain(&e));
            }
            let Some(target) = target else { return Outcome::is(false) };
            let mut health = self.app.syslog.health();
            let told =
                |health: &Health| health.target.as_deref() == Some(target) && health.state != State::Starting;
            let state = match tokio::time::timeout(PATIENCE, health.wait_for(told)).await {
                Ok(Ok(health)) => health.state.clone(),
                _ => State::Starting,
            };
            outcome(target, &state)
        })
    }
}
