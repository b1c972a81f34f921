//! Asking to be let into a cluster.

use std::sync::Arc;

use maekin_api::JOIN;
use maekin_api::join::{JoinReply, JoinRequest};
use maekin_host::links::probe_links;

use super::{MembershipError, MembershipFile, etcd};
use crate::app::App;
use crate::errors::chain;
use crate::http::client::Target;
use crate::node_info::Own;
use crate::pki::bundle::Bundle;
use crate::pki::identity::Credentials;
use crate::sealed::SealKey;
use crate::trust::invitation::Invitation;
use crate::trust::proof;
use maekin_host::pin;

/// What is said of a master that is of another CA.
const OTHER_CA: &str = "it is of another CA than the one that we were told to trust; where the cluster's was changed \
                        since, make a token there and give it to `maekin-agent join` here";

/// Whether this node, which is a member, was given something to join with under a CA that it does not know: the cluster's
/// was changed while it was away.
///
/// # Errors
/// [`MembershipError`].
pub(super) fn is_anew(app: &App, invitation: Option<&Invitation>) -> Result<bool, MembershipError> {
    let Some(invitation) = invitation.filter(|invitation| !invitation.secret.is_empty()) else {
        return Ok(false);
    };
    let have = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)?;
    let file = MembershipFile::load(&app.settings.membership())?;
    let Some(have) = have.filter(|_| file.is_some()) else { return Ok(false) };
    Ok(!have.bundle()?.has(&invitation.ca_sha256))
}

/// The certificates of a member: those that we have, else those that a master gives for our secret.
pub(super) async fn ensure(
    app: &App,
    invitation: Option<Invitation>,
    own: &Own,
) -> Result<(Credentials, MembershipFile), MembershipError> {
    let dir = app.settings.pki();
    // What a power cut left between the two files is no certificate of a CA that is trusted.
    let have = Credentials::load(&dir, &app.key, &app.node_id)?.filter(|have| have.issuer().is_some());
    let file = MembershipFile::load(&app.settings.membership())?;
    let sealed = SealKey::load(&dir)?.is_some();
    let anew = is_anew(app, invitation.as_ref())?;
    // One that joined through a member without the sealing key is a member all the same.
    if let Some(pair) = have.zip(file.clone()).filter(|_| !anew)
        && (sealed || invitation.as_ref().is_none_or(|i| i.secret.is_empty()))
    {
        return Ok(pair);
    }
    let invitation = invitation.ok_or(MembershipError::Waiting)?;
    if invitation.secret.is_empty() {
        return Err(MembershipError::SecretGone);
    }
    let mut addresses = vec![own.address.to_string()];
    for (ip, _) in probe_links().unwrap_or_default().into_iter().flat_map(|link| link.addresses) {
        let text = ip.to_string();
        if !addresses.contains(&text) && addresses.len() < 16 {
            addresses.push(text);
        }
    }
    let token = invitation.token();
    let mut request = JoinRequest {
        secret: if token.is_some() { String::new() } else { invitation.secret.clone() },
        csr: app.key.request()?,
        node_id: app.node_id.clone(),
        name: app.config.hostname.clone(),
        addresses,
        machine: app.settings.machine(),
        token: None,
    };
    request.token = token.and_then(|token| proof::prove(&token, &request));
    let reply = ask_all(app, &invitation, &request).await?;
    if let Some(file) = file.as_ref().filter(|file| anew && file.cluster_id != reply.cluster_id) {
        Invitation::forget(&app.settings);
        let (found, own) = (reply.cluster_id, file.cluster_id.clone());
        return Err(MembershipError::OtherCluster { found, own });
    }
    if anew {
        tracing::warn!("this node is let in anew, as the member that it was");
        etcd::stop(app).await?; // a voter that runs trusts the CA of before
    }
    let file = MembershipFile {
        cluster_id: reply.cluster_id,
        cluster: reply.cluster,
        endpoints: reply.endpoints,
        made: true,
        members: invitation.masters.clone(),
        restored: file.map_or(0, |file| file.restored),
        keys: std::collections::BTreeMap::new(),
    };
    let credentials = Credentials { cert: reply.cert, ca: reply.ca };
    file.store(&app.settings.membership())?;
    if let Some(dates) = credentials.dates()
        && !dates.hold(crate::clock::now())
    {
        crate::trust::clock::set(app, reply.time);
    }
    if !reply.seal.is_empty() {
        SealKey::parse(reply.seal.expose())?.store(&dir)?;
    }
    credentials.store(&dir)?; // last: it says that the node has joined, and the secret is good for nothing then
    Ok((credentials, file))
}

/// Asks one master after another; each gets the time that [`Target`] allows.
async fn ask_all(
    app: &App,
    invitation: &Invitation,
    request: &JoinRequest,
) -> Result<JoinReply, MembershipError> {
    let tls = Arc::new(pin::client_config(&invitation.ca_sha256).map_err(crate::tls::TlsError::from)?);
    let mut refusals = Vec::new();
    for master in &invitation.masters {
        app.set_step(&format!("asking {master} to be let in"));
        let address = master.trim_start_matches("https://").trim_end_matches('/').to_owned();
        match Target::Tls(address, Arc::clone(&tls)).post::<JoinReply>(JOIN, request).await {
            Ok(reply) => match check(app, invitation, reply) {
                Ok(reply) => return Ok(reply),
                Err(why) => refusals.push(format!("{master}: {why}")),
            },
            Err(e) if e.is_untrusted() => refusals.push(format!("{master}: {}; {OTHER_CA}", chain(&e))),
            Err(e) => refusals.push(format!("{master}: {}", chain(&e))),
        }
    }
    Err(MembershipError::Masters(refusals))
}

/// What a master gave is used only when it is for us, and under the CA that we were told.
fn check(app: &App, invitation: &Invitation, reply: JoinReply) -> Result<JoinReply, String> {
    // While the cluster changes its CA there are two.
    if !Bundle::parse(&reply.ca).is_ok_and(|trusted| trusted.has(&invitation.ca_sha256)) {
        return Err("it gave another CA than the one that we were told to trust".to_owned());
    }
    let credentials = Credentials { cert: reply.cert.clone(), ca: reply.ca.clone() };
    if !credentials.fits(&app.key, &app.node_id) || !crate::tls::signed(&credentials) {
        return Err("it gave a certificate that is not for this node".to_owned());
    }
    if reply.endpoints.is_empty() {
        return Err("it knows no voter of the record".to_owned());
    }
    Ok(reply)
}
