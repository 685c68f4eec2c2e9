//! Matrix products and attention: parameters and launches. It never computes.

use bytemuck::{Pod, Zeroable};

use super::{File, Launch, LaunchError, Number, blocks, check};

/// `c = gate · activation(alpha · scale · (a · weightᵀ) + bias) + residual`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct GemmParams {
    /// `m × k`, rows contiguous.
    pub a: u64,
    /// `n × k`, rows contiguous; 8-bit integers in the formats that say so.
    pub weight: u64,
    /// `n` 32-bit numbers, with 8-bit weights; or null.
    pub weight_scale: u64,
    /// `n` 32-bit numbers, or null.
    pub bias: u64,
    /// `n` 32-bit numbers, or null.
    pub gate: u64,
    /// `m × n` of c's format, or null.
    pub residual: u64,
    /// `m × n` of a's format, or of 32-bit numbers with `wide_output`.
    pub c: u64,
    /// `batches + 1` 32-bit integers, or null: batch g is then the rows from the g-th to the next of them of a, c
    /// and the residual, whose batch strides are 0, and weights of its own; `m` is the most rows of one, or more.
    pub row_offsets: u64,
    /// From a row of a to the next.
    pub a_row: i64,
    /// From a row of the weights to the next.
    pub weight_row: i64,
    /// From a row of the residual to the next.
    pub residual_row: i64,
    /// From a row of c to the next.
    pub c_row: i64,
    /// From a batch of a to the next; 0 shares it.
    pub a_batch: i64,
    /// The same for the weights.
    pub weight_batch: i64,
    /// The same for their scales.
    pub scale_batch: i64,
    /// The same for the bias.
    pub bias_batch: i64,
    /// The same for the gate.
    pub gate_batch: i64,
    /// The same for the residual.
    pub residual_batch: i64,
    /// The same for c.
    pub c_batch: i64,
    /// Rows of a and c; see `row_offsets`.
    pub m: i32,
    /// Rows of the weights, columns of c.
    pub n: i32,
    /// Columns of a and of the weights.
    pub k: i32,
    /// An activation's number: 0 none, 1 GELU (erf), 2 GELU (tanh), 3 SiLU, 4 sigmoid, 5 exp.
    pub activation: i32,
    /// 1 where c and the residual are 32-bit numbers whatever a is.
    pub wide_output: i32,
    /// A factor of the product.
    pub alpha: f32,
}

/// What a matrix product reads and how it multiplies; it sums in 32 bits whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GemmFormat {
    /// 32 bits throughout.
    F32,
    /// 32-bit numbers, 19 bits of each multiplied.
    Tf32,
    /// binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// binary16 and 8-bit weights.
    F16Int8,
    /// bfloat16 and 8-bit weights.
    Bf16Int8,
}

impl GemmFormat {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::F32,
        Self::Tf32,
        Self::F16,
        Self::Bf16,
        Self::F16Int8,
        Self::Bf16Int8,
    ];

    /// The numbers of a and, unless wide, of c.
    pub const fn number(self) -> Number {
        match self {
            Self::F32 | Self::Tf32 => Number::F32,
            Self::F16 | Self::F16Int8 => Number::F16,
            Self::Bf16 | Self::Bf16Int8 => Number::Bf16,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F16Int8 => "f16_int8",
            Self::Bf16Int8 => "bf16_int8",
        }
    }
}

/// The part of c that a block computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tile {
    /// 64 × 64, by 128 threads. [`GemmFormat::F32`] has none and takes the large one.
    Small,
    /// 128 × 128, by 256 threads.
    Large,
}

impl Tile {
    /// The large tile where it gives every multiprocessor two blocks, else the small one.
    pub fn choose(m: i32, n: i32, batches: u32, multiprocessors: u32) -> Self {
        let large = blocks(m.into(), 128)
            .saturating_mul(blocks(n.into(), 128))
            .saturating_mul(batches.into());
        if large >= 2 * u64::from(multiprocessors) {
            Self::Large
        } else {
            Self::Small
        }
    }
}

