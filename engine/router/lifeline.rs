//! Parts of the engine that must not end before it does: when one does, the engine stops and starts
//! afresh, rather than going on without it.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::event::Event;

/// Held by a thread or task for as long as it runs.
#[derive(Debug)]
pub(crate) struct Lifeline {
    part: &'static str,
    stop: CancellationToken,
    ended: watch::Sender<Option<&'static str>>,
}

/// Hears of a part that ended.
pub(crate) type Ended = watch::Sender<Option<&'static str>>;

impl Lifeline {
    /// For a part that ends in good order once `stop` is cancelled.
    pub(crate) fn new(part: &'static str, stop: &CancellationToken, ended: &Ended) -> Self {
        Self { part, stop: stop.clone(), ended: ended.clone() }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            Event::PartEnded { part: self.part }.emit();
            self.ended.send_replace(Some(self.part));
        }
    }
}

/// For a part that the others can do without for a while: begins it, and begins it again, a little
/// later each time, when it panics, until it ends well or `stop` is cancelled. Each panic is `told`.
pub(crate) async fn revive<F>(stop: &CancellationToken, begin: impl Fn() -> F, told: impl Fn())
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = Backoff::default();
    while let Err(ended) = tokio::spawn(begin()).await {
        if ended.is_cancelled() {
            return;
        }
        told();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff.wait()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_panics_is_told_of_and_begun_again_until_it_ends_well() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let told = Cell::new(0);
        let begin = || async {
            if BEGUN.fetch_add(1, Ordering::Relaxed) < 2 {
                std::panic::resume_unwind(Box::new("a defect"));
            }
        };
        let stop = CancellationToken::new();
        revive(&stop, begin, || told.set(told.get() + 1)).await;
        assert_eq!((BEGUN.load(Ordering::Relaxed), told.get()), (3, 2));
    }

    #[tokio::test]
    async fn what_always_panics_ends_with_the_engine() {
        let stop = CancellationToken::new();
        let begin = || async { std::panic::resume_unwind(Box::new("a defect")) };
        revive(&stop, begin, || stop.cancel()).await;
    }

    #[test]
    fn an_early_end_is_heard_of_and_a_late_one_is_not() {
        let ended = Ended::new(None);
        let stop = CancellationToken::new();
        let lifeline = Lifeline::new("books", &stop, &ended);
        let late = Lifeline::new("delivery", &stop, &ended);
        std::thread::spawn(move || {
            let _lifeline = lifeline;
            std::panic::resume_unwind(Box::new("a defect"));
        })
        .join()
        .unwrap_err();
        assert_eq!(*ended.borrow(), Some("books"));
        stop.cancel();
        ended.send_replace(None);
        drop(late);
        assert_eq!(*ended.borrow(), None);
    }
}
