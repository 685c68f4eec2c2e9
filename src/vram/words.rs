//! Quantities in words for the user. GB and MB are 10⁹ and 10⁶ bytes.

/// Bytes per GB.
pub(super) const GB: u64 = 1_000_000_000;

/// An amount of memory, as in `1.2 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        u64::MAX => "no known limit".into(),
        GB.. => format!("{:.1} GB", gigabytes(bytes)),
        1_000_000.. => format!("{:.0} MB", bytes as f64 / 1e6),
        1_000.. => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{bytes} bytes"),
    }
}

/// Bytes in GB.
pub(super) fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / GB as f64
}

/// A share, as in `12.3%`, or `unknown`.
pub(super) fn percent(percent: Option<f64>) -> String {
    percent.map_or_else(|| "unknown".into(), |percent| format!("{percent:.1}%"))
}
