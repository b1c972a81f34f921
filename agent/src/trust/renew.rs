//! Certificates that hold for 30 days, renewed when two thirds of that are over: by a member that can sign, or, where
//! this node is one, by itself. One that ran out while the node was off is renewed as well: the TLS handshake proves that
//! the node has the key, and the record says whose key that is.
//!
//! [`plan_renewal`] decides; everything else does what it says. What is new is taken over at once, without a restart:
//! by our API, by the connection to the record, and by etcd, which reads the files for each connection that is made.

mod ask;

use std::sync::Arc;
use std::time::Duration;

use super::ca_change;
use super::issue;
use super::values::CertValue;
use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::install::InstallError;
use crate::membership::{MembershipError, etcd, signer};
use crate::node_info::Own;
use crate::pki::ca::{BACKDATED, LIFETIME, Subject, Validity};
use crate::pki::identity::Credentials;
use crate::pki::peer::Dates;
pub(crate) use ask::{ask, urls};

/// How often is looked whether it is time.
const EVERY: Duration = Duration::from_secs(60);
/// How long after a try that failed, looks.
const AGAIN: u32 = 10;

/// What to do about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet.
    Keep,
    /// Renew it, while it still holds.
    Renew,
    /// It has run out: nothing can be done with it but ask for another.
    Over,
    /// It does not hold yet, so our clock is wrong.
    Clock,
}

/// Decides. `named` is whether the certificate names our address. Nodes that were made at the same time do not ask at the
/// same time: `spread` shifts that by up to a day. Pure.
pub(crate) fn plan_renewal(dates: &Dates, named: bool, spread: u8, now: u64) -> Step {
    if now < dates.not_before {
        return Step::Clock;
    }
    if now >= dates.not_after {
        return Step::Over;
    }
    let made = dates.not_before.saturating_add(BACKDATED);
    let lifetime = dates.not_after.saturating_sub(made);
    let due = made + lifetime / 3 * 2 + u64::from(spread) * 337;
    // Earlier releases made certificates for decades.
    if !named || lifetime > 2 * LIFETIME || now >= due.min(dates.not_after) {
        Step::Renew
    } else {
        Step::Keep
    }
}

/// The same for our own certificate.
fn plan_own(app: &App, credentials: &Credentials, own: &Own) -> Step {
    let spread = uuid::Uuid::parse_str(&app.node_id).map_or(0, |id| id.as_bytes()[15]);
    // Without dates it is no certificate, and as good as run out.
    credentials
        .dates()
        .map_or(Step::Over, |dates| plan_renewal(&dates, credentials.names(own.address), spread, now()))
}

/// At a start, before anything is done with the certificate: renews it where it cannot be used as it is.
///
/// # Errors
/// [`MembershipError`] when it has run out and nobody renews it.
pub(crate) async fn ensure_usable(
    app: &App,
    credentials: Credentials,
    masters: &[String],
    own: &Own,
) -> Result<Credentials, MembershipError> {
    let step = plan_own(app, &credentials, own);
    let by_ourselves = || signer::on_disk(app);
    match step {
        Step::Keep => return Ok(credentials),
        Step::Renew if credentials.names(own.address) => return Ok(credentials), // later, as a member
        Step::Renew | Step::Over => app.set_step("renewing this node's certificate"),
        Step::Clock => {
            app.set_step("asking a member for the time: this node's clock is behind its certificate");
        }
    }
    if step == Step::Clock {
        let asked = ask(app, &credentials, masters, own).await;
        if asked.is_err() {
            let made = credentials.dates().map_or(0, |dates| dates.not_before + BACKDATED);
            super::clock::set(app, made);
        }
        return asked.or(Ok(credentials));
    }
    let ours = credentials.bundle()?;
    if let Some(ca) = by_ourselves()?.filter(|ca| ca.fingerprint().is_ok_and(|ca| ours.has(&ca))) {
        let subject =
            Subject { node_id: &app.node_id, name: &app.config.hostname, addresses: &[own.address] };
        let issued = ca.issue(app.key.public(), &subject, Validity::of_node(now()))?;
        let credentials = Credentials { cert: issued.pem, ca: credentials.ca };
        credentials.store(&app.settings.pki())?;
        return Ok(credentials);
    }
    match ask(app, &credentials, masters, own).await {
        Ok(new) => Ok(new),
        Err(e) if step == Step::Renew => {
            tracing::warn!(error = %chain(&e), "this node's certificate does not name its address, and was not renewed");
            Ok(credentials)
        }
        Err(e) => Err(e),
    }
}

/// Writes our own certificate into the list of those that hold, where it is not: that of the first node, and those that
/// earlier releases made.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn enlist_own(app: &App, member: &Member) -> Result<(), InstallError> {
    let Some(credentials) = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)? else {
        return Ok(());
    };
    let Some(dates) = credentials.dates() else { return Ok(()) };
    let cert = CertValue { serial: dates.serial, not_after: dates.not_after };
    issue::enlist(&member.record, &app.node_id, &cert, now()).await
}

/// Keeps our certificate fresh for as long as it is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    let mut pause = 0;
    let mut listed = false;
    loop {
        if !listed {
            match enlist_own(&app, &member).await {
                Ok(()) => listed = true,
                Err(e) => {
                    tracing::warn!(error = %chain(&e), "this node's certificate is not in the record's list");
                }
            }
        }
        if let Err(e) = signer::keep_copy(&app, &member).await {
            tracing::warn!(error = %chain(&e), "this voter's copy of the sealed CA");
        }
        if pause == 0 {
            match turn(&app, &member, false).await {
                Ok(_) => {}
                Err(e) => {
                    tracing::warn!(error = %chain(&e), "this node's certificate was not renewed");
                    pause = AGAIN;
                }
            }
        } else {
            pause -= 1;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// One look, and a renewal where it is time, or `now_already`; whether it was renewed.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn turn(app: &App, member: &Member, now_already: bool) -> Result<bool, MembershipError> {
    let dir = app.settings.pki();
    let _files = app.trust.ca.files.lock().await;
    let Some(old) = Credentials::load(&dir, &app.key, &app.node_id)? else { return Ok(false) };
    let step = plan_own(app, &old, &member.own);
    if step == Step::Keep && !now_already {
        return Ok(false);
    }
    let new = match signer::authority(app, member).await? {
        Some(ca) if step != Step::Clock => {
            let subject = Subject {
                node_id: &app.node_id,
                name: &app.config.hostname,
                addresses: &[member.own.address],
            };
            let issued = issue::issue(&member.record, &ca, app.key.public(), &subject, now()).await;
            let issued = issued.map_err(|e| MembershipError::Masters(vec![chain(&e)]))?;
            let new = Credentials { cert: issued.pem, ca: old.ca };
            new.store(&dir)?;
            new
        }
        _ => ask(app, &old, &urls(member, &app.node_id).await?, &member.own).await?,
    };
    take_over(app, member, &new).await?;
    tracing::info!("this node's certificate was renewed");
    Ok(true)
}

/// Uses new credentials from now on. etcd reads our certificate for each connection, so whoever hears that we have
/// another one is right.
pub(super) async fn take_over(app: &App, member: &Member, new: &Credentials) -> Result<(), MembershipError> {
    ca_change::serve(app, new)?;
    if app.settings.etcd_env().exists() {
        etcd::hand_over(app)?;
    }
    Ok(member.record.set_credentials(&app.key, new).await?)
}

#[cfg(test)]
mod tests;
