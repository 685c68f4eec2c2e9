//! The tensors that follow from a model's sizes.

/// A tensor of the published file: its name and shape.
pub type NamedShape = (String, Vec<usize>);

/// Tensors being listed.
#[derive(Debug, Default)]
pub(super) struct Tensors(pub(super) Vec<NamedShape>);

impl Tensors {
    pub(super) fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_owned(), shape.to_vec()));
    }

    pub(super) fn norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width]);
        self.add(&format!("{name}.bias"), &[width]);
    }

    pub(super) fn linear(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.add(&format!("{name}.weight"), &[outputs, inputs]);
        self.add(&format!("{name}.bias"), &[outputs]);
    }
}
