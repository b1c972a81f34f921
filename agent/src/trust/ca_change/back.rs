//! A member that was away while the cluster's CA was changed: it trusts the old CA only, and nobody trusts its
//! certificate. It knows the other members' keys, which do not change, and they know its own: by these it asks for a
//! certificate of the new CA. So the CA's old key, whoever has it, is good for nothing in this.

use std::collections::BTreeMap;
use std::sync::Arc;

use maekin_api::trust::{RenewReply, RenewRequest};
use maekin_api::{CERTIFICATE, WHOAMI};

use super::kept;
use crate::app::App;
use crate::errors::chain;
use crate::http::client::{ClientError, Target};
use crate::membership::{MembershipError, MembershipFile, etcd};
use crate::node_info::own_address;
use crate::pki::bundle::Bundle;
use crate::pki::identity::Credentials;
use crate::tls;
use crate::trust::REMOVED;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Back {
    /// This node has a certificate of the new CA.
    Renewed,
    /// It was removed, in words.
    Removed(String),
    /// Somebody answered who has the key of a member, and gave none.
    Refused(String),
    /// Nobody answered whose key we know.
    Nobody,
}

/// How a member says that it does not know who asks.
const STRANGER: &str = "urn:maekin:not-among-members";
/// What a person is told then.
const REMEDY: &str = "the cluster's CA was changed while this node was away; make a token on a member \
                      (`maekin-agent token create`), compare the CA there, and give it to `maekin-agent join` here";

/// Asks each member that we knew last. It is not to be left in the middle: a voter is ended before what it is started with
/// is written.
pub(crate) async fn ask(app: &App) -> Back {
    ask_these(app, &MembershipFile::members(&app.settings.membership())).await
}

/// Asks those at these addresses.
pub(crate) async fn ask_these(app: &App, members: &[String]) -> Back {
    match ask_each(app, members, &MembershipFile::known(&app.settings.membership())).await {
        Ok(back) => back,
        Err(e) => {
            tracing::warn!(error = %chain(&e), "coming back after a change of the cluster's CA");
            Back::Nobody
        }
    }
}

/// `keys` are digests of the keys of those whose keys we know.
async fn ask_each(
    app: &App,
    members: &[String],
    keys: &BTreeMap<String, String>,
) -> Result<Back, MembershipError> {
    let _files = app.trust.ca.files.lock().await;
    let Some(old) = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)? else {
        return Ok(Back::Nobody);
    };
    let links = maekin_host::links::probe_links().unwrap_or_default();
    let own = own_address(&app.network.in_force(), &links).ok_or(MembershipError::NoAddress)?;
    let request = RenewRequest {
        csr: app.key.request()?,
        node_id: app.node_id.clone(),
        addresses: vec![own.address.to_string()],
    };
    let mut refused = None;
    let trusted = Arc::new(tls::to_members(&app.key, &old)?);
    for url in members {
        let address = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let asked = Target::Tls(address.clone(), Arc::clone(&trusted)).get::<serde_json::Value>(WHOAMI).await;
        let (by_key, config) = match asked {
            Ok(_) => return Ok(Back::Nobody), // the CA of our certificate is the cluster's still
            // We trust its CA, and it takes our certificate no longer: we left before we had one of that CA.
            Err(ClientError::Problem(_)) => (false, Arc::clone(&trusted)),
            Err(e) if e.is_untrusted() => {
                let Some(key) = keys.get(url) else { continue };
                (true, Arc::new(tls::to_member_with(&app.key, &old, key)?))
            }
            Err(_) => continue, // it is not there
        };
        match Target::Tls(address, config).post::<RenewReply>(CERTIFICATE, &request).await {
            Ok(reply) => match accept(app, &old, reply)? {
                Some(new) => {
                    // A voter that runs trusts the old CA alone: it is started anew with the next try.
                    etcd::stop(app).await?;
                    new.store(&app.settings.pki())?;
                    tracing::warn!(from = url, "this node follows the cluster to its new CA");
                    return Ok(Back::Renewed);
                }
                None if !by_key => {}
                None => refused = Some(format!("{url} gave no certificate of another CA")),
            },
            Err(ClientError::Problem(problem)) if problem.kind == REMOVED => {
                return Ok(Back::Removed(problem.detail));
            }
            Err(ClientError::Problem(problem)) if by_key && problem.kind == STRANGER => {
                refused = Some(format!("{url}: {}", problem.detail));
            }
            Err(e) => tracing::info!(error = %chain(&e), "ask a member for a certificate of another CA"),
        }
    }
    Ok(refused.map_or(Back::Nobody, |why| Back::Refused(format!("{REMEDY} ({why})"))))
}

/// What is kept of an answer: our certificate, and CAs of which one signed it. The old one stays until the record says
/// otherwise; `None` where the answer is no way forward.
fn accept(app: &App, old: &Credentials, reply: RenewReply) -> Result<Option<Credentials>, MembershipError> {
    let Ok(told) = Bundle::parse(&reply.ca) else { return Ok(None) };
    let before = old.bundle()?;
    let former = kept::former(&app.settings);
    let new = Credentials { cert: reply.cert, ca: told.clone().with(&before).text() };
    let issuer = new.issuer().map(|ca| ca.sha256).unwrap_or_default();
    let same = old.issuer().is_some_and(|ca| ca.sha256 == issuer);
    let forward = told.has(&issuer) && !same && !former.has(&issuer);
    Ok((forward && new.fits(&app.key, &app.node_id)).then_some(new))
}
