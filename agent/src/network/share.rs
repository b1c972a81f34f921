//! Tells the record how this node's network is, and hears there what people say to a trial. Both arrive only if the node
//! reaches the record's quorum under the network that it tries.

use std::sync::Arc;
use std::time::Duration;

use super::keeper::happen;
use super::trial::Event;
use super::values::{NetworkValue, VerdictValue};
use crate::app::{App, Member};
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::{Change, RecordError};

/// How often is looked whether there is something to tell.
const EVERY: Duration = Duration::from_secs(10);
/// How often during a trial, when people may have said something.
const TRYING: Duration = Duration::from_secs(1);

/// Does so for as long as it is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    // What the record has; `None` before it was asked.
    let mut told: Option<Option<NetworkValue>> = None;
    let mut answered = String::new();
    loop {
        if let Err(e) = turn(&app, &member, &mut told, &mut answered).await {
            tracing::debug!(error = %chain(&e), "the network is not told to the record");
        }
        let pause = if app.network.trying() { TRYING } else { EVERY };
        // The end of the pause and news are the same: it is looked again.
        let _ = tokio::time::timeout(pause, app.network.news.notified()).await;
    }
}

async fn turn(
    app: &App,
    member: &Member,
    told: &mut Option<Option<NetworkValue>>,
    answered: &mut String,
) -> Result<(), RecordError> {
    let record = &member.record;
    let key = under(keys::NETWORK, &app.node_id);
    if told.is_none() {
        *told = Some(record.get::<NetworkValue>(&key).await?.map(|found| found.value));
    }
    let value = app.network.value();
    if *told != Some(Some(value.clone())) {
        record.commit(Change::default().put(&key, &value)?).await?;
        *told = Some(Some(value.clone()));
    }
    let Some(trial) = value.trial.filter(|_| app.network.trying()) else { return Ok(()) };
    let verdict = record.get::<VerdictValue>(&under(keys::NETWORK_VERDICTS, &app.node_id)).await?;
    let Some(verdict) = verdict.map(|found| found.value) else { return Ok(()) };
    if verdict.id != trial.id || *answered == verdict.id {
        return Ok(());
    }
    let (generation, by) = (Some(trial.generation), verdict.by);
    let event =
        if verdict.confirmed { Event::Confirm { generation, by } } else { Event::Revert { generation, by } };
    match happen(app, event).await {
        Ok(()) => *answered = verdict.id,
        Err(e) => tracing::warn!(error = %chain(&e), "what was said to the trial of the network"),
    }
    Ok(())
}
