//! The memory manager: what the devices and the host have, what of it is ours, and what fits.
//!
//! It reads drivers and the operating system, decides, and explains itself. It never allocates, never
//! runs a job and never touches an image or a mesh.
