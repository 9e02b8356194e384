//! Work on a thread of its own, or here in the end when the system gives no thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Result, Scope, ScopedJoinHandle};

/// Work that was begun, or waits to be done.
pub enum Beside<'scope, F, T> {
    /// It runs on a thread.
    Thread(ScopedJoinHandle<'scope, Option<T>>),
    /// It is done when its outcome is asked for.
    Waits(Arc<Mutex<Option<F>>>),
}

impl<'scope, F, T> Beside<'scope, F, T>
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    /// Begins the work beside the caller, if a thread can be had.
    pub fn begin(scope: &'scope Scope<'scope, '_>, work: F) -> Self {
        let waits = Arc::new(Mutex::new(Some(work)));
        let taken = Arc::clone(&waits);
        match Builder::new().spawn_scoped(scope, move || run(&taken)) {
            Ok(thread) => Self::Thread(thread),
            Err(_) => Self::Waits(waits),
        }
    }

    /// What the work comes to.
    ///
    /// # Errors
    /// When its thread panicked.
    pub fn join(self) -> Result<T> {
        let done = match self {
            Self::Thread(thread) => thread.join()?,
            Self::Waits(work) => run(&work),
        };
        done.ok_or_else(|| Box::new("the work is done only once") as _)
    }
}

fn run<T>(work: &Mutex<Option<impl FnOnce() -> T>>) -> Option<T> {
    let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
    work.map(|work| work())
}
