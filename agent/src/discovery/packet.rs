//! Packets of multicast DNS (RFC 6762) with DNS-SD (RFC 6763), for one service. Pure. The grammar is hickory's; what a
//! packet may hold is bounded here, before it is read and after.

use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::notice::Notice;

/// Largest packet that is looked at, bytes (RFC 6762 section 17).
pub(super) const LARGEST: usize = 9000;
/// How long what is said of a node that waits holds, seconds.
pub(super) const WAITS: u32 = 120;
/// The same of a member.
pub(super) const STAYS: u32 = 4500;
/// Entries of a packet, all sections together, past which it is not read.
const ENTRIES: u16 = 64;
/// Bytes of a header, which ends with the numbers of entries of the four sections.
const HEADER: usize = 12;
/// Our service.
const SERVICE: [&str; 3] = ["_maekin", "_tcp", "local"];
/// Those of it that wait: asked for alone, so that members need not answer.
const WAITING: [&str; 5] = ["_waiting", "_sub", "_maekin", "_tcp", "local"];
/// Longest part of a host name in the name of a node's service, bytes: a label holds 63.
const STEM: usize = 48;

/// A packet that means something to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// Somebody asks.
    Asked(Asked),
    /// Nodes say something of themselves; no more than a packet holds.
    Said(Vec<Said>),
}

/// What somebody asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// All nodes.
    pub(super) all: bool,
    /// Those that wait.
    pub(super) waiting: bool,
    /// Services or hosts by name, in small letters.
    pub(super) names: Vec<String>,
    /// Services that he knows already, and need not say so again.
    pub(super) known: Vec<String>,
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// How long it holds, seconds; 0: no more.
    pub(super) ttl: u32,
    /// Port of its API.
    pub(super) port: u16,
    /// The rest.
    pub(super) notice: Notice,
}

fn name(labels: &[&str]) -> Name {
    // Fails for labels that are empty or too long: ours are neither.
    let mut name = Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap_or_default();
    name.set_fqdn(true);
    name
}

/// The name of a node's service. Its id makes it one that no other node has, so that it need not be probed for.
fn instance(notice: &Notice) -> Name {
    let stem: String = notice.name.chars().take(STEM).collect();
    let label = format!("{}-{}", stem.trim_end_matches('-'), notice.id);
    name(&[&label, SERVICE[0], SERVICE[1], SERVICE[2]])
}

fn host(notice: &Notice) -> Name {
    name(&[&format!("maekin-{}", notice.id), "local"])
}

/// The names under which a node is asked for, in small letters.
pub(super) fn names(notice: &Notice) -> [String; 2] {
    [instance(notice), host(notice)].map(|name| name.to_lowercase().to_ascii())
}

/// A question for all nodes, or for those that wait.
pub(super) fn question(waiting: bool) -> Option<Vec<u8>> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    let of = if waiting { name(&WAITING) } else { name(&SERVICE) };
    message.add_query(Query::query(of, RecordType::PTR));
    message.to_vec().ok()
}

/// What a node says, and at which addresses its host is; `gone`: that it holds no more.
pub(super) fn announcement(notice: &Notice, port: u16, addresses: &[IpAddr], gone: bool) -> Option<Vec<u8>> {
    let waits = notice.state == maekin_api::discovery::DiscoveredState::Waiting;
    let ttl = match (gone, waits) {
        (true, _) => 0,
        (false, true) => WAITS,
        (false, false) => STAYS,
    };
    let (instance, host) = (instance(notice), host(notice));
    let shared = |of: Name| Record::from_rdata(of, ttl, RData::PTR(PTR(instance.clone())));
    let own = |of: &Name, data: RData| {
        let mut record = Record::from_rdata(of.clone(), ttl, data);
        record.mdns_cache_flush = true;
        record
    };
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message.add_answer(shared(name(&SERVICE)));
    if waits {
        message.add_answer(shared(name(&WAITING)));
    }
    message.add_answer(own(&instance, RData::SRV(SRV::new(0, 0, port, host.clone()))));
    message.add_answer(own(&instance, RData::TXT(TXT::new(notice.texts()))));
    for address in addresses {
        message.add_additional(own(
            &host,
            match address {
                IpAddr::V4(ip) => RData::A(A(*ip)),
                IpAddr::V6(ip) => RData::AAAA(AAAA(*ip)),
            },
        ));
    }
    message.to_vec().ok()
}

