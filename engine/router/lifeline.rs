//! Parts of the engine that must not end before it does: when one does, the engine stops and starts
//! afresh, rather than going on without it.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

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

#[cfg(test)]
mod tests {
    use super::*;

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
