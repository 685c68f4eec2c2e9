//! The kernels as they are embedded: PTX and CUBINs, compressed. It never loads one.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::File;

/// What a binary is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// PTX, which the driver compiles for any device of at least this compute capability.
    Ptx(u32, u32),
    /// Machine code for devices of this major compute capability and at least this minor one.
    Cubin(u32, u32),
}

impl Target {
    /// Whether a device of this compute capability can run it.
    pub fn runs_on(self, capability: (u32, u32)) -> bool {
        match self {
            Self::Ptx(major, minor) => (major, minor) <= capability,
            Self::Cubin(major, minor) => major == capability.0 && minor <= capability.1,
        }
    }
}

/// A file of kernels made for a target.
#[derive(Debug, Clone, Copy)]
pub struct Binary {
    /// The source.
    pub file: File,
    /// The target.
    pub target: Target,
    /// Its file's name in `shaders/cuda/binaries`.
    pub name: &'static str,
    compressed: &'static [u8],
}

impl Binary {
    /// The one to load on a device: machine code before PTX, the nearest target first. `None` where the
    /// device is older than every target.
    pub fn choose(file: File, capability: (u32, u32)) -> Option<&'static Self> {
        Self::in_order(file, capability).into_iter().next()
    }

    /// Those that a device can run, the one to load first; the others are for a driver that refuses it.
    pub fn in_order(file: File, capability: (u32, u32)) -> Vec<&'static Self> {
        let mut fitting: Vec<_> = BINARIES
            .iter()
            .filter(|binary| binary.file == file && binary.target.runs_on(capability))
            .collect();
        fitting.sort_by_key(|binary| {
            std::cmp::Reverse(match binary.target {
                Target::Ptx(major, minor) => (0, major, minor),
                Target::Cubin(major, minor) => (1, major, minor),
            })
        });
        fitting
    }

    /// The PTX or the CUBIN.
    ///
    /// # Errors
    ///
    /// Where the embedded bytes are damaged.
    pub fn content(&self) -> std::io::Result<Vec<u8>> {
        let mut content = Vec::new();
        ZlibDecoder::new(self.compressed).read_to_end(&mut content)?;
        Ok(content)
    }
}

macro_rules! binary {
    ($file:ident, $stem:literal, $ending:literal, $target:expr) => {
        Binary {
            file: File::$file,
            target: $target,
            name: concat!($stem, ".", $ending),
            compressed: include_bytes!(concat!(
                "../../../shaders/cuda/binaries/",
                $stem,
                ".",
                $ending,
                ".z"
            )),
        }
    };
}

macro_rules! binaries {
    ($($file:ident $stem:literal),*) => {
        /// Every embedded binary.
        pub static BINARIES: &[Binary] = &[$(
            binary!($file, $stem, "compute_75.ptx", Target::Ptx(7, 5)),
            binary!($file, $stem, "compute_80.ptx", Target::Ptx(8, 0)),
            binary!($file, $stem, "sm_80.cubin", Target::Cubin(8, 0)),
            binary!($file, $stem, "sm_86.cubin", Target::Cubin(8, 6)),
            binary!($file, $stem, "sm_90.cubin", Target::Cubin(9, 0)),
            binary!($file, $stem, "sm_120.cubin", Target::Cubin(12, 0)),
        )*];
    };
}

binaries!(
    Gemm "gemm",
    Attention "attention",
    Norm "norm",
    Elementwise "elementwise",
    Resample "resample",
    Reorder "reorder",
    Isosurface "isosurface",
    Inflate "inflate",
    Noise "noise",
    Resize "resize",
    Select "select",
    Latents "latents",
    Samples "samples"
);
