//! The threads that follow the journal beside the line: each keeps something that is made of it.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use journal::entry::Position;
use tokio::runtime::Handle as Runtime;
use tokio_util::sync::CancellationToken;

use crate::books::Books;
use crate::chronicle::Chronicle;
use crate::delivery::Delivery;
use crate::ledger::Ledger;
use crate::lifeline::{Ended, Lifeline};
use crate::outboxes::Outboxes;
use crate::patients::Patients;
use crate::plan::Current;
use crate::priority;
use crate::publish::Publisher;

/// What is kept.
pub(crate) struct Keepers {
    pub(crate) books: Arc<Books>,
    pub(crate) chronicle: Arc<Chronicle>,
    pub(crate) patients: Arc<Patients>,
    pub(crate) outboxes: Arc<Outboxes>,
    pub(crate) plan: Arc<Current>,
}

impl Keepers {
    /// Starts the reader of the line from the books at start, and whoever follows it.
    pub(crate) fn start<P: Publisher>(
        self,
        delivery: &Arc<Delivery<P>>,
        ledger: Ledger,
        reading_stop: &CancellationToken,
        stop: &CancellationToken,
        ended: &Ended,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let Self { books, chronicle, patients, outboxes, plan } = self;
        let runtime = Runtime::current();
        let follow =
            |name: &'static str, work: Box<dyn FnOnce(Runtime, CancellationToken) + Send>| {
                let (runtime, token) = (runtime.clone(), stop.clone());
                thread(name, Lifeline::new(name, stop, ended), move || work(runtime, token))
            };
        let reading = {
            let delivery = delivery.clone();
            let lifeline = Lifeline::new("delivery", reading_stop, ended);
            thread("delivery", lifeline, move || delivery.read(&ledger))?
        };
        let (delivery, read, copied) = (delivery.clone(), chronicle.clone(), patients.clone());
        let keeping = move |runtime: Runtime, stop: CancellationToken| {
            // From where on anybody still needs the journal.
            let needed = || {
                let undelivered = outboxes.needs().unwrap_or(Position::END);
                read.caught_up().then(|| copied.needed().min(undelivered))
            };
            books.follow(&runtime, &stop, &|| delivery.mark(), &needed);
        };
        let copying = patients.clone();
        Ok(vec![
            reading,
            follow("books", Box::new(keeping))?,
            follow(
                "archive",
                Box::new(move |runtime, stop| {
                    priority::give_way();
                    chronicle.follow(&runtime, &stop, &|| plan.get().archive);
                }),
            )?,
            follow("identity", Box::new(move |runtime, stop| patients.follow(&runtime, &stop)))?,
            follow(
                "identity-copies",
                Box::new(move |runtime, stop| {
                    priority::give_way();
                    copying.keep_copies(&runtime, &stop);
                }),
            )?,
        ])
    }
}

fn thread(
    name: &str,
    lifeline: Lifeline,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let run = move || {
        let _lifeline = lifeline;
        run();
    };
    Builder::new().name(name.to_owned()).spawn(run)
}
