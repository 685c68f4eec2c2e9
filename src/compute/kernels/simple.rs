//! Normalisation, elementwise work, sampling and moving: parameters and launches. It never computes.

use bytemuck::{Pod, Zeroable};

use super::{File, Launch, LaunchError, MOST_ELEMENTWISE_BLOCKS, Number, blocks, check};

/// The size of the words that a moving kernel moves, whatever they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WordSize {
    /// 16 bits.
    Two,
    /// 32 bits.
    Four,
}

impl WordSize {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Two => "16",
            Self::Four => "32",
        }
    }
}

/// A launch of 256 threads a block over `count` numbers.
fn over(
    file: File,
    what: &'static str,
    kernel: String,
    count: i64,
    params: &impl Pod,
    pointers: u32,
) -> Result<Launch, LaunchError> {
    check(what, "the count", count, 0..=i64::MAX, "0 and more")?;
    let blocks = blocks(count, 256).min(MOST_ELEMENTWISE_BLOCKS);
    Launch::new((file, what), kernel, [blocks, 1], 256, params, pointers)
}

/// Rows to mean 0 and variance 1, or to mean square 1. Rows are numbered by outer and inner.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct RowNormParams {
    /// What is read.
    pub x: u64,
    /// `width` 32-bit numbers, or null.
    pub weight: u64,
    /// `width` 32-bit numbers, or null.
    pub bias: u64,
    /// What is written; may be x.
    pub y: u64,
    /// From an outer of x to the next.
    pub x_outer: i64,
    /// From an inner of x to the next.
    pub x_inner: i64,
    /// From an outer of y to the next.
    pub y_outer: i64,
    /// From an inner of y to the next.
    pub y_inner: i64,
    /// All rows.
    pub rows: i64,
    /// Inner rows of an outer, at least 1.
    pub inner: i32,
    /// Numbers of a row.
    pub width: i32,
    /// Added to the variance.
    pub epsilon: f32,
    /// Not read.
    pub padding: i32,
}

impl RowNormParams {
    /// LayerNorm.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a size below 1 or too many blocks.
    pub fn layer_norm(&self, number: Number) -> Result<Launch, LaunchError> {
        self.launch("layer_norm", number)
    }

    /// RMSNorm.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a size below 1 or too many blocks.
    pub fn rms_norm(&self, number: Number) -> Result<Launch, LaunchError> {
        self.launch("rms_norm", number)
    }

    fn launch(&self, kernel: &'static str, number: Number) -> Result<Launch, LaunchError> {
        for (what, size) in [("inner", self.inner), ("width", self.width)] {
            check(kernel, what, size.into(), 1..=i64::MAX, "1 and more")?;
        }
        let name = format!("{kernel}_{}", number.suffix());
        let blocks = [blocks(self.rows, 8), 1];
        Launch::new((File::Norm, kernel), name, blocks, 256, self, 4)
    }
}

/// Groups of channels to mean 0 and variance 1 over all tokens.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct GroupNormParams {
    /// What is read.
    pub x: u64,
    /// `channels` 32-bit numbers, or null.
    pub weight: u64,
    /// `channels` 32-bit numbers, or null.
    pub bias: u64,
    /// What is written; may be x.
    pub y: u64,
    /// From a batch of x to the next, from a token, from a channel.
    pub x_strides: [i64; 3],
    /// The same for y.
    pub y_strides: [i64; 3],
    /// Tokens of a batch.
    pub tokens: i32,
    /// Channels, a multiple of the groups.
    pub channels: i32,
    /// Groups.
    pub groups: i32,
    /// Added to the variance.
    pub epsilon: f32,
}

impl GroupNormParams {
    /// GroupNorm of `batches` batches.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for channels that the groups do not divide or too many blocks.
    pub fn launch(&self, number: Number, batches: u32) -> Result<Launch, LaunchError> {
        let kernel = "group_norm";
        let groups = i64::from(self.groups);
        check(kernel, "groups", groups, 1..=i64::MAX, "1 and more")?;
        let over = i64::from(self.channels) % groups;
        check(kernel, "channels, modulo the groups", over, 0..=0, "0")?;
        let name = format!("{kernel}_{}", number.suffix());
        let blocks = [groups.unsigned_abs(), batches.into()];
        Launch::new((File::Norm, kernel), name, blocks, 512, self, 4)
    }
}

