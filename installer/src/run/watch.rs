//! The network interfaces while a person is being asked: they are switched on (which gives them no address), their
//! cables are watched, and what switches say of themselves is listened to. It ends when something else needs them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use maekin_host::{ip, lldp, wait};

use crate::facts::probe::probe_nics;
use crate::facts::{Neighbour, Nic};
use crate::tui::event::Event;

/// How often cables are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a person may take; after that cables and switches are as they were last seen.
const LIMIT: Duration = Duration::from_secs(3600);
/// How long switches are listened to: they speak every 30 seconds, but a port may first wait for spanning tree.
const LISTEN: Duration = Duration::from_secs(150);
/// Ports that are listened on.
const MOST: usize = 32;

/// Ends the watching when it is dropped.
pub struct Watch(Arc<AtomicBool>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Begins to watch `nics`; news come as [`Event::Nics`].
#[must_use]
pub fn start(nics: &[Nic], sender: &Sender<Event>) -> Watch {
    let stop = Arc::new(AtomicBool::new(false));
    for nic in nics.iter().take(MOST) {
        if let Err(e) = ip::set_up(&nic.name) {
            tracing::warn!("{} stays off: {e}", nic.name);
        }
    }
    let (heard, hearing) = std::sync::mpsc::channel();
    for name in nics.iter().take(MOST).map(|nic| nic.name.clone()) {
        let (heard, stop) = (heard.clone(), stop.clone());
        thread::spawn(move || {
            if let Some(neighbour) = listen(&name, &stop) {
                let _ = heard.send((name, neighbour)); // nobody hears it any more: it does not matter
            }
        });
    }
    let (mut known, sender, stopped) = (nics.to_vec(), sender.clone(), stop.clone());
    thread::spawn(move || {
        let over = wait::until("the person to finish", LIMIT, LOOK, || {
            let mut news = false;
            for (name, neighbour) in hearing.try_iter() {
                for nic in known.iter_mut().filter(|nic| nic.name == name) {
                    nic.lldp = Some(neighbour.clone());
                    news = true;
                }
            }
            news |= refresh(&mut known, &probe_nics(Path::new("/sys/class/net")));
            if news {
                let _ = sender.send(Event::Nics(known.clone())); // without a receiver the program is ending
            }
            stopped.load(Ordering::Relaxed).then_some(())
        });
        if over.is_err() {
            tracing::info!("cables are not watched any longer");
        }
    });
    Watch(stop)
}

/// Waits for a switch to speak. Briefly each time: it ends soon after it is told to.
fn listen(name: &str, stop: &AtomicBool) -> Option<Neighbour> {
    let heard = wait::until("a switch to announce itself", LISTEN, Duration::from_millis(10), || {
        if stop.load(Ordering::Relaxed) {
            return Some(None);
        }
        match lldp::listen(name, Duration::from_secs(5)) {
            Ok(found) => found.map(Some),
            // A port that went down may come back.
            Err(e) => {
                tracing::debug!(port = name, error = %e, "not listening");
                None
            }
        }
    });
    heard.ok().flatten()
}

/// Takes over cables and speeds; names and addresses stay, for a bond on trial lends its ports another address.
fn refresh(known: &mut [Nic], now: &[Nic]) -> bool {
    let mut news = false;
    for nic in known {
        let Some(found) = now.iter().find(|found| found.name == nic.name) else { continue };
        let found = (found.link, found.speed);
        news |= found != (nic.link, nic.speed);
        (nic.link, nic.speed) = found;
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cables_change_and_addresses_do_not() {
        let nic = |link, mac: &str| Nic { name: "enp1s0".into(), mac: mac.into(), link, ..Nic::default() };
        let mut known = [nic(None, "own")];
        assert!(refresh(&mut known, &[nic(Some(true), "of the bond")]));
        assert_eq!(known, [nic(Some(true), "own")]);
        assert!(!refresh(&mut known, &[nic(Some(true), "of the bond")]), "no news");
        assert!(!refresh(&mut known, &[]), "it is gone for a moment");
    }
}
