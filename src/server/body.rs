//! The body of a request under its limits: bytes, pauses, time in all, and the memory of all bodies
//! together.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use axum::http::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::config::Limits;
use super::refusal::Refusal;

/// Bytes in one unit of [`Memory`].
const UNIT_BYTES: u64 = 1024;

/// An account of memory that requests share: what does not fit is refused, nobody waits.
#[derive(Debug, Clone)]
pub(super) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT_BYTES).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(units.min(u32::MAX as usize))))
    }

    /// Takes part of it until what is handed back is dropped; `None` where there is not enough.
    pub(super) fn take(&self, bytes: u64) -> Option<Held> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).ok()?;
        let permit = Arc::clone(&self.0).try_acquire_many_owned(units).ok()?;
        Some(Held(permit))
    }

    /// What is left of it.
    pub(super) fn free_bytes(&self) -> u64 {
        self.0.available_permits() as u64 * UNIT_BYTES
    }
}

/// Memory that was taken.
#[derive(Debug)]
pub(super) struct Held(OwnedSemaphorePermit);

impl Held {
    pub(super) fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    fn bytes(&self) -> u64 {
        self.0.num_permits() as u64 * UNIT_BYTES
    }
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the body has more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("the body came too slowly")]
    TooSlow,
    #[error("too many bodies at once")]
    NoMemory,
    #[error("the body ended early")]
    Broken,
}

impl Fault {
    pub(super) fn refusal(self) -> Refusal {
        let refusal = match self {
            Self::TooLarge { limit_bytes } => Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the request has more than {limit_bytes} bytes; send a smaller image"),
            ),
            Self::TooSlow => Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "the request came too slowly, so it was given up; send it again",
            ),
            Self::NoMemory => Refusal::busy(
                "as many images are held in memory as may be; try again when some of them are done",
            ),
            Self::Broken => Refusal::bad_request(
                "broken_request",
                "the request ended before its body did; send it again",
            ),
        };
        refusal.closing()
    }
}

/// What a handler can know of its request's body, whatever read it.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    fault: OnceLock<Fault>,
    held: Mutex<Option<Held>>,
}

impl Watch {
    /// Why the body ended early, if it did.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.0.fault.get().copied()
    }

    /// The memory that the body takes. Whoever keeps its bytes keeps this with them.
    pub(super) fn take_held(&self) -> Option<Held> {
        self.0
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// A request's body under its limits.
pub(super) struct Limited {
    incoming: Incoming,
    watch: Watch,
    memory: Memory,
    limits: Limits,
    received_bytes: u64,
    pause: Pin<Box<Sleep>>,
    whole: Pin<Box<Sleep>>,
}

impl Limited {
    pub(super) fn new(incoming: Incoming, memory: Memory, limits: Limits) -> Self {
        Self {
            incoming,
            watch: Watch::default(),
            memory,
            limits,
            received_bytes: 0,
            pause: Box::pin(sleep(limits.body_pause)),
            whole: Box::pin(sleep(limits.body_timeout)),
        }
    }

    pub(super) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Counts what arrived, against the limit and the memory that all bodies share.
    fn account(&mut self, bytes: u64) -> Result<(), Fault> {
        self.received_bytes += bytes;
        if self.received_bytes > self.limits.body_bytes {
            return Err(Fault::TooLarge {
                limit_bytes: self.limits.body_bytes,
            });
        }
        let mut held = self
            .watch
            .0
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let held_bytes = held.as_ref().map_or(0, Held::bytes);
        if self.received_bytes > held_bytes {
            let more = self
                .memory
                .take(self.received_bytes - held_bytes)
                .ok_or(Fault::NoMemory)?;
            match held.as_mut() {
                Some(held) => held.merge(more),
                None => *held = Some(more),
            }
        }
        Ok(())
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        // The first fault is the one to report.
        self.watch.0.fault.set(fault).ok();
        Poll::Ready(Some(Err(fault)))
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(fault) = self.watch.fault() {
            return Poll::Ready(Some(Err(fault)));
        }
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Err(fault) = self.account(bytes) {
                    return self.fail(fault);
                }
                let next = Instant::now() + self.limits.body_pause;
                self.pause.as_mut().reset(next);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.fail(Fault::Broken),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                if self.whole.as_mut().poll(context).is_pending() {
                    ready!(self.pause.as_mut().poll(context));
                }
                self.fail(Fault::TooSlow)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