/// Reads a packet; `None` for all that is not for us, damaged or not.
pub(super) fn parse(packet: &[u8]) -> Option<Heard> {
    let (counts, _) = packet.get(4..HEADER)?.as_chunks::<2>();
    let entries = counts.iter().fold(0_u16, |all, count| all.saturating_add(u16::from_be_bytes(*count)));
    if packet.len() > LARGEST || !(1..=ENTRIES).contains(&entries) {
        return None;
    }
    let message = Message::from_vec(packet).ok()?;
    let head = &message.metadata;
    // RFC 6762 section 18: what has another code is ignored.
    if head.op_code != OpCode::Query || head.response_code != ResponseCode::NoError {
        return None;
    }
    match head.message_type {
        MessageType::Query => asked(&message).map(Heard::Asked),
        MessageType::Response => {
            let said = said(&message);
            (!said.is_empty()).then_some(Heard::Said(said))
        }
    }
}

fn asked(message: &Message) -> Option<Asked> {
    let (service, waiting) = (name(&SERVICE), name(&WAITING));
    let mut asked = Asked::default();
    for query in &message.queries {
        if !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
            continue;
        }
        let pointer = matches!(query.query_type(), RecordType::PTR | RecordType::ANY);
        if pointer && *query.name() == service {
            asked.all = true;
        } else if pointer && *query.name() == waiting {
            asked.waiting = true;
        } else if service.zone_of(query.name()) || query.name().num_labels() == 2 {
            asked.names.push(query.name().to_lowercase().to_ascii());
        }
    }
    let known = message.answers.iter().filter(|record| record.ttl >= WAITS / 2);
    asked.known = known
        .filter_map(|record| match &record.data {
            RData::PTR(to) => Some(to.0.to_lowercase().to_ascii()),
            _ => None,
        })
        .collect();
    (asked.all || asked.waiting || !asked.names.is_empty()).then_some(asked)
}

