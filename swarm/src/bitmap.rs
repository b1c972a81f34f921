//! Which chunks of an image somebody has, in memory and as hex digits on the wire.

use maekin_image::chunks::MOST;

/// A set of chunk numbers below a fixed count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    len: usize,
    words: Vec<u64>,
}

impl Bitmap {
    /// Nothing of `len`.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self { len, words: vec![0; len.div_ceil(64)] }
    }

    /// All of `len`.
    #[must_use]
    pub fn full(len: usize) -> Self {
        let mut all = Self::new(len);
        (0..len).for_each(|i| all.set(i));
        all
    }

    /// How many there could be.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether `index` is in it.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        index < self.len && self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Puts `index` in, where it is below the count.
    pub fn set(&mut self, index: usize) {
        if index < self.len {
            self.words[index / 64] |= 1 << (index % 64);
        }
    }

    /// Takes `index` out.
    pub fn clear(&mut self, index: usize) {
        if index < self.len {
            self.words[index / 64] &= !(1 << (index % 64));
        }
    }

    /// How many are in it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether all are in it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count() == self.len
    }

    /// Those that are in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(w, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(w * 64 + bit)
            })
        })
    }

    /// Those in it and not in `other`, which is of the same count.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a & !b).collect();
        Self { len: self.len, words }
    }

    /// Those in either; `other` is of the same count.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let words = self.words.iter().zip(&other.words).map(|(a, b)| a | b).collect();
        Self { len: self.len, words }
    }

    /// Whether something is in it that is not in `other`.
    #[must_use]
    pub fn has_more_than(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & !b != 0)
    }

    /// Two hex digits for each eight, the first of them the lowest bit.
    #[must_use]
    pub fn hex(&self) -> String {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes()).take(self.len.div_ceil(8));
        bytes.map(|b| format!("{b:02x}")).collect()
    }

    /// Reads what [`Bitmap::hex`] writes, of exactly `len`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str, len: usize) -> Option<Self> {
        if len > MOST || text.len() != len.div_ceil(8) * 2 {
            return None;
        }
        let mut found = Self::new(len);
        for (i, digits) in text.as_bytes().chunks(2).enumerate() {
            let digit = |b: u8| char::from(b).to_digit(16);
            let byte = u64::from(digit(digits[0])? << 4 | digit(digits[1])?);
            found.words[i / 8] |= byte << (8 * (i % 8));
        }
        let beyond = (len..len.next_multiple_of(64)).any(|i| found.words[i / 64] >> (i % 64) & 1 == 1);
        (!beyond).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn edges() {
        for len in [0, 1, 63, 64, 65, 300] {
            let all = Bitmap::full(len);
            assert!(all.is_full() && all.iter().eq(0..len), "{len}");
            assert_eq!(Bitmap::parse(&all.hex(), len), Some(all.clone()), "{len}");
            assert!(!all.has(len) && !Bitmap::new(len).has_more_than(&all), "{len}");
        }
        let rows = [
            ("short", "f", 8),
            ("long", "fff", 8),
            ("bits beyond", "ff", 7),
            ("no hex", "zz", 8),
            ("two bytes that are one character", "é", 8),
            ("too many", "", usize::MAX),
        ];
        for (name, text, len) in rows {
            assert_eq!(Bitmap::parse(text, len), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn it_is_a_set(len in 1..500_usize, put in prop::collection::vec(0..600_usize, 0..80)) {
            let mut bitmap = Bitmap::new(len);
            let mut set = std::collections::BTreeSet::new();
            for i in put {
                bitmap.set(i);
                if i < len { set.insert(i); }
            }
            prop_assert!(bitmap.iter().eq(set.iter().copied()));
            prop_assert_eq!(bitmap.count(), set.len());
            prop_assert_eq!(Bitmap::parse(&bitmap.hex(), len), Some(bitmap.clone()));
            prop_assert!(bitmap.without(&bitmap).is_empty());
        }

        #[test]
        fn nothing_from_the_wire_makes_it_panic(text in "\\PC{0,40}", len in 0..100_usize) {
            let _ = Bitmap::parse(&text, len);
        }
    }
}
