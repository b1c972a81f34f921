//! What a packet carries around `foca`'s message: what the sender says of itself, and news of others.

use bytes::{Buf, BufMut};

use super::Gossip;
use crate::codec::ROUTE;
use crate::peer::{MAX_GENERATION, Peer};
use crate::seal::Opened;
use crate::spread::{News, parse_news};
use crate::status::Status;

impl Gossip {
    /// Sends `foca`'s message, with what goes along.
    pub(super) fn send(&mut self, to: &Peer, message: &[u8]) {
        let own = self.foca.identity();
        let lives = (own.generation - self.start).to_be_bytes();
        let mut body = Vec::with_capacity(message.len() + 64);
        body.put_slice(&lives[5..]);
        body.put_slice(&to.generation.to_be_bytes()[6..]);
        self.status.encode(&mut body);
        self.spread.encode(to.id, &mut body);
        body.put_slice(message.get(ROUTE..).unwrap_or_default());
        // What does not fit or cannot be sealed is lost, as packets may be.
        if let Ok(packet) = self.seal.seal(to.id, &body) {
            self.counters.sent += 1;
            self.counters.sent_bytes += packet.len() as u64;
            self.out.push_back((to.address, packet));
        }
    }
}

/// Status, news and `foca`'s message out of what was sealed.
pub(super) fn unwrap(opened: &Opened, own: &Peer) -> Option<(Status, Vec<News>, Vec<u8>)> {
    let mut body = opened.body.as_slice();
    let generation = opened.generation + body.try_get_uint(3).ok()?;
    let to = body.try_get_u16().ok()?.to_be_bytes();
    let to = if own.generation.to_be_bytes()[6..] == to { own.generation } else { 0 };
    let status = Status::parse(&mut body).ok()?;
    let news = parse_news(&mut body).ok()?;
    let mut message = Vec::with_capacity(ROUTE + body.len());
    message.put_slice(&opened.sender.0);
    message.put_uint(generation.min(MAX_GENERATION), 6);
    message.put_slice(&own.id.0);
    message.put_uint(to, 6);
    message.put_slice(body);
    Some((status, news, message))
}
