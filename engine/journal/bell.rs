//! How the thread that packs volumes is woken and stopped.

use std::{
    mem,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Wakes and stops the thread.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Held by whoever packs.
    turn: Mutex<()>,
    rung: Mutex<bool>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Bell {
    /// Waits until nobody else packs.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that there may be something to pack.
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.ring();
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Waits for the bell, or a while after something failed.
    pub(crate) fn wait(&self, again: Option<Duration>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |rung: &mut bool| !mem::take(rung);
        match again {
            None => drop(self.changed.wait_while(rung, quiet)),
            Some(again) => drop(self.changed.wait_timeout_while(rung, again, quiet)),
        }
    }
}
