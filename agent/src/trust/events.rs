//! Refusals that whoever looks after the cluster wants to find again, in the audit log. What was done is there by itself:
//! every change that is asked for is.

use std::net::IpAddr;
use std::sync::Arc;

use crate::app::App;
use crate::audit::{self, Event};
use crate::http::auth::Peer;

/// A node was not let in.
pub(crate) const JOIN_REFUSED: &str = "join-refused";

/// A certificate was not renewed.
pub(crate) const RENEWAL_REFUSED: &str = "renewal-refused";

/// A pairing does not go on.
pub(crate) const PAIRING_REFUSED: &str = "pairing-refused";

/// A machine was installed anew, and what it had before was revoked.
pub(crate) const MEMBER_REPLACED: &str = "member-replaced";

/// Somebody showed a certificate of another CA, or a damaged one.
const CERTIFICATE_REFUSED: &str = "certificate-refused";

/// From now on, certificates that TLS refuses are written down.
pub(crate) fn follow_certificates(app: &Arc<App>) {
    let weak = Arc::downgrade(app); // the slot is the app's own
    app.tls.on_refusal(move |from, why| {
        if let Some(app) = weak.upgrade() {
            let text = format!("a certificate that is not of this cluster: {why}");
            audit::event(&app, Event::refused(CERTIFICATE_REFUSED).from(Some(from)).text(&text));
        }
    });
}

/// Something came of what somebody asked who calls himself `who`.
pub(crate) fn done(app: &App, kind: &'static str, peer: &Peer, who: &str, what: &str) {
    audit::event(app, Event::done(kind).named(who).from(address(peer)).text(what));
}

fn address(peer: &Peer) -> Option<IpAddr> {
    match peer {
        Peer::Stranger(ip) => Some(*ip),
        _ => None,
    }
}

/// Something was refused to somebody who calls himself `who`.
pub(crate) fn refused(app: &App, kind: &'static str, peer: &Peer, who: &str, why: &str) {
    audit::event(app, Event::refused(kind).named(who).from(address(peer)).text(why));
}
