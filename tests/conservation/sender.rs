//! The sending side: several connections, each stop-and-wait, each with patients of its own. What
//! has no answer is sent again, the same bytes, until it has one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::facts::{History, Kind, Moment, Parcel, SUBSCRIBERS};
use super::world::{CHANNELS, Patient};
use crate::harness::sender::{Reply, TestSender};

const CONNECTIONS: usize = 6;
/// Patients of one connection whose messages all flow.
const PATIENTS: usize = 10;
/// Which of these has records that become one with it, and which one's whereabouts are protected now and
/// then.
const MERGED: usize = 8;
const GUARDED: usize = 9;
/// How long an answer may take before the connection is given up.
const ANSWER: Duration = Duration::from_secs(5);
/// Nothing is listening: how long until the next attempt to connect.
const RETRY: Duration = Duration::from_millis(50);

/// What all threads of a run share.
#[derive(Debug)]
pub(crate) struct Run {
    begun: Instant,
    history: Mutex<History>,
    /// Where the listeners are, while the engine runs.
    listeners: Mutex<Option<[String; 2]>>,
    /// New messages are no longer begun; what is on its way is answered.
    finish: AtomicBool,
    /// Nothing more is to come: senders give up too.
    over: AtomicBool,
    /// When the latest positive answer came, and the longest time without one, in milliseconds.
    answered: AtomicU64,
    silence: AtomicU64,
    pub(crate) resent: AtomicU64,
    pub(crate) cut: AtomicU64,
    bell: (Mutex<()>, Condvar),
}

impl Run {
    pub(crate) fn new() -> Arc<Self> {
        let arrivals = vec![Vec::new(); SUBSCRIBERS.len()];
        let history = History { arrivals, ..History::default() };
        Arc::new(Self {
            begun: Instant::now(),
            history: Mutex::new(history),
            listeners: Mutex::new(None),
            finish: AtomicBool::new(false),
            over: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            silence: AtomicU64::new(0),
            resent: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            bell: (Mutex::new(()), Condvar::new()),
        })
    }

    pub(crate) fn now(&self) -> Moment {
        self.begun.elapsed()
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().expect("no thread fails while it writes")
    }

    pub(crate) fn listeners_are(&self, listeners: Option<[String; 2]>) {
        *self.listeners.lock().expect("a plain value") = listeners;
    }

    pub(crate) fn finish(&self) {
        self.finish.store(true, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.bell.1.notify_all();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The longest time in which no message at all was answered.
    pub(crate) fn longest_silence(&self) -> Duration {
        Duration::from_millis(self.silence.load(Ordering::Relaxed))
    }

    /// Waits that long, or until the run is over.
    pub(crate) fn pause(&self, length: Duration) {
        let deadline = Instant::now() + length;
        let mut guard = self.bell.0.lock().expect("holds nothing");
        while !self.is_over() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            guard = self.bell.1.wait_timeout(guard, left).expect("holds nothing").0;
        }
    }

    fn answer(&self) {
        let now = u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX);
        let last = self.answered.swap(now, Ordering::Relaxed);
        self.silence.fetch_max(now.saturating_sub(last), Ordering::Relaxed);
    }
}

/// Starts all connections; each sends about `rate` messages a second.
pub(crate) fn start(run: &Arc<Run>, seed: u64, rate: u64) -> Vec<JoinHandle<()>> {
    (0..CONNECTIONS)
        .map(|number| {
            let line = Line::new(run.clone(), seed, number);
            let pace = Duration::from_micros(1_000_000 / rate.max(1));
            std::thread::spawn(move || line.work(pace))
        })
        .collect()
}

/// A record under a hospital number of its own, until it is merged; then there is another one.
#[derive(Clone, Copy, Default)]
struct Other {
    generation: usize,
    /// Something was sent under its number.
    known: bool,
    merged: bool,
}

/// What a message says besides its kind.
#[derive(Clone, Default)]
struct Says {
    /// The other hospital number: under which it is sent, or which is merged.
    former: Option<String>,
    /// Whose messages it is in order with, if not the patient's own.
    of_former: bool,
    protected: bool,
}

/// One connection and its patients.
struct Line {
    run: Arc<Run>,
    random: fastrand::Rng,
    channel: usize,
    /// Patient, and sequence and kind of its latest message.
    patients: Vec<(Patient, u32, Kind)>,
    /// The last of these are for what parks, and what follows it is held.
    poisoned: usize,
    /// Whether the patient with several records is known, and the other record.
    known: bool,
    other: Other,
    /// Whether the one patient's whereabouts are protected.
    protected: bool,
    socket: Option<TestSender>,
}

