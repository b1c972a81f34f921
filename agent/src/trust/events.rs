//! Refusals that whoever looks after the cluster wants to find again, in the audit log. What was done is there by itself:
//! every change that is asked for is.

use crate::app::App;
use crate::audit::{self, Event};
use crate::http::auth::Peer;

/// A node was not let in.
pub(crate) const JOIN_REFUSED: &str = "join-refused";

/// A certificate was not renewed.
pub(crate) const RENEWAL_REFUSED: &str = "renewal-refused";

/// A pairing does not go on.
pub(crate) const PAIRING_REFUSED: &str = "pairing-refused";

/// Something was refused to somebody who calls himself `who`.
pub(crate) fn refused(app: &App, kind: &'static str, peer: &Peer, who: &str, why: &str) {
    let from = match peer {
        Peer::Stranger(ip) => Some(*ip),
        _ => None,
    };
    audit::event(app, Event::refused(kind).named(who).from(from).text(why));
}