/// `y = activation(alpha · x + beta)`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct UnaryParams {
    /// What is read.
    pub x: u64,
    /// What is written; may be x.
    pub y: u64,
    /// Numbers.
    pub count: i64,
    /// A factor.
    pub alpha: f32,
    /// Added.
    pub beta: f32,
    /// An activation's number, as in [`super::GemmParams::activation`].
    pub activation: i32,
    /// Not read.
    pub padding: i32,
}

impl UnaryParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        let name = format!("unary_{}", number.suffix());
        over(File::Elementwise, "unary", name, self.count, self, 2)
    }
}

/// `z = alpha · x + beta · y`, or `alpha · x · y`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct BinaryParams {
    /// `count` numbers.
    pub x: u64,
    /// `period` numbers, repeated.
    pub y: u64,
    /// What is written; may be x.
    pub z: u64,
    /// Numbers.
    pub count: i64,
    /// Numbers of y, at least 1.
    pub period: i64,
    /// A factor of x.
    pub alpha: f32,
    /// A factor of y in a sum.
    pub beta: f32,
    /// 1 for the product, 0 for the sum.
    pub multiply: i32,
    /// Not read.
    pub padding: i32,
}

impl BinaryParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count or a period below 1.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        check(
            "binary",
            "the period",
            self.period,
            1..=i64::MAX,
            "1 and more",
        )?;
        let name = format!("binary_{}", number.suffix());
        over(File::Elementwise, "binary", name, self.count, self, 3)
    }
}

/// One half of each row times the other half activated: GEGLU, SwiGLU.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct GatedParams {
    /// `rows × 2 · width`.
    pub x: u64,
    /// `rows × width`.
    pub y: u64,
    /// Rows.
    pub rows: i64,
    /// Numbers of half a row.
    pub width: i32,
    /// An activation's number, as in [`super::GemmParams::activation`].
    pub activation: i32,
    /// 1 where the first half is activated, 0 where it is the second.
    pub first_is_gate: i32,
    /// Not read.
    pub padding: i32,
}

impl GatedParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        let width = i64::from(self.width);
        check("gated", "the width", width, 0..=i64::MAX, "0 and more")?;
        let name = format!("gated_{}", number.suffix());
        let count = self.rows.saturating_mul(width);
        over(File::Elementwise, "gated", name, count, self, 2)
    }
}

/// Numbers from one format to another.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct CastParams {
    /// What is read.
    pub x: u64,
    /// What is written.
    pub y: u64,
    /// Numbers.
    pub count: i64,
}

impl CastParams {
    /// The launch; `from` and `to` differ.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative count, or where the formats are the same.
    pub fn launch(&self, from: Number, to: Number) -> Result<Launch, LaunchError> {
        let same = i64::from(from == to);
        check("cast", "the number of equal formats", same, 0..=0, "0")?;
        let name = format!("cast_{}_{}", from.suffix(), to.suffix());
        over(File::Elementwise, "cast", name, self.count, self, 2)
    }
}

/// What three planes hold at points.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct PlanesParams {
    /// `3 × side × side × channels`: xy, xz, yz; rows along the second axis.
    pub planes: u64,
    /// `points_count × 3` 32-bit numbers.
    pub points: u64,
    /// `points_count × 3 · channels`.
    pub y: u64,
    /// Points.
    pub points_count: i64,
    /// Pixels of a plane's side.
    pub side: i32,
    /// Numbers of a pixel.
    pub channels: i32,
    /// Takes points to -1 … 1, the outer edges of the outer pixels.
    pub scale: f32,
    /// Not read.
    pub padding: i32,
}

