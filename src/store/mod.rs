//! Finished results on disk: a cache of them by what they were made from, and a history of jobs.
//!
//! Every change is atomic and locked across processes; what is damaged is dropped and made anew. It
//! never decides what is computed.
