//! Who waits to hear what became of a message: sessions of channels whose AA waits for more than the
//! disk. Nobody else ever comes here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::entry::MessageId;
use tokio::sync::oneshot;

/// Those who wait, by message. A message that was published, filtered, parked, held back or known as
/// a copy is told once; who waits for something else waits in vain, and gives up by itself.
#[derive(Clone, Debug, Default)]
pub struct Fates(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<u64, oneshot::Sender<()>>,
    /// How many do not know the id of their message yet, by the lowest that it may be.
    coming: BTreeMap<u64, usize>,
    /// Told before who waits knew the id. None is below what may still come.
    told: BTreeSet<u64>,
}

/// Somebody whose message is on its way to the disk.
#[derive(Debug)]
pub struct Coming {
    fates: Fates,
    from: u64,
}

/// Somebody who waits.
#[derive(Debug)]
pub struct Awaited {
    fates: Fates,
    id: u64,
    told: oneshot::Receiver<()>,
}

impl Fates {
    /// To be called before the message is handed to the journal, whose next id is `from`.
    pub fn expect(&self, from: MessageId) -> Coming {
        *self.inner().coming.entry(from.0).or_default() += 1;
        Coming { fates: self.clone(), from: from.0 }
    }

    /// Tells whoever waits for the message, now or in a moment.
    pub fn tell(&self, id: MessageId) {
        let mut inner = self.inner();
        if let Some(waiting) = inner.waiting.remove(&id.0) {
            // Who no longer listens has answered already.
            let _unheard = waiting.send(());
        } else if inner.coming.first_key_value().is_some_and(|(from, _)| *from <= id.0) {
            inner.told.insert(id.0);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coming {
    /// The message is durable and has this id.
    pub fn of(self, id: MessageId) -> Awaited {
        let (tell, told) = oneshot::channel();
        let mut inner = self.fates.inner();
        if inner.told.remove(&id.0) {
            let _heard = tell.send(());
        } else {
            inner.waiting.insert(id.0, tell);
        }
        drop(inner);
        Awaited { fates: self.fates.clone(), id: id.0, told }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut inner = self.fates.inner();
        if let Some(count) = inner.coming.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                inner.coming.remove(&self.from);
            }
        }
        let lowest = inner.coming.first_key_value().map(|(from, _)| *from);
        // Nobody comes for what is below.
        inner.told = lowest.map(|from| inner.told.split_off(&from)).unwrap_or_default();
    }
}

impl Awaited {
    /// Until it is told.
    pub async fn told(&mut self) {
        // Only this drops the other end unsaid, which it cannot while it waits.
        drop((&mut self.told).await);
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.fates.inner().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn is_told(awaited: &mut Awaited) -> bool {
        awaited.told().now_or_never().is_some()
    }

    fn is_empty(fates: &Fates) -> bool {
        let inner = fates.inner();
        inner.waiting.is_empty() && inner.coming.is_empty() && inner.told.is_empty()
    }

    #[test]
    fn who_waits_is_told_whether_the_news_comes_before_or_after() {
        let fates = Fates::default();
        let (one, two) = (fates.expect(MessageId(5)), fates.expect(MessageId(5)));
        fates.tell(MessageId(6));
        let mut one = one.of(MessageId(5));
        let mut two = two.of(MessageId(6));
        assert!(!is_told(&mut one) && is_told(&mut two));
        fates.tell(MessageId(5));
        assert!(is_told(&mut one));
        drop((one, two));
        assert!(is_empty(&fates));
    }

    #[test]
    fn what_nobody_waits_for_is_not_kept() {
        let fates = Fates::default();
        fates.tell(MessageId(1));
        assert!(is_empty(&fates), "nobody comes");
        let (early, late) = (fates.expect(MessageId(2)), fates.expect(MessageId(4)));
        for id in 1..=5 {
            fates.tell(MessageId(id));
        }
        assert_eq!(fates.inner().told, BTreeSet::from([2, 3, 4, 5]));
        drop(early);
        assert_eq!(fates.inner().told, BTreeSet::from([4, 5]));
        let gave_up = late.of(MessageId(7));
        assert_eq!(fates.inner().told, BTreeSet::new());
        drop(gave_up);
        assert!(is_empty(&fates));
        fates.tell(MessageId(7));
        assert!(is_empty(&fates));
    }
}
