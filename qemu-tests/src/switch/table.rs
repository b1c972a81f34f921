//! Where a frame goes: learning, cables and partitions. Pure.

use std::collections::HashMap;

/// A hardware address.
type Mac = [u8; 6];

/// Most addresses remembered; beyond, frames are flooded, as in a real switch with a full table.
const MAX_LEARNED: usize = 4096;

struct Port {
    up: bool,
    group: usize,
}

/// What the switch knows.
#[derive(Default)]
pub(super) struct Table {
    ports: Vec<Port>,
    learned: HashMap<Mac, usize>,
}

impl Table {
    /// Adds a port, with its cable in; returns its index.
    pub(super) fn add_port(&mut self) -> usize {
        self.ports.push(Port { up: true, group: 0 });
        self.ports.len() - 1
    }

    pub(super) fn set_up(&mut self, port: usize, up: bool) {
        self.ports[port].up = up;
        self.forget(port);
    }

    pub(super) fn is_up(&self, port: usize) -> bool {
        self.ports[port].up
    }

    pub(super) fn group(&self, port: usize) -> usize {
        self.ports[port].group
    }

    pub(super) fn set_groups(&mut self, group: impl Fn(usize) -> usize) {
        for (i, port) in self.ports.iter_mut().enumerate() {
            port.group = group(i);
        }
        self.learned.clear();
    }

    /// Forgets what is behind `port`.
    pub(super) fn forget(&mut self, port: usize) {
        self.learned.retain(|_, at| *at != port);
    }

    /// The ports that `frame`, come in at `from`, leaves by. Frames without a whole Ethernet header leave by none.
    pub(super) fn route(&mut self, from: usize, frame: &[u8]) -> Vec<usize> {
        let (Some(to), Some(source)) = (mac(frame, 0), mac(frame, 6)) else { return Vec::new() };
        if frame.len() < 14 || !self.ports[from].up {
            return Vec::new();
        }
        if source[0] & 1 == 0 && (self.learned.len() < MAX_LEARNED || self.learned.contains_key(&source)) {
            self.learned.insert(source, from);
        }
        match self.learned.get(&to) {
            Some(at) if to[0] & 1 == 0 => {
                Some(*at).filter(|at| self.connects(from, *at)).into_iter().collect()
            }
            _ => (0..self.ports.len()).filter(|at| self.connects(from, *at)).collect(),
        }
    }

    fn connects(&self, from: usize, to: usize) -> bool {
        from != to && self.ports[to].up && self.ports[from].group == self.ports[to].group
    }
}

fn mac(frame: &[u8], at: usize) -> Option<Mac> {
    frame.get(at..at + 6)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROADCAST: u8 = 0xff;

    /// A frame from host `source` to host `to`; host n has the address 02:00:00:00:00:n.
    fn frame(source: u8, to: u8) -> Vec<u8> {
        let address = |n: u8| if n == BROADCAST { [0xff; 6] } else { [2, 0, 0, 0, 0, n] };
        [&address(to)[..], &address(source)[..], &[8, 0]].concat()
    }

    fn three_ports() -> Table {
        let mut table = Table::default();
        for _ in 0..3 {
            table.add_port();
        }
        table
    }

    #[test]
    fn learns_where_a_host_is() {
        let mut table = three_ports();
        assert_eq!(table.route(0, &frame(1, 2)), [1, 2], "unknown: flooded");
        assert_eq!(table.route(1, &frame(2, 1)), [0], "learned from its first frame");
        assert_eq!(table.route(2, &frame(2, 1)), [0], "host 2 moved to port 2");
        assert_eq!(table.route(0, &frame(1, 2)), [2]);
        assert_eq!(table.route(0, &frame(1, BROADCAST)), [1, 2]);
        assert_eq!(table.route(0, &frame(9, 1)), Vec::<usize>::new(), "never back where it came from");
    }

    #[test]
    fn a_pulled_cable_carries_nothing_and_is_forgotten() {
        let mut table = three_ports();
        table.route(1, &frame(2, BROADCAST));
        table.set_up(1, false);
        assert_eq!(table.route(0, &frame(1, 2)), [2], "flooded, but not to the pulled one");
        assert_eq!(table.route(1, &frame(2, 1)), Vec::<usize>::new());
        table.set_up(1, true);
        assert_eq!(table.route(1, &frame(2, 1)), [0]);
    }

    #[test]
    fn a_partition_separates_and_heals() {
        let mut table = three_ports();
        table.set_groups(|port| usize::from(port == 2));
        assert_eq!(table.route(0, &frame(1, BROADCAST)), [1]);
        assert_eq!(table.route(2, &frame(3, BROADCAST)), Vec::<usize>::new());
        table.set_groups(|_| 0);
        assert_eq!(table.route(2, &frame(3, BROADCAST)), [0, 1]);
    }

    #[test]
    fn hostile_frames() {
        let mut table = three_ports();
        let rows: [(&str, Vec<u8>); 3] = [
            ("empty", vec![]),
            ("cut in the source address", vec![0xff; 9]),
            ("no type", frame(1, 2)[..13].to_vec()),
        ];
        for (name, bytes) in rows {
            assert_eq!(table.route(0, &bytes), Vec::<usize>::new(), "{name}");
        }
        let mut multicast_source = frame(1, BROADCAST);
        multicast_source[6] = 3;
        table.route(0, &multicast_source);
        assert!(table.learned.is_empty(), "a group address is not a place");
        for i in 0..=u16::MAX {
            let mut flood = frame(1, BROADCAST);
            flood[8..10].copy_from_slice(&i.to_be_bytes());
            table.route(0, &flood);
        }
        assert_eq!(table.learned.len(), MAX_LEARNED);
    }
}
