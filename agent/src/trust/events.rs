//! Refusals that whoever looks after the cluster wants to find again, in the audit log. What was done is there by itself:
//! every change that is asked for is.

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

/// Something was refused to somebody who calls himself `who`.
pub(crate) fn refused(app: &App, kind: &'static str, peer: &Peer, who: &str, why: &str) {
    let from = match peer {
        Peer::Stranger(ip) => Some(*ip),
        _ => None,
    };
    audit::event(app, Event::refused(kind).named(who).from(from).text(why));
}
