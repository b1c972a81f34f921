//! Inputs made of kept ones: bits turned, numbers made absurd, pieces cut, doubled and exchanged. The same seed
//! makes the same inputs.

/// Longest input made.
const LONGEST: usize = 4096;
/// Numbers at which code breaks.
const ODD: [u8; 10] = [0, 1, 2, 4, 0x20, 0x7f, 0x80, 0xfe, 0xff, b'0'];

pub(crate) struct Mutator<'a> {
    state: u64,
    inputs: &'a [Vec<u8>],
    made: Vec<u8>,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(seed: u64, inputs: &'a [Vec<u8>]) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, inputs, made: Vec::new() }
    }

    /// The next input.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.made = self.pick();
        for _ in 0..=self.below(6) {
            self.step();
            self.made.truncate(LONGEST);
        }
        &self.made
    }

    fn pick(&mut self) -> Vec<u8> {
        let n = self.below(self.inputs.len());
        self.inputs[n].clone()
    }

    /// A number below `limit` (or 0), xorshift64*.
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let random = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(random).expect("31 bits") % limit.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }

    /// A piece of what there is, at most 64 bytes.
    fn piece(&mut self) -> std::ops::Range<usize> {
        let from = self.below(self.made.len());
        from..(from + 1 + self.below(64)).min(self.made.len())
    }

    fn step(&mut self) {
        if self.made.is_empty() {
            self.made = vec![self.byte()];
        }
        let at = self.below(self.made.len());
        match self.below(8) {
            0 => self.made[at] ^= 1 << self.below(8),
            1 => self.made[at] = ODD[self.below(ODD.len())],
            2 => self.made[at] = self.byte(),
            3 => self.made.truncate(at),
            4 => {
                let piece = self.piece();
                self.made.drain(piece);
            }
            5 => {
                let piece = self.piece();
                let piece = self.made[piece].to_vec();
                self.made.splice(at..at, piece);
            }
            6 => {
                let other = self.pick();
                let from = self.below(other.len());
                self.made.truncate(at);
                self.made.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            _ => {
                let (byte, times) = (ODD[self.below(ODD.len())], self.below(300));
                self.made.splice(at..at, std::iter::repeat_n(byte, times));
            }
        }
    }
}
