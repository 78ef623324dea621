//! The one thread that writes batches.

use std::{io, sync::Arc, thread};

use crate::{
    entry::{MessageId, Position},
    format::{BatchHeader, HEADER, UNIT, VolumeHeader, checksum, units},
    queue::{AppendError, Appended, Group, Job, Whose},
    report::Failure,
    store::{Frontier, Store},
    volume::{Current, Place, Volume},
};

/// Memory kept between batches.
const BUFFER: usize = 8 << 20;

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Arc<Store>,
    current: Option<Current>,
    buffer: Vec<u8>,
}

/// Why a batch was not written.
enum Trouble {
    /// There is no volume with room for it.
    Full,
    /// The disk failed.
    Disk(&'static str, io::Error),
}

impl Writer {
    /// A writer that goes on in `current`, at its end.
    pub(crate) fn new(store: Arc<Store>, current: Option<Current>) -> Writer {
        Writer { store, current, buffer: Vec::new() }
    }

    /// Writes what the queue gives until it is closed; the body of the thread.
    pub(crate) fn run(mut self) {
        let _watch = Deathwatch(Arc::clone(&self.store));
        while let Some(group) = self.store.queue.take() {
            self.commit(group);
        }
    }

    /// Makes one group durable and answers it.
    fn commit(&mut self, group: Group) {
        let mut answers = self.decide(&group.jobs);
        while let Some(Trouble::Full) = self.attempt(&group.jobs, &mut answers) {
            // First without the new messages, which may not use what the records may.
            let refused = |job: &Job, any: bool| any || job.whose == Whose::New;
            let any = !kept(&group.jobs, &answers).any(|(_, job)| job.whose == Whose::New);
            for (answer, job) in answers.iter_mut().zip(&group.jobs) {
                if *answer == Ok(WRITE) && refused(job, any) {
                    *answer = Err(AppendError::Full);
                    self.refuse(job);
                }
            }
        }
        group.complete(answers);
    }

    /// Writes what is to be written of a group. Trouble with the disk is told to everybody.
    fn attempt(&mut self, jobs: &[Job], answers: &mut [Appended]) -> Option<Trouble> {
        let size: usize = kept(jobs, answers).map(|(_, job)| job.draft.size()).sum();
        if size == 0 {
            return None;
        }
        let trouble =
            self.write(jobs, answers, (HEADER + size).next_multiple_of(HEADER) as u64).err()?;
        if let Trouble::Disk(doing, error) = &trouble {
            self.store.fail(Failure { doing, error: error.to_string() });
            answers.fill(Err(AppendError::Failed));
        }
        Some(trouble)
    }

    /// Which jobs are to be written (their answer is good so far, and to be filled in), and what
    /// the others are told.
    fn decide(&self, jobs: &[Job]) -> Vec<Appended> {
        let mut intake = self.store.space.intake_room().saturating_sub(UNIT);
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let size = job.draft.size() as u64;
            answers.push(match job.whose {
                Whose::New if size > intake => {
                    // Nor may a smaller one pass it: a sender's messages stay in their order.
                    intake = 0;
                    self.refuse(job);
                    Err(AppendError::Full)
                }
                Whose::New => {
                    intake -= size;
                    Ok(WRITE)
                }
                Whose::Carried(id) if self.settled_by_now(id, jobs) => Ok(NEEDLESS),
                Whose::Carried(_) | Whose::Record(_) => Ok(WRITE),
            });
        }
        answers
    }

    /// A copy may only be written while its message is unsettled, or the copy would outlive what
    /// settles it. Nothing but this thread settles, so the answer stays true while it writes.
    fn settled_by_now(&self, id: MessageId, jobs: &[Job]) -> bool {
        let in_this_batch = |job: &Job| job.draft.settles && job.whose == Whose::Record(id);
        jobs.iter().any(in_this_batch) || self.store.ledger().is_settled(id)
    }

    fn refuse(&self, job: &Job) {
        if job.whose == Whose::New {
            self.store.space.refuse_intake();
        }
    }