impl PlanesParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a size below 1.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        let kernel = "sample_planes";
        for (what, size) in [("the side", self.side), ("channels", self.channels)] {
            check(kernel, what, size.into(), 1..=i64::MAX, "1 and more")?;
        }
        let name = format!("{kernel}_{}", number.suffix());
        let count = self
            .points_count
            .saturating_mul(3 * i64::from(self.channels));
        over(File::Resample, kernel, name, count, self, 3)
    }

    /// The launch that tells how what 32-bit planes hold grows, too: y is `points_count × 4 × 3 · channels`, of
    /// each point a row of what the planes hold and its slopes along x, y and z.
    ///
    /// # Errors
    ///
    /// As [`PlanesParams::launch`].
    pub fn launch_with_slopes(&self) -> Result<Launch, LaunchError> {
        Ok(Launch {
            kernel: "sample_planes_with_slopes".into(),
            ..self.launch(Number::F32)?
        })
    }
}

/// SiLU of rows of sums with a bias, and its slope times theirs; in place.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct SlopedParams {
    /// `points_count × 4 × width` 32-bit numbers: of each point the sums and three rows of their slopes.
    pub x: u64,
    /// `width` 32-bit numbers, added to the sums.
    pub bias: u64,
    /// Points.
    pub points_count: i64,
    /// Numbers of a row.
    pub width: i32,
    /// Not read.
    pub padding: i32,
}

impl SlopedParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a size below 1.
    pub fn launch(&self) -> Result<Launch, LaunchError> {
        let kernel = "silu_with_slopes";
        check(
            kernel,
            "the width",
            self.width.into(),
            1..=i64::MAX,
            "1 and more",
        )?;
        let count = self.points_count.saturating_mul(self.width.into());
        over(File::Resample, kernel, kernel.into(), count, self, 2)
    }
}

/// Rows to columns, for every batch; all contiguous.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct TransposeParams {
    /// `rows × columns`.
    pub x: u64,
    /// `columns × rows`; not x.
    pub y: u64,
    /// Rows of x.
    pub rows: i32,
    /// Columns of x.
    pub columns: i32,
}

impl TransposeParams {
    /// The launch of `batches` batches.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for too many blocks.
    pub fn launch(&self, word: WordSize, batches: u32) -> Result<Launch, LaunchError> {
        let tiles = blocks(self.rows.into(), 32) * blocks(self.columns.into(), 32);
        let name = format!("transpose_{}", word.suffix());
        let what = (File::Reorder, "transpose");
        Launch::new(what, name, [tiles, batches.into()], 256, self, 2)
    }
}

/// Any rearrangement of up to five axes; axes that are not needed have the size 1.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct StridedParams {
    /// What is read.
    pub x: u64,
    /// What is written; not x.
    pub y: u64,
    /// From one to the next along each axis of x.
    pub x_stride: [i64; 5],
    /// From one to the next along each axis of y.
    pub y_stride: [i64; 5],
    /// The axes' sizes.
    pub size: [i32; 5],
    /// Not read.
    pub padding: i32,
}

impl StridedParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size.
    pub fn launch(&self, word: WordSize) -> Result<Launch, LaunchError> {
        let kernel = "copy_strided";
        let mut count: i64 = 1;
        for size in self.size {
            check(kernel, "a size", size.into(), 0..=i64::MAX, "0 and more")?;
            count = count.saturating_mul(size.into());
        }
        let name = format!("{kernel}_{}", word.suffix());
        over(File::Reorder, kernel, name, count, self, 2)
    }
}

/// Rows by their numbers; zeros where a number is none of x's rows.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct GatherParams {
    /// `source_rows × width`.
    pub x: u64,
    /// `rows` 32-bit integers.
    pub index: u64,
    /// `rows × width`; not x.
    pub y: u64,
    /// Rows of y.
    pub rows: i64,
    /// Rows of x.
    pub source_rows: i64,
    /// Words of a row.
    pub width: i64,
}

impl GatherParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size.
    pub fn launch(&self, word: WordSize) -> Result<Launch, LaunchError> {
        let kernel = "gather_rows";
        check(kernel, "the width", self.width, 0..=i64::MAX, "0 and more")?;
        let name = format!("{kernel}_{}", word.suffix());
        let count = self.rows.saturating_mul(self.width);
        over(File::Reorder, kernel, name, count, self, 3)
    }
}
