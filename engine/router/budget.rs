//! One byte budget over all connections, so that many large frames cannot exhaust memory.
//!
//! A connection holds a charge for what it has buffered above a small allowance and for every frame
//! that is not durable yet. When the budget is spent connections wait, which is back-pressure: TCP
//! tells the sender. One connection at a time may exceed the budget, so that a frame larger than
//! what is left can always finish and connections never wait for each other in a circle.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The unit of accounting, in bytes.
const UNIT: usize = 1024;

/// Shared by all sessions; cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    /// The one place beyond the budget.
    exception: Arc<Semaphore>,
}

/// What a connection holds of the budget; given back when dropped.
#[derive(Debug, Default)]
pub struct Charge {
    permits: Option<OwnedSemaphorePermit>,
    units: usize,
    exception: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget of `bytes`, at least one unit.
    pub fn new(bytes: usize) -> Self {
        Self {
            units: Arc::new(Semaphore::new((bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS))),
            exception: Arc::new(Semaphore::new(1)),
        }
    }

    /// Raises `charge` to `bytes`, waiting for room when there is none.
    pub async fn raise(&self, charge: &mut Charge, bytes: usize) {
        let wanted = bytes.div_ceil(UNIT);
        if wanted <= charge.units || charge.exception.is_some() {
            return;
        }
        let more = u32::try_from(wanted - charge.units).unwrap_or(u32::MAX);
        match self.units.clone().try_acquire_many_owned(more) {
            Ok(permits) => charge.add(permits, wanted),
            Err(TryAcquireError::Closed) => {}
            Err(TryAcquireError::NoPermits) => {
                tokio::select! {
                    permits = self.units.clone().acquire_many_owned(more) => {
                        if let Ok(permits) = permits {
                            charge.add(permits, wanted);
                        }
                    }
                    exception = self.exception.clone().acquire_owned() => {
                        charge.exception = exception.ok();
                    }
                }
            }
        }
    }

    /// Bytes that nobody holds.
    pub fn free(&self) -> usize {
        self.units.available_permits() * UNIT
    }
}

impl Charge {
    fn add(&mut self, permits: OwnedSemaphorePermit, units: usize) {
        match &mut self.permits {
            Some(held) => held.merge(permits),
            None => self.permits = Some(permits),
        }
        self.units = units;
    }

    /// Hands the whole charge on, to be kept with a frame until it is durable.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_charge_comes_back_when_dropped() {
        let budget = Budget::new(10 * UNIT);
        let mut charge = Charge::default();
        budget.raise(&mut charge, 9 * UNIT + 1).await;
        assert_eq!(budget.free(), 0);
        drop(charge.take());
        assert_eq!(budget.free(), 10 * UNIT);
    }

    #[tokio::test]
    async fn one_frame_may_exceed_the_budget_and_the_next_waits() {
        let budget = Budget::new(4 * UNIT);
        let mut large = Charge::default();
        budget.raise(&mut large, 100 * UNIT).await;
        let mut second = Charge::default();
        budget.raise(&mut second, 4 * UNIT).await;
        let mut third = Charge::default();
        let waits = budget.raise(&mut third, UNIT).now_or_never();
        assert!(waits.is_none(), "the budget is spent and the exception taken");
        drop(large);
        assert!(budget.raise(&mut third, UNIT).now_or_never().is_some());
    }
}
