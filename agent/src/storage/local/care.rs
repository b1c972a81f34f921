//! What the pool needs: room before it is full, and errors in place of endless waits when it is. Pure.
//!
//! A tenth of the group stays free when the pool is made. From [`WARN_PERCENT`] on the pool grows into it, its tables first;
//! some is kept for them to the end, since a pool whose tables are full takes no writes at all.

use maekin_api::storage::WARN_PERCENT;

use super::report::Pool;

/// By how much the pool grows at a time: this part of it.
const STEP: u64 = 10;
/// Largest tables that the kernel takes, bytes (16 GiB less a little).
const TABLES: u64 = (16 << 30) - (64 << 20);

/// One thing that the pool needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// This one of its volumes, or the pool itself, goes on: a command that was cut short left it standing still, with all
    /// that is read and written there.
    Resume(String),
    /// Writes shall fail when it is full.
    ErrorWhenFull,
    /// Larger tables, by so many bytes.
    Tables(u64),
    /// More room, by so many bytes.
    Room(u64),
}

/// What is kept free for tables: as much again as they have.
fn kept(pool: &Pool) -> u64 {
    pool.metadata.min(TABLES.saturating_sub(pool.metadata))
}

/// So many bytes, in whole extents.
fn whole(pool: &Pool, bytes: u64) -> u64 {
    match pool.extent {
        0 => 0, // nothing is known of the group
        extent => bytes / extent * extent,
    }
}

/// Bytes by which the pool can still grow.
pub(super) fn growable(pool: &Pool) -> u64 {
    whole(pool, pool.free.saturating_sub(kept(pool)))
}

/// What the pool needs now.
pub(super) fn plan(pool: &Pool) -> Vec<Need> {
    let mut needs: Vec<Need> = pool.suspended.iter().cloned().map(Need::Resume).collect();
    if !pool.errors_when_full {
        needs.push(Need::ErrorWhenFull);
    }
    let warn = u16::from(WARN_PERCENT) * 100;
    let mut free = pool.free;
    if pool.metadata_share >= warn {
        let more = whole(pool, pool.metadata.min(TABLES.saturating_sub(pool.metadata)).min(free));
        if more > 0 {
            needs.push(Need::Tables(more));
            free = free.saturating_sub(more);
        }
    }
    if pool.used_share >= warn {
        let most = whole(pool, free.saturating_sub(kept(pool)));
        let more = whole(pool, (pool.size / STEP).max(pool.extent)).min(most);
        if more > 0 {
            needs.push(Need::Room(more));
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const M: u64 = 1 << 20;
    const G: u64 = 1 << 30;

    fn pool(used_share: u16, metadata_share: u16, free: u64) -> Pool {
        Pool {
            size: 10 * G,
            used_share,
            metadata: 12 * M,
            metadata_share,
            errors_when_full: true,
            active: true,
            free,
            extent: 4 * M,
            ..Pool::default()
        }
    }

    #[test]
    fn local_a_pool_grows_while_there_is_room_and_its_tables_go_first() {
        use Need::{ErrorWhenFull, Resume, Room, Tables};
        let waits = Pool { errors_when_full: false, ..pool(0, 0, G) };
        let still = Pool { suspended: vec!["local".into(), "vol-1".into()], ..pool(8000, 0, 2 * G) };
        let rows: [(&str, Pool, &[Need]); 11] = [
            ("left suspended", still, &[Resume("local".into()), Resume("vol-1".into()), Room(G)]),
            ("plenty", pool(7999, 7999, G), &[]),
            ("one of an earlier release", waits, &[ErrorWhenFull]),
            ("little room", pool(8000, 0, 2 * G), &[Room(G)]),
            ("little room, and little to grow by", pool(8000, 0, 112 * M), &[Room(100 * M)]),
            ("nothing but what is kept for tables", pool(9900, 0, 12 * M), &[]),
            ("nothing at all", pool(10_000, 9999, 0), &[]),
            ("tables", pool(0, 8000, G), &[Tables(12 * M)]),
            ("tables, with what is kept for them", pool(9900, 8000, 12 * M), &[Tables(12 * M)]),
            ("both", pool(8000, 8000, 2 * G), &[Tables(12 * M), Room(G)]),
            ("nothing is known of the group", Pool { extent: 0, ..pool(9000, 9000, G) }, &[]),
        ];
        for (name, pool, want) in rows {
            assert_eq!(plan(&pool), want, "{name}");
        }
        assert_eq!(growable(&pool(0, 0, 113 * M)), 100 * M);
    }

    proptest! {
        #[test]
        fn local_a_pool_never_takes_more_than_there_is(
            size in any::<u64>(), metadata in any::<u64>(), free in any::<u64>(), extent in 0..(1_u64 << 32),
            used_share in 0..=10_000_u16, metadata_share in 0..=10_000_u16,
        ) {
            let pool = Pool { size, metadata, free, extent, used_share, metadata_share, ..Pool::default() };
            let taken = plan(&pool).into_iter().map(|need| match need {
                Need::Tables(bytes) | Need::Room(bytes) => u128::from(bytes),
                Need::Resume(_) | Need::ErrorWhenFull => 0,
            });
            prop_assert!(taken.sum::<u128>() <= u128::from(free));
            prop_assert!(growable(&pool) <= free);
        }
    }
}