/// The nodes that a packet tells of in full: ours always say all of it at once.
fn said(message: &Message) -> Vec<Said> {
    let service = name(&SERVICE);
    let records = || message.answers.iter().chain(&message.additionals);
    let port = |of: &Name| {
        records().filter(|r| r.name == *of).find_map(|r| match &r.data {
            RData::SRV(srv) => Some(srv.port).filter(|port| *port > 0),
            _ => None,
        })
    };
    let notice = |of: &Name| {
        records().filter(|r| r.name == *of).find_map(|r| match &r.data {
            RData::TXT(txt) => Notice::parse(&txt.txt_data),
            _ => None,
        })
    };
    let pointers = records().filter(|record| record.name == service);
    let said = pointers.filter_map(|record| match &record.data {
        RData::PTR(to) => Some(Said { ttl: record.ttl, port: port(&to.0)?, notice: notice(&to.0)? }),
        _ => None,
    });
    said.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use maekin_api::discovery::DiscoveredState;
    use proptest::prelude::*;

    use super::*;

    pub(in crate::discovery) fn waiting(id: u64, name: &str) -> Notice {
        Notice {
            id: format!("{id:012x}"),
            name: name.to_owned(),
            state: DiscoveredState::Waiting,
            release: "0.1.0".to_owned(),
            cluster: String::new(),
            ca: String::new(),
        }
    }

    pub(in crate::discovery) fn member(id: u64, name: &str, cluster: &str) -> Notice {
        let ca = format!("{:016x}", cluster.len());
        Notice { state: DiscoveredState::Member, cluster: cluster.to_owned(), ca, ..waiting(id, name) }
    }

    fn ask(of: &str, kind: RecordType, known: Option<(&Notice, u32)>) -> Vec<u8> {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(of).unwrap(), kind));
        if let Some((notice, ttl)) = known {
            let record = Record::from_rdata(name(&SERVICE), ttl, RData::PTR(PTR(instance(notice))));
            message.add_answer(record);
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn join_what_is_announced_is_what_is_heard() {
        let addresses = ["10.77.0.9".parse().unwrap(), "fd00::9".parse().unwrap()];
        let long = "n".repeat(63);
        let rows = [
            ("one that waits", waiting(1, "node-9"), false, WAITS),
            ("one that waits no more", waiting(1, "node-9"), true, 0),
            ("a member", member(2, "node-1", "rack"), false, STAYS),
            ("the longest host name", waiting(3, &long), false, WAITS),
        ];
        for (name, notice, gone, ttl) in rows {
            let packet = announcement(&notice, 8443, &addresses, gone).unwrap();
            assert!(packet.len() < 512, "{name}: {} bytes", packet.len());
            let said = Said { ttl, port: 8443, notice };
            assert_eq!(parse(&packet), Some(Heard::Said(vec![said])), "{name}");
        }
    }

    #[test]
    fn join_questions_are_understood() {
        let own = waiting(1, "node-9");
        let by_name = names(&own);
        let rows = [
            ("for all", question(false).unwrap(), Some((true, false, 0, 0))),
            ("for those that wait", question(true).unwrap(), Some((false, true, 0, 0))),
            ("in capitals", ask("_MAEKIN._TCP.local.", RecordType::PTR, None), Some((true, false, 0, 0))),
            ("for anything", ask("_maekin._tcp.local.", RecordType::ANY, None), Some((true, false, 0, 0))),
            ("by name", ask(&by_name[0], RecordType::SRV, None), Some((false, false, 1, 0))),
            ("by host", ask(&by_name[1], RecordType::A, None), Some((false, false, 1, 0))),
            (
                "who knows us",
                ask("_maekin._tcp.local.", RecordType::PTR, Some((&own, 100))),
                Some((true, false, 0, 1)),
            ),
            (
                "who forgets us",
                ask("_maekin._tcp.local.", RecordType::PTR, Some((&own, 10))),
                Some((true, false, 0, 0)),
            ),
            ("for another service", ask("_ipp._tcp.local.", RecordType::PTR, None), None),
        ];
        for (name, packet, want) in rows {
            let got = parse(&packet).map(|heard| match heard {
                Heard::Asked(asked) => (asked.all, asked.waiting, asked.names.len(), asked.known.len()),
                Heard::Said(said) => panic!("{name}: {said:?}"),
            });
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn join_packets_with_too_much_are_not_read() {
        let mut message = Message::new(0, MessageType::Response, OpCode::Query);
        for n in 0..200 {
            let of = instance(&waiting(n, "node"));
            message.add_answer(Record::from_rdata(name(&SERVICE), 120, RData::PTR(PTR(of))));
        }
        assert_eq!(parse(&message.to_vec().unwrap()), None, "200 answers");
        let mut packet = announcement(&waiting(1, "a"), 1, &[], false).unwrap();
        assert!(parse(&packet).is_some());
        packet[3] |= 3; // name error
        assert_eq!(parse(&packet), None, "an error");
        assert_eq!(parse(&[0; LARGEST + 1]), None, "too long");
        // A name that points at itself.
        let mut turn = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 12, 0, 1];
        assert_eq!(parse(&turn), None, "a name that never ends");
        turn.truncate(13);
        assert_eq!(parse(&turn), None, "cut in a name");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn join_garbage_packets_are_dropped(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn join_damaged_packets_are_read_or_dropped(
            at in 0_usize..400, byte in any::<u8>(), cut in 0_usize..400, stays in any::<bool>(),
        ) {
            let notice = if stays { member(7, "node-1", "rack") } else { waiting(7, "node-9") };
            let mut packet = announcement(&notice, 8443, &["10.77.0.9".parse().unwrap()], false).unwrap();
            let length = packet.len();
            packet[at % length] = byte;
            packet.truncate(cut % length + 1);
            if let Some(Heard::Said(all)) = parse(&packet) {
                for said in all {
                    prop_assert!(Notice::parse(&said.notice.texts()).is_some(), "only what a node would say");
                }
            }
        }
    }
}
