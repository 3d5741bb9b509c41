//! Numbers that look random, and are the same for the same seed.

/// Steele, Lea and Flood's SplitMix64.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as the seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// A number of the kind that hurts: at a limit, or near one, or any.
    pub fn nasty(&mut self) -> u64 {
        let near = self.below(17).wrapping_sub(8);
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => (1 << self.below(64)) as u64,
            3 => (1_u64 << self.below(64)).wrapping_add(near),
            4 => near,
            5 => self.below(1 << 17) & !7,
            6 => self.below(1 << 20),
            _ => self.roll(),
        }
    }

    /// So many bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll() as u8).collect()
    }
}
