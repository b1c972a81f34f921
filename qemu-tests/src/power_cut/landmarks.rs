//! The instants of a recorded installation that matter, found by what was written where. Pure.

use crate::recorder::log::{Entry, Op};

/// Where the ESP of a boot drive begins and ends, in bytes (`image/src/layout.rs`).
const ESP: std::ops::Range<u64> = 2 << 20..514 << 20;

/// Instants, each as the number of entries of the log that are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landmarks {
    /// The first drive is marked as unfinished, the second is not.
    pub one_marked: usize,
    /// The first drive's old ESP is gone, the second's is not; the same as the one before where there is none.
    pub one_unbootable: usize,
    /// Half of all entries are done.
    pub middle: usize,
    /// All is written, and nothing committed.
    pub before_commit: usize,
    /// The first drive's ESP is committed, the second's is not.
    pub one_esp: usize,
    /// The first drive has its boot code, the second has not.
    pub one_mbr: usize,
}

impl Landmarks {
    /// Finds them.
    #[must_use]
    pub fn find(entries: &[Entry]) -> Option<Self> {
        let heads = |drive: u8| {
            let head = move |e: &Entry| e.drive == drive && e.op == Op::Write && e.offset == 0;
            (entries.iter().position(head), entries.iter().rposition(head))
        };
        let ((_, Some(first_mbr)), (Some(second_mark), Some(second_mbr))) = (heads(0), heads(1)) else {
            return None;
        };
        let old_esp = |e: &Entry| e.drive == 1 && e.op != Op::Flush && e.offset == ESP.start;
        let unboot = entries[second_mark..].iter().position(old_esp).map(|i| second_mark + i);
        let in_esp = |e: &Entry| e.op == Op::Flush || (e.drive == 0 && ESP.contains(&e.offset));
        let first_esp_end = entries[..first_mbr]
            .iter()
            .rposition(|e| e.op != Op::Flush && e.drive == 0 && ESP.contains(&e.offset))?;
        let before_commit = entries[..first_esp_end].iter().rposition(|e| !in_esp(e))? + 1;
        let table = entries.iter().position(|e| e.drive == 0 && e.op == Op::Write && e.offset == 512);
        // On blank drives the second drive's ESP is first touched when it is made.
        let one_unbootable = unboot.filter(|at| table.is_none_or(|table| *at < table)).unwrap_or(second_mark);
        Some(Self {
            one_marked: second_mark,
            one_unbootable,
            middle: entries.len() / 2,
            before_commit,
            one_esp: first_esp_end + 1,
            one_mbr: second_mbr,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn landmarks_are_found_in_an_installation() {
        let write = |drive: u8, offset: u64| Entry {
            drive,
            op: Op::Write,
            offset,
            len: 512,
            fua: false,
            data: 0,
            at: 0,
        };
        let flush = |drive: u8| Entry { op: Op::Flush, ..write(drive, 0) };
        let state = 3 << 30;
        let entries = [
            write(0, 0), // mark
            flush(0),
            write(0, ESP.start), // unboot
            write(1, 0),         // 3: mark
            write(1, ESP.start), // 4: unboot
            write(0, 512),       // table
            write(0, ESP.start + 512),
            write(1, ESP.start + 512),
            write(1, state), // 8
            flush(1),
            write(0, ESP.start + 1024), // commit
            write(1, ESP.start + 1024), // 11
            write(0, 0),
            write(1, 0), // 13
            write(0, state),
        ];
        let got = Landmarks::find(&entries).unwrap();
        let want = Landmarks {
            one_marked: 3,
            one_unbootable: 4,
            middle: 7,
            before_commit: 9,
            one_esp: 11,
            one_mbr: 13,
        };
        assert_eq!(got, want);
        assert_eq!(Landmarks::find(&entries[..1]), None);
    }
}
