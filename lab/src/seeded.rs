//! Numbers that a seed decides (xorshift64*): the same test again is the same test.

/// A source of them.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// That of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Seeds of one test are neighbours; their numbers shall not be (splitmix64). The state is never 0.
        let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// A number below `n`; 0 where that is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11).checked_rem(n).unwrap_or(0)
    }

    /// An index below `n`.
    pub fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or(0) // it is below a usize
    }

    /// So many of the indices below `n`.
    pub fn some(&mut self, count: usize, n: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        let mut some = Vec::new();
        while some.len() < count && !all.is_empty() {
            some.push(all.swap_remove(self.index(all.len())));
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assembly_a_seed_decides_and_neighbours_differ() {
        let numbers = |seed| {
            let mut seeded = Seeded::new(seed);
            (0..8).map(|_| seeded.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1)[0], numbers(2)[0]);
        let mut some = Seeded::new(3).some(2, 5);
        some.sort_unstable();
        some.dedup();
        assert_eq!(some.len(), 2);
        assert_eq!((Seeded::new(1).below(0), Seeded::new(1).some(4, 2).len()), (0, 2));
    }
}
