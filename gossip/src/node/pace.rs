//! How often what is done, and how much of it.

use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

use foca::{Config, PeriodicParams};

/// How often each node asks one other whether it is there.
const PERIOD: Duration = Duration::from_millis(1100);
/// How long it may take to answer before others are asked to ask it.
const ANSWER: Duration = Duration::from_millis(350);
/// How long one that is suspected may take to object.
const SUSPICION: Duration = Duration::from_millis(2400);
/// Others that are asked to ask.
const HELPERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// How often changes are passed on, while there are any.
const GOSSIP: Duration = Duration::from_millis(200);
/// How long the dead are remembered here.
const REMEMBER: Duration = Duration::from_secs(3600);
/// Largest message of `foca`'s; with what goes around it, it stays below [`crate::MAX_PACKET`].
pub(super) const MESSAGE: NonZeroUsize = NonZeroUsize::new(960).unwrap();

/// How often a change is passed on by each node of a cluster of `nodes`: enough to reach all of them.
pub(super) fn sends(nodes: usize) -> u8 {
    let digits = u8::try_from(nodes.max(1).ilog2()).unwrap_or(u8::MAX); // at most 63
    4 + digits
}

/// `foca`'s own settings, where changes are passed on so often.
pub(super) fn config(sends: u8) -> Config {
    Config {
        probe_period: PERIOD,
        probe_rtt: ANSWER,
        num_indirect_probes: HELPERS,
        max_transmissions: NonZeroU8::new(sends).unwrap_or(NonZeroU8::MIN),
        suspect_to_down_after: SUSPICION,
        remove_down_after: Some(REMEMBER),
        max_packet_size: MESSAGE,
        notify_down_members: true,
        periodic_announce: None,
        periodic_announce_to_down_members: None,
        periodic_gossip: Some(PeriodicParams { frequency: GOSSIP, num_members: HELPERS }),
    }
}
