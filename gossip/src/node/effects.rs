//! What `foca` says while it works, taken down to be done after.

use std::time::Duration;

use foca::{Notification, Runtime, Timer};

use crate::peer::Peer;

/// What `foca` wants done.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) send: Vec<(Peer, Vec<u8>)>,
    pub(super) timers: Vec<(Duration, Timer<Peer>)>,
    pub(super) notes: Vec<Note>,
}

/// What it noticed.
pub(super) enum Note {
    Up(Peer),
    Down(Peer),
    Renamed(Peer),
    Buried,
}

impl Runtime<Peer> for Effects {
    fn notify(&mut self, notification: Notification<'_, Peer>) {
        self.notes.extend(match notification {
            Notification::MemberUp(peer) => Some(Note::Up(*peer)),
            Notification::MemberDown(peer) => Some(Note::Down(*peer)),
            Notification::Rename(_, peer) => Some(Note::Renamed(*peer)),
            Notification::Rejoin(_) => Some(Note::Buried),
            _ => None,
        });
    }

    fn send_to(&mut self, to: Peer, data: &[u8]) {
        self.send.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Peer>, after: Duration) {
        self.timers.push((after, event));
    }
}
