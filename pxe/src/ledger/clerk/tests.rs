use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc as channel;

use super::*;
use crate::boot::Boot;
use crate::dhcp::identity::Who;
use crate::dhcp::lease::Plan;
use crate::dhcp::options::MessageType;
use crate::dhcp::packet::Writer;
use crate::ledger::{Answer, take_over};

const LEADS: u8 = 0;
const SILENT: u8 = 1;
const DEPOSED: u8 = 2;

/// A ledger that remembers, and fails when it is told to.
#[derive(Default)]
struct Fake {
    mode: AtomicU8,
    entries: Mutex<BTreeMap<Ipv4Addr, String>>,
}

impl Ledger for Fake {
    fn load(&self) -> Answer<'_, Addresses> {
        Box::pin(async { Ok(Addresses { epoch: 1, held: Vec::new() }) })
    }

    fn write<'a>(&'a self, change: &'a AddressChange) -> Answer<'a, Duration> {
        let answer = match self.mode.load(Ordering::Relaxed) {
            LEADS => {
                let mut entries = self.entries.lock().unwrap();
                entries.extend(change.held.iter().map(|h| (h.ip, h.mac.clone())));
                change.freed.iter().for_each(|ip| drop(entries.remove(ip)));
                Ok(Duration::from_secs(120)) // longer than any test, on a busy machine too
            }
            SILENT => Err(LedgerError::Unavailable("silent".to_owned())),
            _ => Err(LedgerError::NotLeading),
        };
        Box::pin(async { answer })
    }
}

struct Rig {
    ledger: Arc<Fake>,
    store: Store,
    desk: Desk,
    said: channel::Receiver<Ipv4Addr>,
    clerk: tokio::task::JoinHandle<LedgerError>,
}

fn hw(n: u8) -> HwAddr {
    HwAddr::new(&[2, 0, 0, 0, 0, n]).unwrap()
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, n)
}

fn ack(n: u8) -> Reply {
    let message = Writer::request(MessageType::Ack, 1, hw(n), true).finish().unwrap();
    let to = "255.255.255.255:68".parse().unwrap();
    Reply { kind: MessageType::Ack, message, to, ip: ip(n), boot: Boot::Nothing }
}

impl Rig {
    fn new(loaded: Vec<Held>) -> Self {
        let (ledger, store) = (Arc::new(Fake::default()), Store::in_memory(Plan::of(ip(1), ip(99))));
        store.begin_with(take_over(&loaded, store.now(), 600), 600).unwrap();
        let loaded = Addresses { epoch: 1, held: loaded };
        let (clerk, desk) = Clerk::new(ledger.clone(), &loaded, store.clone());
        let (say, said) = channel::channel();
        let say = Mutex::new(say);
        let say: Arc<Say> = Arc::new(move |replies: &[Reply]| {
            let say = say.lock().unwrap();
            replies.iter().for_each(|reply| say.send(reply.ip).unwrap());
        });
        let clerk = tokio::spawn(clerk.run(say));
        Self { ledger, store, desk, said, clerk }
    }

    /// The machine takes its address; whether that may be said at once.
    fn bind(&self, n: u8) -> bool {
        let now = self.store.now();
        let mut inner = self.store.lock();
        inner.leases.bind(&Who::from(hw(n)), ip(n), 600, now).unwrap();
        self.desk.lets_go(&ack(n), &inner.leases)
    }

    async fn hears(&self) -> Option<Ipv4Addr> {
        for _ in 0..100 {
            if let Ok(ip) = self.said.try_recv() {
                return Some(ip);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    async fn until_open(&self, open: bool) {
        let look = async {
            while self.desk.is_open() != open {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("the fence moves in time");
    }
}

#[tokio::test]
async fn netboot_an_address_is_said_only_when_the_ledger_has_it() {
    let known = Held { ip: ip(7), mac: hw(7).to_string(), kept: false };
    let rig = Rig::new(vec![known]);
    rig.until_open(true).await;
    assert!(rig.bind(7), "one that the leader before gave is renewed at once");
    assert!(!rig.bind(1));
    assert_eq!(rig.hears().await, Some(ip(1)));
    assert_eq!(rig.ledger.entries.lock().unwrap().get(&ip(1)), Some(&hw(1).to_string()));
    assert!(rig.bind(1), "and renewed at once from then on");

    rig.ledger.mode.store(SILENT, Ordering::Relaxed);
    assert!(!rig.bind(2));
    assert_eq!(rig.hears().await, None, "not while the record does not answer");
    assert!(rig.desk.is_open(), "what is known already is still answered");
    rig.ledger.mode.store(LEADS, Ordering::Relaxed);
    let asks_again = async {
        while !rig.bind(2) && rig.said.try_recv() != Ok(ip(2)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asks_again).await.expect("it is said in time");
    assert_eq!(rig.ledger.entries.lock().unwrap().get(&ip(2)), Some(&hw(2).to_string()));
}

#[tokio::test]
async fn netboot_a_deposed_leader_says_nothing_more() {
    let rig = Rig::new(Vec::new());
    assert!(!rig.desk.is_open(), "nothing before the ledger was asked");
    rig.until_open(true).await;
    rig.ledger.mode.store(DEPOSED, Ordering::Relaxed);
    assert!(!rig.bind(1));
    let ended = tokio::time::timeout(Duration::from_secs(20), rig.clerk).await.expect("in time").unwrap();
    assert!(matches!(ended, LedgerError::NotLeading));
    assert!(!rig.desk.is_open() && rig.said.try_recv().is_err());
    assert!(rig.ledger.entries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn netboot_leases_that_ended_leave_the_ledger() {
    let gone = Held { ip: ip(9), mac: hw(9).to_string(), kept: false };
    let rig = Rig::new(vec![gone.clone()]);
    rig.ledger.entries.lock().unwrap().insert(gone.ip, gone.mac);
    rig.store.lock().leases.release(hw(9), ip(9), rig.store.now());
    let left = async {
        while rig.ledger.entries.lock().unwrap().contains_key(&ip(9)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), left).await.expect("in time");
}
