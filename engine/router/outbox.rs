//! Delivery to one subscriber by the engine: event after event in publishing order, each until its
//! receipt.
//!
//! It is a cursor over the journal's outcome entries, like the embedded broker: what the other side
//! has not taken stays in the journal, and retention does not pass it.

use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use journal::entry::Position;
use journal::journal::Journal;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::books::Books;
use crate::delivery_plan::DeliveryPlan;
use crate::event::Event;
use crate::feed::{self, Cursor, Found};
use crate::http_post::{Poster, Refusal};
use crate::lifeline::revive;
use crate::outbox_place::Place;
use crate::plan::Current;
use crate::routes::RoutingKey;

/// Events read at once.
const STEP: usize = 64;
/// How long a refused event waits until it is tried again.
const REFUSED: Duration = Duration::from_mins(1);
/// How often it is asked whether a paused channel is resumed.
const PAUSED: Duration = Duration::from_millis(500);
/// How often the place is kept while there is traffic; what was delivered since comes twice after a
/// crash.
const KEEP: Duration = Duration::from_secs(1);

/// One subscriber that the engine delivers to.
#[derive(Debug)]
pub(crate) struct Outbox {
    name: String,
    journal: Journal,
    books: Arc<Books>,
    plan: Arc<Current>,
    place: Place,
    facts: Mutex<Facts>,
    /// The event that a person gave up.
    given_up: Mutex<Option<String>>,
    /// The configuration may be another one.
    pub(crate) changed: Notify,
    pub(crate) stop: CancellationToken,
}

/// How it stands with a subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Everything before is delivered and kept as such.
    pub(crate) kept: Cursor,
    /// Since the subscriber was new.
    pub(crate) delivered: u64,
    /// Events that its form has no room for, and those it refused, since this process started.
    pub(crate) omitted: u64,
    /// Since when the event in hand is tried in vain.
    pub(crate) failing: Option<Timestamp>,
    /// Whether it was refused for good.
    pub(crate) refused: bool,
    /// Which event that is.
    pub(crate) in_hand: Option<InHand>,
    /// What the other side said, without the address.
    pub(crate) trouble: Option<String>,
}

/// The event that is tried in vain.
#[derive(Clone, Debug)]
pub(crate) struct InHand {
    pub(crate) message: u64,
    pub(crate) channel: Arc<str>,
    pub(crate) id: String,
}

/// What became of an event.
enum Done {
    /// It has its receipt, or needs none.
    Yes,
    /// Nothing more is delivered to the subscriber.
    Stopped,
}

impl Outbox {
    /// Takes up where it was; one that is new begins with what comes now.
    pub(crate) fn open(
        name: &str,
        (journal, books): (Journal, Arc<Books>),
        plan: Arc<Current>,
        place: Place,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let end = *journal.durable().borrow();
        let (kept, delivered) = place.open(end)?;
        let (omitted, failing, refused, in_hand, trouble) = (0, None, false, None, None);
        let facts = Facts { kept, delivered, omitted, failing, refused, in_hand, trouble };
        let (name, facts, given_up) = (name.to_owned(), Mutex::new(facts), Mutex::default());
        let changed = Notify::new();
        Ok(Self { name, journal, books, plan, place, facts, given_up, changed, stop })
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves an event out that is in hand; any other is delivered as before.
    pub(crate) fn give_up(&self, id: &str) {
        *self.given_up() = Some(id.to_owned());
        self.changed.notify_one();
    }

    fn given_up(&self) -> MutexGuard<'_, Option<String>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Retention must not go further.
    pub(crate) fn needs(&self) -> Position {
        self.facts().kept.position()
    }

    /// Delivers until stopped. A defect costs a wait and an alarm, not the subscriber its events: it
    /// goes on from the place that was kept.
    pub(crate) async fn run(self: Arc<Self>) {
        let told = || {
            let why = "internal error: report it, with the log".to_owned();
            self.failed(Refusal { why, for_good: false }, None);
        };
        revive(&self.stop, || self.clone().follow(), told).await;
    }

    /// From the place that was kept, until stopped.
    async fn follow(self: Arc<Self>) {
        let mut durable = self.journal.durable();
        let mut cursor = self.facts().kept;
        let mut sender = None;
        let mut kept = Instant::now();
        loop {
            durable.borrow_and_update();
            let journal = self.journal.clone();
            let reading = tokio::task::spawn_blocking(move || feed::found(&journal, cursor, STEP));
            let (found, behind) = unless_panicked(reading.await);
            let nothing = found.is_empty() && behind == cursor;
            if found.is_empty() {
                self.settled();
            }
            for each in found {
                let at = each.cursor;
                if matches!(self.deliver(&each, &mut sender).await, Done::Stopped) {
                    return self.keep(cursor);
                }
                cursor = at;
                if kept.elapsed() >= KEEP {
                    self.keep(cursor);
                    kept = Instant::now();
                }
            }
            cursor = behind;
            if !nothing {
                continue;
            }
            self.keep(cursor);
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = durable.changed() => if changed.is_err() { return },
            }
        }
    }

