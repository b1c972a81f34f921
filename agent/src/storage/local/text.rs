//! How much LVM can write down: the whole group is described by one text, and each change writes it anew into an area of the
//! physical volume, beside the one before. When the text no longer fits, nothing can be made any more, and the pool can no
//! longer grow. So a node has so many volumes and snapshots and no more. Pure.

/// The area that a group is made with, bytes. LVM's own default takes the text of some hundred volumes.
pub(super) const AREA: u64 = 64 << 20;
/// Before the text: the area's header, bytes. A sector is lost to rounding.
const HEADER: u64 = 512;
/// Most that LVM writes of a volume or a snapshot, bytes, with all that may change in it; see the test.
const ENTRY: u64 = 768;
/// What it writes of the group, of the pool in as many pieces as it grew by, and of what several members who were asked at
/// the same moment let through beyond the bound.
const REST: u64 = 128 << 10;
/// Most volumes and snapshots in any case: what LVM takes to look at them grows with them, and so does its report, which
/// is at most 16 MiB ([`super::lvm`]). And a copy of the text has to fit into the memory that LVM reads and writes with
/// (8 MiB, its `io_memory_size`), or the group can be neither read nor written.
const MOST: u64 = 8192;
/// LVM's default of `global/io_memory_size`, bytes; from 1 MiB less on it warns.
#[cfg(test)]
const MEMORY: u64 = 8 << 20;

/// Most volumes and snapshots of a group with an area of `area` bytes; 0 where that is not known.
pub(super) fn most(area: u64) -> u64 {
    if area == 0 {
        return 0;
    }
    let text = (area.saturating_sub(HEADER) / 2).saturating_sub(HEADER);
    (text.saturating_sub(REST) / ENTRY).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_as_many_volumes_are_made_as_lvm_can_write_down() {
        let rows = [
            ("not known", 0, 0),
            ("LVM's default: 1 MiB less 4 KiB", (1 << 20) - (4 << 10), 508),
            ("ours, less what LVM takes for itself", AREA - (4 << 10), MOST),
            ("a small one", 64 << 10, 1),
            ("hostile", u64::MAX, MOST),
        ];
        for (name, area, want) in rows {
            assert_eq!(most(area), want, "{name}");
        }
        // Of the area of 64 MiB the bound takes less than half.
        const { assert!(MOST * ENTRY + REST < AREA / 4) };
        // And it fits where LVM reads it.
        const { assert!(MOST * ENTRY + REST < MEMORY - (1 << 20)) };
    }

    #[test]
    fn local_what_lvm_writes_of_a_volume_is_no_longer_than_is_counted_on() {
        // As LVM 2.03 writes it into the area, without indentation and comments, with the longest of everything.
        let (id, host) = ("a".repeat(32), "h".repeat(64));
        let number = u64::MAX;
        let text = format!(
            "\nsnap-{id} {{\nid = \"aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\n\
             flags = [\"ACTIVATION_SKIP\", \"NOAUTOACTIVATE\"]\ncreation_time = {number}\ncreation_host = \"{host}\"\n\
             segment_count = 1\n\nsegment1 {{\nstart_extent = 0\nextent_count = {number}\n\ntype = \"thin\"\nthin_pool = \"local\"\n\
             transaction_id = {number}\ndevice_id = {number}\norigin = \"snap-{id}\"\n}}\n}}\n"
        );
        assert!(u64::try_from(text.len()).unwrap() < ENTRY, "{}", text.len());
    }
}
