//! A learner whose first node is gone. What reached it is in its log; what of that was agreed on is carried out when it
//! runs, and is in its file when it has ended in order. It answers no client before it has heard of a leader, so it is
//! asked at the port for other voters whether it runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::etcd::{self, VoterFile};
use super::super::{MembershipError, MembershipFile};
use super::RestoreError;
use crate::app::App;
use crate::http::client::Target;
use crate::node_info::Own;
use crate::pki::identity::Credentials;
use crate::tls;

/// How long it may take to start.
const STARTS: Duration = Duration::from_secs(30);
/// How long it has for its log after that: it carries out tens of thousands of changes a second.
const LOG: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(500);

/// Where the learner has the record; complete once it has ended.
pub(super) fn file(app: &App) -> PathBuf {
    etcd::data(app).join("member/snap/db")
}

/// Has the learner carry out what its log says. One that does not start is taken as its file is.
///
/// # Errors
/// [`RestoreError`] when its files cannot be read.
pub(super) async fn carry_out_log(app: &App, own: &Own) -> Result<(), RestoreError> {
    let Some(known) = MembershipFile::load(&app.settings.membership())? else { return Ok(()) };
    let Some(credentials) = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)? else {
        return Ok(());
    };
    let voter = VoterFile::load(app)?;
    if let Err(e) = etcd::start(app, &known.cluster_id, own, voter.as_ref()).await {
        tracing::warn!(error = %crate::errors::chain(&e), "the learner does not start; its file is taken as it is");
        return Ok(());
    }
    if runs(app, &credentials).await? {
        tokio::time::sleep(LOG).await;
    } else {
        tracing::warn!("the learner does not answer; its file is taken as it is");
    }
    Ok(())
}

async fn runs(app: &App, credentials: &Credentials) -> Result<bool, MembershipError> {
    let config = tls::to_members(&app.key, credentials)?;
    let own = Target::Tls(format!("127.0.0.1:{}", app.settings.record_peer_port), Arc::new(config));
    let asked_from = Instant::now();
    while asked_from.elapsed() < STARTS {
        if own.get::<serde_json::Value>("/version").await.is_ok() {
            return Ok(true);
        }
        tokio::time::sleep(AGAIN).await;
    }
    Ok(false)
}
