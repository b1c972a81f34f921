//! Who says what to whom. The member asks, over TLS to exactly the key that the waiting node named first: that is the key in
//! the code.

use std::sync::{Arc, PoisonError};

use maekin_api::trust::{
    JoinWith, NewToken, PairingBegun, PairingInfo, PairingNonce, PairingOffer, PairingSide,
};
use maekin_api::watch;
use maekin_api::{NODE_PAIRING, NODE_PAIRING_REVEAL, NODE_PAIRING_TOKEN};
use maekin_image::manifest::hex;

use super::PairingError;
use super::code::{NONCE, parse_nonce};
use super::inviting::{Open, committed};
use crate::app::{App, Member};
use crate::clock::now;
use crate::http::client::{ClientError, Target};
use crate::install::InstallError;
use crate::pki::PkiError;
use crate::tls::{self, TlsError};
use crate::trust::invitation::Invitation;
use crate::trust::tokens;

/// How long a token of a pairing can be used, minutes.
const MINUTES: u32 = 10;

/// A pairing was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TalkError {
    /// It does not go on.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// The node gave no useful answer.
    #[error("the node at {address} does not pair")]
    Node {
        /// Where it was asked.
        address: String,
        /// What happened instead.
        #[source]
        source: Box<ClientError>,
    },
    /// The token could not be made.
    #[error(transparent)]
    Token(#[from] InstallError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] PkiError),
    /// This node takes no part in it.
    #[error("{0}")]
    NotHere(&'static str),
    /// What was kept could not be written.
    #[error(transparent)]
    File(#[from] maekin_host::file::FileError),
}

fn random() -> Result<[u8; NONCE], PkiError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(PkiError::Random)?;
    Ok(nonce)
}

/// Whether this node waits to be let into a cluster.
fn waits(app: &App) -> Result<(), TalkError> {
    if app.member().is_ok() {
        return Err(TalkError::NotHere("this node is a member already; ask it to pair with one that waits"));
    }
    if !super::waits(app) {
        return Err(TalkError::NotHere(
            "this node does not wait to be let in: it was not installed to (`[cluster] mode = \"wait\"`), or is on its way \
             into a cluster",
        ));
    }
    Ok(())
}

/// A member begins a pairing with the node at `address`; there is a code then, on both consoles.
///
/// # Errors
/// [`TalkError`].
pub(crate) async fn begin(app: &App, member: &Member, address: &str) -> Result<PairingInfo, TalkError> {
    let offer = PairingOffer {
        cluster: member.cluster.name.clone(),
        ca_sha256: member.ca_sha256(),
        member_sha256: app.key.sha256(),
    };
    let failed = |e| TalkError::Node { address: address.to_owned(), source: Box::new(e) };
    let any = Target::Tls(address.to_owned(), Arc::new(tls::to_key(None)?));
    let begun: PairingBegun = any.post(NODE_PAIRING, &offer).await.map_err(failed)?;
    let committed = committed(offer, &begun.key_sha256, &begun.commitment, random()?)?;
    if !maekin_rootfs::validate::is_label(&begun.name) {
        return Err(PairingError::Malformed("the node's name").into());
    }
    let exactly = Target::Tls(address.to_owned(), Arc::new(tls::to_key(Some(begun.key_sha256.clone()))?));
    let ours = PairingNonce { nonce: hex(committed.nonce()) };
    let theirs: PairingNonce = exactly.post(NODE_PAIRING_REVEAL, &ours).await.map_err(failed)?;
    let code = committed.finish(&parse_nonce(&theirs.nonce)?)?;
    let open =
        Open { code, name: begun.name, address: address.to_owned(), key_sha256: begun.key_sha256, at: now() };
    app.trust.inviting.lock().unwrap_or_else(PoisonError::into_inner).add(open.clone(), now());
    app.news.tell(watch::PAIRINGS, &open.code, false);
    Ok(told(open))
}

/// The same with a node that was heard on the wire: at the first of its addresses that answers.
///
/// # Errors
/// [`TalkError`]: why the last one did not.
pub(crate) async fn begin_at(
    app: &App,
    member: &Member,
    addresses: &[std::net::SocketAddr],
) -> Result<PairingInfo, TalkError> {
    let mut last = TalkError::NotHere("the node that is meant has no address");
    for address in addresses {
        match begin(app, member, &address.to_string()).await {
            // It answered, or somebody did: whatever that was, it is told.
            Err(TalkError::Node { address, source }) if !matches!(*source, ClientError::Problem(_)) => {
                last = TalkError::Node { address, source };
            }
            outcome => return outcome,
        }
    }
    Err(last)
}

fn told(open: Open) -> PairingInfo {
    PairingInfo {
        code: open.code,
        side: PairingSide::Member,
        name: open.name,
        address: open.address,
        sha256: open.key_sha256,
        approved: false,
        at: open.at,
    }
}

/// The waiting node is offered a cluster.
///
/// # Errors
/// [`TalkError`].
pub(crate) fn offered(app: &App, offer: PairingOffer) -> Result<PairingBegun, TalkError> {
    waits(app)?;
    let (key_sha256, nonce) = (app.key.sha256(), random()?);
    let commitment = waiting(app, |w| w.begin(offer, &key_sha256, nonce, now()))?;
    Ok(PairingBegun { name: app.config.hostname.clone(), key_sha256, commitment })
}

/// The member shows its number.
///
/// # Errors
/// [`TalkError`].
pub(crate) fn revealed(app: &App, nonce: &PairingNonce) -> Result<PairingNonce, TalkError> {
    waits(app)?;
    let inviting = parse_nonce(&nonce.nonce)?;
    let ours = waiting(app, |w| w.reveal(&inviting, now()))?;
    Ok(PairingNonce { nonce: hex(&ours) })
}

/// A token came to the waiting node.
///
/// # Errors
/// [`TalkError`].
pub(crate) fn invited(app: &App, with: &JoinWith) -> Result<(), TalkError> {
    waits(app)?;
    let given =
        Invitation::of_token(with.token.expose()).map_err(|_| PairingError::Malformed("the token"))?;
    waiting(app, |w| w.invited(&given.ca_sha256, now()))?;
    given.store(&app.settings)?;
    app.trust.invited.notify_one();
    Ok(())
}

fn waiting<T>(app: &App, work: impl FnOnce(&mut super::waiting::Waiting) -> T) -> T {
    work(&mut app.trust.waiting.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What this node's console shows.
pub(crate) fn list(app: &App) -> Vec<PairingInfo> {
    let mut all: Vec<_> = app
        .trust
        .inviting
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .list(now())
        .into_iter()
        .map(told)
        .collect();
    if let Some((code, offer, approved, at)) = waiting(app, |w| w.shown(now())) {
        all.push(PairingInfo {
            code,
            side: PairingSide::Waiting,
            name: offer.cluster,
            address: String::new(),
            sha256: offer.ca_sha256,
            approved,
            at,
        });
    }
    all
}

/// A person at this node says that the codes are the same.
///
/// # Errors
/// [`TalkError`].
pub(crate) async fn approve(app: &App, code: &str, by: &str) -> Result<(), TalkError> {
    let Ok(member) = app.member() else {
        return Ok(waiting(app, |w| w.decide(code, true, now()))?);
    };
    let open = app.trust.inviting.lock().unwrap_or_else(PoisonError::into_inner).take(code, now())?;
    let outcome = invite(app, &member, &open, by).await;
    app.news.tell(watch::PAIRINGS, code, outcome.is_ok());
    if outcome.is_err() {
        // It can be said again, once there is a yes at the node as well.
        app.trust.inviting.lock().unwrap_or_else(PoisonError::into_inner).add(open, now());
    }
    outcome
}

async fn invite(app: &App, member: &Member, open: &Open, by: &str) -> Result<(), TalkError> {
    let new = NewToken { uses: 1, minutes: MINUTES, note: format!("pairing with {}", open.name) };
    let masters = member.masters(&app.node_id).await.map_err(InstallError::from)?;
    let made = tokens::create(&member.record, &new, &masters, by, now()).await?;
    let exactly = Target::Tls(open.address.clone(), Arc::new(tls::to_key(Some(open.key_sha256.clone()))?));
    let sent = exactly.post::<()>(NODE_PAIRING_TOKEN, &JoinWith { token: made.token }).await;
    if let Err(e) = sent {
        tokens::delete(&member.record, &made.info.id).await?;
        return Err(TalkError::Node { address: open.address.clone(), source: Box::new(e) });
    }
    Ok(())
}

/// A person at this node says that they are not, or that nobody shall be let in.
///
/// # Errors
/// [`TalkError`].
pub(crate) fn deny(app: &App, code: &str) -> Result<(), TalkError> {
    if app.member().is_err() {
        return Ok(waiting(app, |w| w.decide(code, false, now()))?);
    }
    app.trust.inviting.lock().unwrap_or_else(PoisonError::into_inner).take(code, now())?;
    app.news.tell(watch::PAIRINGS, code, true);
    Ok(())
}