    /// Writes the jobs that are to be written as one batch of `size` bytes.
    fn write(&mut self, jobs: &[Job], answers: &mut [Appended], size: u64) -> Result<(), Trouble> {
        let intake = kept(jobs, answers).any(|(_, job)| job.whose == Whose::New);
        let (volume, file) = self.volume_for(size, intake)?;
        let at = volume.end();
        let first_id = self.store.next_id();
        let next_id = self.encode(jobs, answers, &volume, at, first_id);
        let written = self.seal(&volume, answers, first_id);
        file.write_at(&self.buffer, at)
            .map_err(|error| Trouble::Disk("write to its volume", error))?;
        file.sync().map_err(|error| Trouble::Disk("sync its volume", error))?;

        volume.note(at + size, written);
        let mut ledger = self.store.ledger();
        for (answer, job) in kept(jobs, answers) {
            let draft = &job.draft;
            ledger.note(draft.kind, answer.0, draft.settles, answer.1, draft.origin);
        }
        drop(ledger);
        self.store.space.note_current(volume.size - volume.end());
        let durable = Position { volume: volume.id, batch: units(at + size), entry: 0 };
        let next_batch = self.store.frontier().next_batch + 1;
        self.store.publish(next_id, Frontier { next_batch, durable });
        if at == UNIT {
            // From now on the volume before is sealed for good.
            self.store.packing.ring();
        }
        if self.buffer.capacity() > BUFFER {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Puts the entries behind the room for the header, and notes where each will lie. Answers
    /// the next id after them.
    fn encode(
        &mut self,
        jobs: &[Job],
        answers: &mut [Appended],
        volume: &Volume,
        at: u64,
        first_id: u64,
    ) -> u64 {
        let mut next_id = first_id;
        self.buffer.clear();
        self.buffer.resize(HEADER, 0);
        for (answer, job) in answers.iter_mut().zip(jobs) {
            if *answer != Ok(WRITE) {
                continue;
            }
            let id = match job.whose {
                Whose::New => {
                    next_id += 1;
                    MessageId(next_id - 1)
                }
                Whose::Record(id) | Whose::Carried(id) => id,
            };
            let entry = u32::try_from(self.buffer.len()).unwrap_or(u32::MAX);
            job.draft.encode(id.0, volume.id, &mut self.buffer);
            *answer = Ok((id, Position { volume: volume.id, batch: units(at), entry }));
        }
        next_id
    }

    /// Fills in the header and the padding. Answers the time it states.
    fn seal(&mut self, volume: &Volume, answers: &[Appended], first_id: u64) -> u64 {
        let number = self.store.frontier().next_batch;
        let body = self.buffer.get(HEADER..).unwrap_or_default();
        let count = answers.iter().flatten().filter(|(_, at)| at.volume == volume.id).count();
        let header = BatchHeader {
            volume: volume.id,
            number,
            durable_up_to: number - 1,
            first_id,
            written: self.store.settings.clock.milliseconds(),
            length: u32::try_from(body.len()).unwrap_or(u32::MAX),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            body_crc: checksum(volume.id, body),
        };
        if let Some(place) = self.buffer.first_chunk_mut::<HEADER>() {
            *place = header.encode();
        }
        self.buffer.resize(self.buffer.len().next_multiple_of(HEADER), 0);
        header.written
    }

    /// The volume that takes a batch of `size` bytes, put to use if it was a spare. With new messages
    /// in it (`intake`) it may not take the last spare.
    fn volume_for(&mut self, size: u64, intake: bool) -> Result<Current, Trouble> {
        if let Some(current) = self.current.as_ref().filter(|(v, _)| v.end() + size <= v.size) {
            return Ok(current.clone());
        }
        let spare = self.store.space.take(UNIT + size, intake).ok_or(Trouble::Full)?;
        let header = VolumeHeader {
            id: spare.id,
            first_batch: self.store.frontier().next_batch,
            first_id: self.store.next_id(),
            size: spare.size,
        };
        // On its own and synced: so a spare whose header says unused is blank for certain.
        spare
            .file
            .write_at(&header.encode(), 0)
            .and_then(|()| spare.file.sync())
            .map_err(|error| Trouble::Disk("begin a volume", error))?;
        let volume = Arc::new(Volume::raw(&header, Place::Raw));
        self.store.volumes.insert(Arc::clone(&volume));
        let current = (volume, spare.file);
        self.current = Some(current.clone());
        Ok(current)
    }
}

/// The answer of a job that is to be written and has no place yet: no entry ever gets it.
const WRITE: (MessageId, Position) =
    (MessageId::NONE, Position { volume: 0, batch: 0, entry: u32::MAX });

/// The answer of a copy that nobody needs any more.
const NEEDLESS: (MessageId, Position) = (MessageId::NONE, Position::START);

/// The jobs that are written, with their answers.
fn kept<'a>(
    jobs: &'a [Job],
    answers: &'a [Appended],
) -> impl Iterator<Item = ((MessageId, Position), &'a Job)> {
    let written = |(answer, job): (&Appended, &'a Job)| {
        answer.ok().filter(|place| *place != NEEDLESS).map(|place| (place, job))
    };
    answers.iter().zip(jobs).filter_map(written)
}

/// Stops the journal should the writer ever panic, so that nobody waits for it for ever.
struct Deathwatch(Arc<Store>);

impl Drop for Deathwatch {
    fn drop(&mut self) {
        if thread::panicking() {
            let error = String::from("its writer panicked");
            self.0.fail(Failure { doing: "go on", error });
        }
    }
}
