//! Who is let into the cluster, and who no longer. Decisions are pure; the record is changed by compare-and-swap only.
//!
//! | module | job |
//! | --- | --- |
//! | [`tokens`] | join tokens: made, listed, used, taken back |
//! | [`proof`] | that a joining node has a token, without telling it |
//! | [`invitation`] | what a node that is no member yet was given to join with |
//! | [`pairing`] | a code of six digits, compared on two consoles |
//! | [`issue`], [`renew`] | certificates of nodes: made, renewed |
//! | [`removal`], [`revoke`], [`crl`] | members that are none any more, and what they had |
//! | [`ca_change`] | another CA after a removal |
//! | [`leaving`] | a member that leaves by itself |
//! | [`known`] | which certificates are good for something |
//! | [`clock`] | a clock that is certainly wrong |
//! | [`events`] | refusals, where they are found again |
//! | [`routes`] | all that in the API |

pub(crate) mod ca_change;
pub(crate) mod clock;
pub(crate) mod crl;
pub(crate) mod events;
pub(crate) mod invitation;
pub(crate) mod issue;
pub(crate) mod known;
pub(crate) mod leaving;
pub(crate) mod pairing;
pub(crate) mod proof;
pub(crate) mod removal;
pub(crate) mod renew;
pub(crate) mod revoke;
pub(crate) mod routes;
pub(crate) mod tokens;
pub(crate) mod values;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use maekin_api::WHOAMI;
use tokio::sync::Notify;

use crate::app::{App, Member};
use crate::errors::chain;
use crate::http::client::{ClientError, Target};
use crate::membership::MembershipFile;
use crate::pki::identity::Credentials;
use crate::pki::peer::PeerNode;
use crate::record::look::Look;
use crate::tls;
use ca_change::back::Back;
use known::{Known, Standing};
use pairing::inviting::Inviting;
use pairing::waiting::Waiting;

/// After how many looks that failed is asked whether that is because we were removed.
const WONDER: u32 = 3;
/// What a member is told that was removed.
pub(crate) const REMOVED: &str = "urn:maekin:removed";

/// What a running agent has of it.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Something to join with was given.
    pub(crate) invited: Notify,
    /// The pairing of this node, while it waits.
    pub(crate) waiting: Mutex<Waiting>,
    /// The pairings that this member began.
    pub(crate) inviting: Mutex<Inviting>,
    known: RwLock<Known>,
    /// How far our voter follows the list of certificates that hold no longer.
    pub(crate) crl: Mutex<crl::Followed>,
    /// How far this node follows a change of the CA.
    pub(crate) ca: ca_change::Following,
    /// Looks at the record that failed one after another.
    failed: AtomicU32,
}

impl Trust {
    /// What a certificate is good for, as far as we have heard.
    pub(crate) fn judge(&self, node: &PeerNode) -> Standing {
        self.known.read().unwrap_or_else(PoisonError::into_inner).judge(node)
    }
}

/// Takes over what the record says of who is a member.
fn see(app: &App, look: &Look) {
    app.trust.failed.store(0, Ordering::Relaxed);
    let keys = {
        let mut known = app.trust.known.write().unwrap_or_else(PoisonError::into_inner);
        known.set(&look.nodes(), look.removed.clone());
        known.removed_keys()
    };
    app.tls.remove(keys);
}

/// Follows what the record says of who is a member.
pub(crate) async fn follow(app: &Arc<App>, member: &Member, look: &Look) {
    see(app, look);
    if let Some(removed) = look.removed.iter().find(|removed| removed.id == app.node_id) {
        if leaving::resume(app) {
            return;
        }
        app.set_removed(&known::words(removed));
        return;
    }
    if let Err(e) = crl::tend(app, member, look).await {
        tracing::warn!(error = %chain(&e), "revoked certificates");
    }
}

/// The same at once, where something has just changed; what fails is done at the next look.
async fn look_now(app: &App, member: &Member) {
    match member.record.look(&app.node_id).await {
        Ok(look) => see(app, &look),
        Err(e) => tracing::info!(error = %chain(&e), "look at the members"),
    }
}

/// The record gives no answer: perhaps because this node was removed.
pub(crate) async fn cut_off(app: &Arc<App>) {
    let failed = app.trust.failed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if !failed.is_multiple_of(WONDER) {
        return;
    }
    match wonder(app).await {
        Back::Renewed => app.trust.ca.anew.notify_one(),
        Back::Removed(why) if !leaving::resume(app) => app.set_removed(&why),
        Back::Refused(why) => tracing::error!(why, "membership"),
        Back::Removed(_) | Back::Nobody => {}
    }
}

/// Asks the members that we know why the record does not answer: because this node was removed, or because the cluster's
/// CA was changed while it was away.
pub(crate) async fn wonder(app: &App) -> Back {
    match whether_removed(app).await {
        Some(why) => Back::Removed(why),
        None => ca_change::back::ask(app).await,
    }
}

/// Asks the members that we know whether we are one; what they say where we are not.
pub(crate) async fn whether_removed(app: &App) -> Option<String> {
    let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id).ok()??;
    let config = Arc::new(tls::to_members(&app.key, &credentials).ok()?);
    for url in MembershipFile::members(&app.settings.membership()) {
        let address = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let asked = Target::Tls(address, Arc::clone(&config)).get::<serde_json::Value>(WHOAMI).await;
        match asked {
            Ok(_) => return None,
            Err(ClientError::Problem(problem)) if problem.kind == REMOVED => return Some(problem.detail),
            Err(_) => {}
        }
    }
    None
}