impl Line {
    fn new(run: Arc<Run>, seed: u64, number: usize) -> Self {
        let patients: Vec<_> =
            (0..PATIENTS + 3).map(|place| (Patient::new(number, place), 0, Kind::Plain)).collect();
        let random = fastrand::Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(number as u64));
        let channel = patients[0].0.channel;
        let (known, other, protected) = (false, Other::default(), false);
        Self {
            run,
            random,
            channel,
            patients,
            poisoned: PATIENTS,
            known,
            other,
            protected,
            socket: None,
        }
    }

    fn work(mut self, pace: Duration) {
        while !self.run.finish.load(Ordering::Relaxed) && !self.run.is_over() {
            let begun = Instant::now();
            let (parcel, text) = self.next();
            self.carry(parcel, text.as_bytes());
            self.run.pause(pace.saturating_sub(begun.elapsed()));
        }
    }

    /// Decides what is sent next and enters it in the history.
    fn next(&mut self) -> (usize, String) {
        let kind = match self.random.u32(0..1000) {
            0..10 => Kind::Parked,
            10..14 => Kind::Thrown,
            14..24 => Kind::Unknown,
            24..34 => Kind::Nobody,
            34..44 => Kind::Stranger,
            44..50 => Kind::Garbled,
            50..100 => Kind::Filtered,
            100..250 => Kind::Twofold,
            _ => Kind::Plain,
        };
        let whose = match kind {
            // One is for messages that must leave no trace, so that a trace can only be theirs.
            Kind::Stranger | Kind::Garbled | Kind::Nobody => self.patients.len() - 1,
            Kind::Parked | Kind::Thrown => self.poisoned + self.random.usize(0..2),
            _ if self.random.u32(0..20) == 0 => self.poisoned + self.random.usize(0..2),
            _ => self.random.usize(0..self.poisoned),
        };
        let flows = matches!(kind, Kind::Plain | Kind::Twofold);
        let (kind, says) = match whose {
            MERGED if flows => self.under_either_number(kind),
            GUARDED if flows => self.protected_or_not(kind),
            GUARDED => (kind, Says { protected: self.protected, ..Says::default() }),
            _ => (kind, Says::default()),
        };
        let (patient, sequence, last) = &mut self.patients[whose];
        let last = std::mem::replace(last, kind);
        *sequence += 1;
        let own = format!("{}N{sequence}", patient.number);
        // Now and then a sender counts wrongly: an id that was used before, with other content.
        let both_plain = [last, kind] == [Kind::Plain; 2] && *sequence > 1;
        let wrong = both_plain && self.random.u32(0..100) == 0;
        let control_id = if wrong { format!("{}N{}", patient.number, *sequence - 1) } else { own };
        let Says { former, of_former, protected } = says;
        let text = patient.message(kind, &control_id, *sequence, former.as_deref());
        let whose = former.clone().filter(|_| of_former);
        let parcel = Parcel {
            label: patient.label(*sequence),
            control_id,
            patient: whose.unwrap_or_else(|| patient.number.clone()),
            sequence: *sequence,
            kind,
            joins: former.filter(|_| kind == Kind::Merge),
            restricted: protected,
            first_sent: self.run.now(),
            sent: 0,
            accepted: 0,
            refused: 0,
        };
        let mut history = self.run.history();
        history.parcels.push(parcel);
        (history.parcels.len() - 1, text)
    }

    /// Under the patient's own number or that of the other record, before and after these are one.
    fn under_either_number(&mut self, kind: Kind) -> (Kind, Says) {
        let roll = self.random.u32(0..6);
        // The first message makes the patient known, so that a merge has nothing else to tell.
        let is_first = !std::mem::replace(&mut self.known, true);
        if is_first || roll > 3 {
            return (kind, Says::default());
        }
        let merges = roll == 0 && self.other.known && !self.other.merged;
        if roll == 0 && self.other.merged {
            let generation = self.other.generation + 1;
            self.other = Other { generation, ..Other::default() };
        }
        let former = Some(self.patients[MERGED].0.former(self.other.generation));
        let of_former = !merges && !self.other.merged;
        (self.other.known, self.other.merged) = (true, self.other.merged || merges);
        (if merges { Kind::Merge } else { kind }, Says { former, of_former, protected: false })
    }

    /// Now and then its whereabouts are protected from now on, or no more.
    fn protected_or_not(&mut self, kind: Kind) -> (Kind, Says) {
        let changes = self.random.u32(0..6) == 0;
        self.protected ^= changes;
        let kind = match (changes, self.protected) {
            (false, _) => kind,
            (true, true) => Kind::Raised,
            (true, false) => Kind::Lowered,
        };
        (kind, Says { protected: self.protected, ..Says::default() })
    }

    /// Sends until there is an answer; now and then once more after that.
    fn carry(&mut self, parcel: usize, text: &[u8]) {
        let mut attempts = 0;
        while !self.attempt(parcel, text) {
            if self.run.is_over() {
                return;
            }
            attempts += 1;
            self.run.resent.fetch_add(1, Ordering::Relaxed);
        }
        if attempts == 0 && self.random.u32(0..50) == 0 {
            // A duplicate is a message like any other: it must be answered.
            while !self.attempt(parcel, text) && !self.run.is_over() {}
        }
    }

    /// One sending; true when it was answered.
    fn attempt(&mut self, parcel: usize, text: &[u8]) -> bool {
        let Some(mut socket) = self.socket.take().or_else(|| self.connect()) else {
            self.run.pause(RETRY);
            return false;
        };
        let mut frame = vec![0x0b];
        frame.extend_from_slice(text);
        frame.extend([0x1c, b'\r']);
        let (cut, half) = (self.random.u32(0..100) == 0, self.random.u32(0..200) == 0);
        if half {
            // A half frame is no message; nothing may come of it.
            let _gone = socket.send_bytes(&frame[..frame.len() / 2]);
            self.run.cut.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.run.history().parcels[parcel].sent += 1;
        if socket.send_bytes(&frame).is_err() {
            return false;
        }
        if cut {
            // The connection ends between the append and the acknowledgement.
            self.run.cut.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let Reply::Ack(ack) = socket.reply(ANSWER) else { return false };
        let mut history = self.run.history();
        let parcel = &mut history.parcels[parcel];
        match ack.code.as_str() {
            "AA" if ack.control_id == parcel.control_id => {
                parcel.accepted += 1;
                drop(history);
                self.run.answer();
            }
            _ => parcel.refused += 1,
        }
        self.socket = Some(socket);
        true
    }

    fn connect(&self) -> Option<TestSender> {
        let listeners = self.run.listeners.lock().expect("a plain value").clone()?;
        debug_assert!(self.channel < CHANNELS.len());
        TestSender::try_connect(&listeners[self.channel]).ok()
    }
}
