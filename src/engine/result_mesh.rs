//! A finished mesh, wherever it is: in memory while it is new, on disk once it is kept there.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::mesh::Mesh;
use crate::store::{Entry, StoreError};

/// The mesh of a result. It is always in memory, in the store, or both.
#[derive(Debug)]
pub struct ResultMesh {
    memory: Mutex<Option<Arc<Mesh>>>,
    stored: OnceLock<Entry>,
}

impl ResultMesh {
    pub(super) fn new(mesh: Mesh) -> Self {
        Self {
            memory: Mutex::new(Some(Arc::new(mesh))),
            stored: OnceLock::new(),
        }
    }

    pub(super) fn stored(entry: Entry) -> Self {
        Self {
            memory: Mutex::default(),
            stored: OnceLock::from(entry),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Option<Arc<Mesh>>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mesh, centred, its longest side 1. Reads a file where it is not in memory.
    ///
    /// # Errors
    ///
    /// [`StoreError::Gone`] when it had to make room, [`StoreError::Damaged`] when its file is not what
    /// was written.
    pub fn load(&self) -> Result<Arc<Mesh>, StoreError> {
        if let Some(mesh) = self.in_memory() {
            return Ok(mesh);
        }
        let entry = self.stored.get().ok_or(StoreError::Gone)?;
        entry.mesh().map(Arc::new)
    }

    /// The mesh, where it is in memory.
    pub fn in_memory(&self) -> Option<Arc<Mesh>> {
        self.memory().clone()
    }

    /// Where the mesh is kept, if it is.
    pub fn entry(&self) -> Option<&Entry> {
        self.stored.get()
    }

    pub(super) fn kept_as(&self, entry: Entry) {
        // A second copy of the same mesh is as good as the first.
        self.stored.set(entry).ok();
    }

    /// Gives up the copy in memory if there is one in the store; whether it did.
    pub fn release(&self) -> bool {
        self.stored.get().is_some() && self.memory().take().is_some()
    }
}
