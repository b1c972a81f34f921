//! What a relay agent says in option 82: which port a client is behind, and which network it is on.

use std::net::Ipv4Addr;

/// Agent circuit id, RFC 3046 section 3.1.
const CIRCUIT: u8 = 1;
/// Agent remote id, RFC 3046 section 3.2.
const REMOTE: u8 = 2;
/// Link selection, RFC 3527.
const LINK: u8 = 5;
/// Server identifier override, RFC 5107.
const SERVER_ID: u8 = 11;

/// Option 82, read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relay<'a> {
    /// The port of the relay agent that the client is behind.
    pub circuit: Option<&'a [u8]>,
    /// The relay agent itself, or the modem behind it.
    pub remote: Option<&'a [u8]>,
    /// The client's network, where that is not the one of `giaddr`.
    pub link: Option<Ipv4Addr>,
    /// What the client shall take for the server's address, so that its renewals too go through the relay agent.
    pub server: Option<Ipv4Addr>,
}

/// Reads option 82. The first of each sub-option counts; one that reaches beyond the end is left out with what follows.
#[must_use]
pub fn parse_relay(value: &[u8]) -> Relay<'_> {
    let mut relay = Relay::default();
    let mut rest = value;
    while let [code, len, tail @ ..] = rest {
        let Some((item, after)) = tail.split_at_checked(usize::from(*len)) else { break };
        let ip = || <[u8; 4]>::try_from(item).ok().map(Ipv4Addr::from).filter(|ip| !ip.is_unspecified());
        match *code {
            CIRCUIT => relay.circuit = relay.circuit.or(Some(item)),
            REMOTE => relay.remote = relay.remote.or(Some(item)),
            LINK => relay.link = relay.link.or_else(ip),
            SERVER_ID => relay.server = relay.server.or_else(ip),
            _ => {}
        }
        rest = after;
    }
    relay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_options_are_read_and_nonsense_is_left_out() {
        let link = Some(Ipv4Addr::new(10, 78, 0, 0));
        let rows: &[(&str, &[u8], Relay<'_>)] = &[
            ("empty", &[], Relay::default()),
            (
                "all",
                &[1, 2, b'e', b'7', 2, 1, b's', 5, 4, 10, 78, 0, 0, 11, 4, 10, 0, 0, 9],
                Relay { circuit: Some(b"e7"), remote: Some(b"s"), link, server: Some([10, 0, 0, 9].into()) },
            ),
            ("unknown before", &[9, 0, 1, 1, b'x'], Relay { circuit: Some(b"x"), ..Relay::default() }),
            ("cut short", &[5, 4, 10, 78, 0, 0, 1, 9, b'x'], Relay { link, ..Relay::default() }),
            ("a length without value", &[1], Relay::default()),
            ("link of three bytes", &[5, 3, 1, 2, 3], Relay::default()),
            ("link 0.0.0.0", &[5, 4, 0, 0, 0, 0], Relay::default()),
            ("first of two", &[1, 1, b'a', 1, 1, b'b'], Relay { circuit: Some(b"a"), ..Relay::default() }),
        ];
        for (name, value, wanted) in rows {
            assert_eq!(parse_relay(value), *wanted, "{name}");
        }
    }
}