impl GemmParams {
    /// The launch of `batches` products.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a negative size or too many blocks.
    pub fn launch(
        &self,
        format: GemmFormat,
        tile: Tile,
        batches: u32,
    ) -> Result<Launch, LaunchError> {
        for (what, size) in [("m", self.m), ("n", self.n), ("k", self.k)] {
            check("gemm", what, size.into(), 0..=i64::MAX, "0 and more")?;
        }
        let is_small = tile == Tile::Small && format != GemmFormat::F32;
        let (side, threads, ending) = if is_small {
            (64, 128, "_small")
        } else {
            (128, 256, "")
        };
        let tiles = blocks(self.m.into(), side) * blocks(self.n.into(), side);
        Launch::new(
            (File::Gemm, "gemm"),
            format!("gemm_{}{ending}", format.suffix()),
            [tiles, batches.into()],
            threads,
            self,
            8,
        )
    }
}

/// `o = softmax(scale · q · kᵀ) · v` for every batch and head.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct AttentionParams {
    /// Queries; the numbers of a head are contiguous here and below.
    pub q: u64,
    /// Keys.
    pub k: u64,
    /// Values.
    pub v: u64,
    /// The result.
    pub o: u64,
    /// From a batch of q to the next, from a token, from a head.
    pub q_strides: [i64; 3],
    /// The same for k.
    pub k_strides: [i64; 3],
    /// The same for v.
    pub v_strides: [i64; 3],
    /// The same for o.
    pub o_strides: [i64; 3],
    /// Heads.
    pub heads: i32,
    /// Queries of a batch.
    pub queries: i32,
    /// Keys of a batch.
    pub keys: i32,
    /// Numbers of a head.
    pub head_size: i32,
    /// A factor of the scores, as a rule `1 / √head_size`.
    pub scale: f32,
    /// Not read.
    pub padding: i32,
}

impl AttentionParams {
    /// The launch for `batches` batches.
    ///
    /// # Errors
    ///
    /// [`LaunchError`] for a head size that is no multiple of 8 up to 128, addresses or strides of 16-bit
    /// numbers that are no multiples of 16 bytes, or too many blocks.
    pub fn launch(&self, number: Number, batches: u32) -> Result<Launch, LaunchError> {
        let kernel = "attention";
        let head_size = i64::from(self.head_size);
        let takes = "multiples of 8 from 8 to 128";
        check(kernel, "the head size", head_size, 8..=128, takes)?;
        check(
            kernel,
            "the head size, modulo 8",
            head_size % 8,
            0..=0,
            takes,
        )?;
        for (what, size) in [
            ("the number of heads", self.heads),
            ("the number of queries", self.queries),
            ("the number of keys", self.keys),
        ] {
            check(kernel, what, size.into(), 0..=i64::MAX, "0 and more")?;
        }
        if number != Number::F32 {
            for address in [self.q, self.k, self.v, self.o] {
                let over = (address % 16).cast_signed();
                check(kernel, "an address, modulo 16", over, 0..=0, "0")?;
            }
            let strides = [
                self.q_strides,
                self.k_strides,
                self.v_strides,
                self.o_strides,
            ];
            for stride in strides.into_iter().flatten() {
                check(kernel, "a stride, modulo 8", stride % 8, 0..=0, "0")?;
            }
        }
        let (rows, threads) = if number == Number::F32 {
            (32, 256)
        } else {
            (64, 128)
        };
        let padded = if head_size <= 64 { 64 } else { 128 };
        Launch::new(
            (File::Attention, kernel),
            format!("attention_{}_{padded}", number.suffix()),
            [
                blocks(self.queries.into(), rows),
                u64::from(batches) * u64::from(self.heads.unsigned_abs()),
            ],
            threads,
            self,
            4,
        )
    }
}
