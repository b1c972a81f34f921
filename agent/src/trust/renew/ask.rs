//! Asking another member for a new certificate.

use std::sync::Arc;

use maekin_api::CERTIFICATE;
use maekin_api::trust::{RenewReply, RenewRequest};

use crate::app::{App, Member};
use crate::errors::chain;
use crate::http::client::{ClientError, Target};
use crate::membership::MembershipError;
use crate::node_info::Own;
use crate::pki::identity::Credentials;
use crate::record::RecordError;
use crate::tls;
use crate::trust::clock;

/// What a member is told that was removed.
const REMOVED: &str = "urn:maekin:removed";

/// Where certificates are to be had: members that can sign first.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn urls(member: &Member, own_id: &str) -> Result<Vec<String>, RecordError> {
    let mut nodes: Vec<_> = member
        .record
        .list::<crate::record::values::NodeValue>(crate::record::keys::NODES)
        .await?
        .into_iter()
        .map(|node| node.value)
        .filter(|node| node.id != own_id)
        .collect();
    nodes.sort_by_key(|node| (!node.signer, node.name.clone()));
    Ok(nodes.into_iter().map(|node| node.url).collect())
}

/// Asks one member after another, showing our certificate, however old it is; writes down what is got.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn ask(
    app: &App,
    old: &Credentials,
    masters: &[String],
    own: &Own,
) -> Result<Credentials, MembershipError> {
    let config = Arc::new(tls::to_members(&app.key, old)?);
    let request = RenewRequest {
        csr: app.key.request()?,
        node_id: app.node_id.clone(),
        addresses: vec![own.address.to_string()],
    };
    let mut refusals = Vec::new();
    for master in masters {
        let address = master.trim_start_matches("https://").trim_end_matches('/').to_owned();
        match Target::Tls(address, Arc::clone(&config)).post::<RenewReply>(CERTIFICATE, &request).await {
            Ok(reply) => {
                let new = Credentials { cert: reply.cert, ca: old.ca.clone() };
                if !new.fits(&app.key, &app.node_id) || !tls::signed(&new) {
                    refusals.push(format!("{master}: it gave a certificate that is not for this node"));
                    continue;
                }
                if let Some(dates) = new.dates()
                    && !dates.hold(crate::clock::now())
                {
                    clock::set(app, reply.time);
                }
                new.store(&app.settings.pki())?;
                return Ok(new);
            }
            Err(ClientError::Problem(problem)) if problem.kind == REMOVED => {
                return Err(MembershipError::Removed(problem.detail));
            }
            Err(e) => refusals.push(format!("{master}: {}", chain(&e))),
        }
    }
    Err(MembershipError::Renewal(refusals))
}
