//! Square maps of numbers over the cut-out: the currency of every step of the shape source.

/// A square map of one number a pixel, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Width and height in pixels.
    pub side: usize,
    /// One value a pixel.
    pub values: Vec<f32>,
}

impl Map {
    /// A map of one value.
    pub fn filled(side: usize, value: f32) -> Self {
        Self {
            side,
            values: vec![value; side * side],
        }
    }

    /// The value at a column and a row.
    pub fn at(&self, column: usize, row: usize) -> f32 {
        self.values[row * self.side + column]
    }
}
