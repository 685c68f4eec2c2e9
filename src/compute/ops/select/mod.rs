//! What is chosen among the numbers of a row: their softmax, and the greatest of them. The CUDA forms are
//! [`SoftmaxParams`](crate::compute::kernels::SoftmaxParams) and
//! [`TopKParams`](crate::compute::kernels::TopKParams).

mod cpu;

pub use cpu::{Chosen, softmax, top_k};
