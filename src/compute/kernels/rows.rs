//! Resizing, softmax and the greatest of a row: parameters and launches. It never computes.

use bytemuck::{Pod, Zeroable};

use super::{File, Launch, LaunchError, MOST_ELEMENTWISE_BLOCKS, Number, blocks, check};

/// Weighted neighbours along one axis; 32-bit numbers.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct ResizeParams {
    /// `outer × from × inner`.
    pub x: u64,
    /// `outer × to × inner`; not x.
    pub y: u64,
    /// `to + 1` words: where the neighbours of each place begin.
    pub starts: u64,
    /// The neighbours: words below `from`.
    pub places: u64,
    /// Their weights.
    pub weights: u64,
    /// What lies before the axis.
    pub outer: i64,
    /// What lies behind it.
    pub inner: i64,
    /// Its old length.
    pub from: i32,
    /// Its new length.
    pub to: i32,
}

impl ResizeParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size.
    pub fn launch(&self) -> Result<Launch, LaunchError> {
        let name = "resize_axis";
        let mut count: i64 = 1;
        for size in [self.outer, self.to.into(), self.inner] {
            check(name, "a size", size, 0..=i64::MAX, "0 and more")?;
            count = count.saturating_mul(size);
        }
        let grid = [blocks(count, 256).min(MOST_ELEMENTWISE_BLOCKS), 1];
        Launch::new((File::Resize, name), name.into(), grid, 256, self, 5)
    }
}

/// A launch of a warp a row.
fn over_rows(
    name: &'static str,
    number: Number,
    rows: i64,
    params: &impl Pod,
    pointers: u32,
) -> Result<Launch, LaunchError> {
    check(name, "the rows", rows, 0..=i64::MAX, "0 and more")?;
    let kernel = format!("{name}_{}", number.suffix());
    let grid = [blocks(rows, 8), 1];
    Launch::new((File::Select, name), kernel, grid, 256, params, pointers)
}

/// `exp(scale · x)` over its sum along each row.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct SoftmaxParams {
    /// What is read.
    pub x: u64,
    /// What is written; may be x.
    pub y: u64,
    /// From a row of x to the next.
    pub x_row: i64,
    /// From a row of y to the next.
    pub y_row: i64,
    /// Rows.
    pub rows: i64,
    /// Numbers of a row.
    pub width: i32,
    /// A factor of x.
    pub scale: f32,
}

impl SoftmaxParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size or too many blocks.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        let width = i64::from(self.width);
        check("softmax", "the width", width, 0..=i64::MAX, "0 and more")?;
        over_rows("softmax", number, self.rows, self, 2)
    }
}

/// The greatest numbers of each row and where they are.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct TopKParams {
    /// What is read.
    pub x: u64,
    /// `rows × k` numbers, the greatest first.
    pub values: u64,
    /// `rows × k` words.
    pub places: u64,
    /// From a row of x to the next.
    pub x_row: i64,
    /// Rows.
    pub rows: i64,
    /// Numbers of a row.
    pub width: i32,
    /// How many of them, at most the width.
    pub k: i32,
}

impl TopKParams {
    /// The launch.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size, for more numbers than a row has, or too many blocks.
    pub fn launch(&self, number: Number) -> Result<Launch, LaunchError> {
        let (width, k) = (i64::from(self.width), i64::from(self.k));
        check("top_k", "k", k, 0..=width, "0 to the width")?;
        over_rows("top_k", number, self.rows, self, 3)
    }
}
