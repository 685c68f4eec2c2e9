//! Normal noise: parameters and launch. It never computes.

use bytemuck::{Pod, Zeroable};

use super::{File, Launch, LaunchError, blocks, check};

/// The normal numbers of a seed and stream at places `first .. first + count`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct NoiseParams {
    /// `count` 32-bit numbers.
    pub y: u64,
    /// Numbers.
    pub count: i64,
    /// The place of the first.
    pub first: i64,
    /// The seed.
    pub seed: u64,
    /// The stream.
    pub stream: u64,
}

impl NoiseParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative number, or more numbers than a launch may make.
    pub fn launch(&self) -> Result<Launch, LaunchError> {
        let name = "normal_noise";
        let most = i64::MAX >> 2;
        for (what, number) in [("the count", self.count), ("the place", self.first)] {
            check(name, what, number, 0..=most, "0 and more")?;
        }
        // From the counter of the first number to that of the last; one thread each.
        let counters = (self.first % 4 + self.count + 3) / 4;
        let grid = [blocks(counters, 256), 1];
        Launch::new((File::Noise, name), name.into(), grid, 256, self, 1)
    }
}