    /// One event, tried until it is taken.
    async fn deliver(&self, found: &Found, sender: &mut Option<Sender>) -> Done {
        let mut backoff = Backoff::default();
        loop {
            let Some(plan) = self.plan.get().deliveries.get(&self.name).cloned() else {
                return Done::Stopped;
            };
            if self.given_up().take_if(|id| *id == found.event.id).is_some() {
                self.leave_out("a person gave it up");
                return Done::Yes;
            }
            if self.is_paused(&found.channel) {
                self.facts().trouble = Some(format!("channel {} is paused", found.channel));
                tokio::select! {
                    () = self.stop.cancelled() => return Done::Stopped,
                    () = tokio::time::sleep(PAUSED) => continue,
                }
            }
            let key = RoutingKey::parse(&found.event.routing_key);
            if !plan.subscription.wants(&key, Timestamp::now()) {
                self.settled();
                return Done::Yes;
            }
            let body = match plan.form.body(&found.body) {
                Ok(body) => body,
                Err(omitted) => {
                    self.facts().omitted += 1;
                    Event::DeliveryOmitted { subscriber: &self.name, why: omitted.as_str() }.emit();
                    self.settled();
                    return Done::Yes;
                }
            };
            let sender = Sender::of(sender, &plan);
            let posting = tokio::task::spawn_blocking(move || {
                let Sender { plan, poster } = sender;
                poster.post(&plan.url, plan.form.content_type(), &plan.headers, &body)
            });
            let posted = tokio::select! {
                () = self.stop.cancelled() => return Done::Stopped,
                posted = posting => posted,
            };
            let wait = match unless_panicked(posted) {
                Ok(()) => {
                    self.facts().delivered += 1;
                    Event::Delivered { subscriber: &self.name }.emit();
                    self.settled();
                    return Done::Yes;
                }
                Err(Refusal { why, for_good: true }) if plan.skips_refused => {
                    self.leave_out(&why);
                    return Done::Yes;
                }
                Err(refusal) => {
                    let wait = if refusal.for_good { REFUSED } else { backoff.wait() };
                    self.failed(refusal, Some(found));
                    wait
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return Done::Stopped,
                () = self.changed.notified() => backoff.reset(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Whether a person stopped the delivery of the channel. Later events of others wait as well: to
    /// its subscriber they may be about the same patient.
    fn is_paused(&self, channel: &str) -> bool {
        self.books.ask(|ledger| ledger.paused.get(channel).is_some_and(|paused| paused.delivery))
    }

    /// Nothing stands in the way any more.
    fn settled(&self) {
        let mut facts = self.facts();
        (facts.failing, facts.refused, facts.trouble) = (None, false, None);
        facts.in_hand = None;
    }

    fn leave_out(&self, why: &str) {
        self.facts().omitted += 1;
        Event::DeliverySkipped { subscriber: &self.name, why }.emit();
        self.settled();
    }

    fn failed(&self, refusal: Refusal, of: Option<&Found>) {
        let Refusal { why, for_good } = refusal;
        let mut facts = self.facts();
        let first = facts.trouble.as_ref() != Some(&why);
        Event::DeliveryFailed { subscriber: &self.name, why: &why, for_good, first }.emit();
        facts.failing.get_or_insert_with(Timestamp::now);
        (facts.refused, facts.trouble) = (for_good, Some(why));
        facts.in_hand = of.map(|found| InHand {
            message: found.message,
            channel: found.channel.clone(),
            id: found.event.id.clone(),
        });
    }

    /// On a full disk it is told and goes on: what was delivered since comes twice after a crash. A
    /// subscriber that is gone is forgotten, and begins anew if it comes back.
    fn keep(&self, cursor: Cursor) {
        if !self.plan.get().deliveries.contains_key(&self.name) {
            return;
        }
        let delivered = {
            let facts = self.facts();
            if facts.kept == cursor {
                return;
            }
            facts.delivered
        };
        match self.place.keep(cursor, delivered) {
            Ok(()) => self.facts().kept = cursor,
            Err(error) => Event::PlaceUnwritable { subscriber: &self.name, error: &error }.emit(),
        }
    }
}

/// What a blocking part came to; its panic goes on here.
fn unless_panicked<T>(ended: Result<T, JoinError>) -> T {
    // Only a runtime that ends drops what it was given.
    let panic = |error: JoinError| error.try_into_panic().unwrap_or_else(|ends| Box::new(ends));
    ended.unwrap_or_else(|error| resume_unwind(panic(error)))
}

/// How to reach the subscriber; made anew when that changes.
#[derive(Clone, Debug)]
struct Sender {
    plan: Arc<DeliveryPlan>,
    poster: Poster,
}

impl Sender {
    fn of(known: &mut Option<Self>, plan: &Arc<DeliveryPlan>) -> Self {
        let same = known.as_ref().is_some_and(|known| known.plan == *plan);
        if !same {
            let poster = Poster::new(&plan.url, plan.timeout);
            *known = Some(Self { plan: plan.clone(), poster });
        }
        known.clone().expect("it was just made")
    }
}
