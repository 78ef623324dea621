//! What waits behind a parked message, in order: chains of held messages, on disk.
//!
//! A parked (or retrying) message stands in the chains of the keys that it occupies; later messages
//! of those keys join behind it. Every chain is in the order of ids, whatever order they came in:
//! so the lowest id is first everywhere, and no two messages wait for each other.
//!
//! A message *may run* when it is the first of all chains in which it stands. While it runs it stays
//! there, until it is done ([`Held::free`]) or parks itself ([`Held::block`]).
//!
//! In memory: every blocked message, and the first of every chain. What waits further back is a
//! record in a file and one bit here. Nothing here is durable: the chains are built again at every
//! start, from the journal, in its order.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    fmt, io,
    ops::Bound,
    path::Path,
};

use roaring::RoaringTreemap;

use crate::{
    chain::{ChainFile, Record, Slot},
    hold::HoldKey,
    kin::Kin,
    seat::{Gone, Seats},
};

/// Where a message lies in the journal: opaque here.
pub type Place = [u8; 16];

/// The held messages of the engine. Messages are named by their ids.
pub struct Held {
    file: ChainFile,
    chains: HashMap<HoldKey, Chain>,
    /// Those in memory, by seat.
    members: HashMap<u64, Member>,
    /// Seats of all that wait, in memory or not.
    waiting: RoaringTreemap,
    gone: Gone,
    seats: Seats,
    /// Patients' chains in which one message stood together.
    kin: Kin<HoldKey>,
}

/// The messages of one key. Never empty; its first is always in `near`.
#[derive(Default)]
struct Chain {
    /// Seats in memory.
    near: BTreeSet<u64>,
    far: Option<Far>,
}

/// The part of a chain that is in the file, in order of seats.
struct Far {
    first: Slot,
    /// Reserved for the next to join, so that the last record knows already where that will be.
    tail: Slot,
    /// Records, of which some may be of messages that are gone.
    count: u64,
    /// The seat at `first`, where it is known.
    head: Option<u64>,
    last: u64,
}

/// A message in memory.
struct Member {
    place: Place,
    /// Chains where it stands in memory.
    near: Vec<HoldKey>,
    /// Chains where it stands in the file; not known until one of its records was read.
    far: Option<u32>,
    blocked: bool,
}

impl Chain {
    fn len(&self) -> u64 {
        self.near.len() as u64 + self.far.as_ref().map_or(0, |far| far.count)
    }

    /// Whether `seat`, which does not stand here, must be kept in memory here.
    fn must_be_near(&self, seat: u64) -> bool {
        self.near.first().is_none_or(|first| seat < *first)
            || self.far.as_ref().is_some_and(|far| seat < far.last)
    }
}

impl Held {
    /// Nothing is held. A file at `path` is emptied: it is of an earlier run.
    pub fn create(path: &Path) -> io::Result<Held> {
        Ok(Held {
            file: ChainFile::create(path)?,
            chains: HashMap::new(),
            members: HashMap::new(),
            waiting: RoaringTreemap::new(),
            gone: Gone::default(),
            seats: Seats::default(),
            kin: Kin::default(),
        })
    }

    /// Message `id` is parked or retrying: it stands in the chains of `keys`, and where it stood
    /// already, and does not run until [`Self::unblock`]. On an error nothing has changed.
    pub fn block(&mut self, id: u64, place: Place, keys: &[HoldKey]) -> io::Result<()> {
        let Some(seat) = self.seats.of(id) else { return Ok(()) };
        let mut joins: Vec<HoldKey> = Vec::new();
        for key in keys {
            if !joins.contains(key) && !self.stands_in(seat, key)? {
                joins.push(key.clone());
            }
        }
        // Only what waits and was never read is in the file and not among the members.
        let far = if self.waiting.remove(seat) { None } else { Some(0) };
        let new = Member { place, near: Vec::new(), far, blocked: true };
        let member = self.members.entry(seat).or_insert(new);
        member.blocked = true;
        member.place = place;
        for key in &joins {
            self.chains.entry(key.clone()).or_default().near.insert(seat);
        }
        member.near.extend(joins);
        self.unite(keys);
        Ok(())
    }

    /// Whether `id` must wait. If another message occupies any key of `own` or `others`, it joins
    /// the chains of all `own` and of the occupied `others`, and waits unless it is the first in all
    /// of them. If none does, nothing changes.
    ///
    /// A message that stands in the chains of two patients may make them one. So whatever comes
    /// behind it under one name stands in the chains of the other name as well: both rows are one
    /// from there on, and come back as one.
    ///
    /// A message that waits or is blocked stays as it is and waits. One that was given back, and
    /// is now known to have further keys, joins those too. On an error nothing has changed.
    pub fn wait(
        &mut self,
        id: u64,
        place: Place,
        own: &[HoldKey],
        others: &[HoldKey],
    ) -> io::Result<bool> {
        let Some(seat) = self.seats.of(id) else { return Ok(false) };
        if self.waiting.contains(seat) || self.members.get(&seat).is_some_and(|m| m.blocked) {
            return Ok(true);
        }
        if !own.iter().chain(others).any(|key| self.led_by_another(key, seat)) {
            return Ok(false);
        }
        let occupied = others.iter().filter(|key| self.chains.contains_key(key));
        let named: Vec<HoldKey> = own.iter().chain(occupied).cloned().collect();
        let kin = named.iter().flat_map(|key| self.kin.family(key));
        let mut joins: Vec<HoldKey> = Vec::new();
        for key in named.iter().chain(kin) {
            if !joins.contains(key) && !self.is_near(seat, key) {
                joins.push(key.clone());
            }
        }
        // Records of a seat that is gone would be taken for its own: it stays in memory.
        let stays = self.members.contains_key(&seat) || self.gone.contains(seat);
        let (near, far): (Vec<&HoldKey>, Vec<&HoldKey>) = joins.iter().partition(|key| {
            stays || self.chains.get(*key).is_none_or(|chain| chain.must_be_near(seat))
        });
        self.append(seat, place, &far)?;
        if !near.is_empty() {
            let records = Some(u32::try_from(far.len()).unwrap_or(u32::MAX));
            let new = Member { place, near: Vec::new(), far: records, blocked: false };
            let member = self.members.entry(seat).or_insert(new);
            for key in near {
                self.chains.entry(key.clone()).or_default().near.insert(seat);
                member.near.push(key.clone());
            }
        }
        self.unite(&named);
        let waits = !far.is_empty() || !self.is_first(seat);
        if waits {
            self.waiting.insert(seat);
        }
        Ok(waits)
    }

    /// It may run again: released, or tried again. True if nothing stands before it now; otherwise
    /// it waits, and a later [`Self::free`] gives it back. Of a message that is not blocked it only
    /// tells whether anything stands before it.
    pub fn unblock(&mut self, id: u64) -> bool {
        let Some(seat) = self.seats.of(id) else { return false };
        let first = self.is_first(seat);
        let Some(member) = self.members.get_mut(&seat) else { return first };
        if std::mem::take(&mut member.blocked) {
            // An edit that stands nowhere stays a member, so that it keeps its original's place.
            if !first {
                self.waiting.insert(seat);
            } else if member.near.is_empty() && seat == id {
                self.members.remove(&seat);
                self.seats.leave(id);
            }
        }
        first
    }

    /// The message is done: it leaves all its chains, also from the middle. Gives back what may run
    /// now, in order: waiting messages that are first of all their chains. A message that stands
    /// nowhere frees nothing. On an error nothing has changed, and it can be freed again.
    pub fn free(&mut self, id: u64) -> io::Result<Vec<(u64, Place)>> {
        let Some(seat) = self.seats.of(id) else { return Ok(Vec::new()) };
        let leaves = self.members.get(&seat).map_or_else(Vec::new, |member| member.near.clone());
        for key in &leaves {
            self.fetch_next(key, seat)?;
        }
        let records = self.members.remove(&seat).map(|member| member.far);
        let waited = self.waiting.remove(seat);
        match records {
            Some(Some(0)) => {}
            Some(left) => self.gone.add(seat, left),
            None if waited => self.gone.add(seat, None),
            None => {}
        }
        self.seats.leave(id);
        Ok(self.quit(seat, &leaves))
    }

    /// It is parked, and holds back no more than this: as [`Held::block`], and it leaves its other
    /// chains. Gives back what may run now. On an error it may hold back more; then call again.
    pub fn block_only(
        &mut self,
        id: u64,
        place: Place,
        keys: &[HoldKey],
    ) -> io::Result<Vec<(u64, Place)>> {
        self.block(id, place, keys)?;
        let Some(seat) = self.seats.of(id) else { return Ok(Vec::new()) };
        let near = self.members.get(&seat).map_or_else(Vec::new, |member| member.near.clone());
        let leaves: Vec<HoldKey> = near.into_iter().filter(|key| !keys.contains(key)).collect();
        for key in &leaves {
            self.fetch_next(key, seat)?;
        }
        Ok(self.quit(seat, &leaves))
    }

    /// A message that was given back leaves the chain of `key` alone, of which it is the first, and
    /// stays in its others: nobody waits there for it to be done. Gives back what may run now. On an
    /// error nothing has changed.
    pub fn pass(&mut self, id: u64, key: &HoldKey) -> io::Result<Vec<(u64, Place)>> {
        let Some(seat) = self.seats.of(id) else { return Ok(Vec::new()) };
        let runs = self.members.get(&seat).is_some_and(|member| !member.blocked);
        if !runs || self.waiting.contains(seat) || !self.is_near(seat, key) {
            return Ok(Vec::new());
        }
        self.fetch_next(key, seat)?;
        Ok(self.quit(seat, std::slice::from_ref(key)))
    }

    /// Leaves chains in which it stands in memory and whose next is there too. Gives back what may
    /// run now, in order.
    fn quit(&mut self, seat: u64, keys: &[HoldKey]) -> Vec<(u64, Place)> {
        if let Some(member) = self.members.get_mut(&seat) {
            member.near.retain(|near| !keys.contains(near));
        }
        let mut next: BTreeSet<u64> = BTreeSet::new();
        for key in keys {
            let Some(chain) = self.chains.get_mut(key) else { continue };
            chain.near.remove(&seat);
            next.extend(chain.near.first());
            if chain.near.is_empty() {
                self.chains.remove(key);
                self.kin.part(key);
            }
        }
        if self.chains.is_empty() {
            self.file.clear();
            self.gone.clear();
        }
        next.retain(|seat| self.waiting.contains(*seat) && self.is_first(*seat));
        let given = next.into_iter().map(|seat| {
            self.waiting.remove(seat);
            (self.seats.who(seat), self.members[&seat].place)
        });
        given.collect()
    }

    /// The chains of patients in which one message stands are kin. A channel is no patient.
    fn unite(&mut self, keys: &[HoldKey]) {
        let patients: Vec<HoldKey> =
            keys.iter().filter(|key| !matches!(key, HoldKey::Channel(_))).cloned().collect();
        self.kin.unite(&patients);
    }

    /// `new` takes over the place of `old` in all its chains, and whether it is blocked: an
    /// operator's edit. False, and nothing changes, if `old` stands nowhere or `new` does already.
    pub fn replace(&mut self, old: u64, new: u64, place: Place) -> bool {
        let Some(seat) = self.seats.of(old).filter(|seat| self.stands(*seat)) else { return false };
        if self.seats.of(new).map_or(new != seat, |seat| self.stands(seat)) {
            return false;
        }
        self.seats.sit(seat, old, new, place);
        if let Some(member) = self.members.get_mut(&seat) {
            member.place = place;
        }
        true
    }

    /// Whether it waits behind another.
    pub fn is_waiting(&self, id: u64) -> bool {
        self.seats.of(id).is_some_and(|seat| self.waiting.contains(seat))
    }

    /// Whether it is parked or retrying.
    pub fn is_blocked(&self, id: u64) -> bool {
        let member = self.seats.of(id).and_then(|seat| self.members.get(&seat));
        member.is_some_and(|member| member.blocked)
    }

    /// Messages that wait; those that they wait for do not count.
    pub fn waiting(&self) -> u64 {
        self.waiting.len()
    }

    /// How many stand behind `id` in the longest chain of which it is the first. About: a patient has
    /// a chain for each name, and mostly the same messages in each; who waits under one name of
    /// several patients only may not count, and one that left from the middle may count still.
    pub fn behind(&self, id: u64) -> u64 {
        let member = self.seats.of(id).and_then(|seat| Some((seat, self.members.get(&seat)?)));
        let Some((seat, member)) = member else { return 0 };
        let chains = member.near.iter().filter_map(|key| self.chains.get(key));
        let led = chains.filter(|chain| chain.near.first() == Some(&seat));
        led.map(|chain| chain.len() - 1).max().unwrap_or(0)
    }

    /// Entries in memory: occupied keys, and messages that are blocked or first of a chain.
    pub fn in_memory(&self) -> usize {
        self.chains.len() + self.members.len()
    }

    /// Keys that anything occupies.
    pub fn keys(&self) -> usize {
        self.chains.len()
    }

    /// Whether anything stands in the chain of `key`.
    pub fn occupied(&self, key: &HoldKey) -> bool {
        self.chains.contains_key(key)
    }

    /// Whether a message that is blocked stands in the chain of `key`.
    pub fn is_stopped(&self, key: &HoldKey) -> bool {
        let blocked = |seat| self.members.get(seat).is_some_and(|member| member.blocked);
        self.chains.get(key).is_some_and(|chain| chain.near.iter().any(blocked))
    }

    /// Whether this blocked member stands there.
    pub fn is_stopped_by(&self, id: u64, key: &HoldKey) -> bool {
        self.seats.of(id).is_some_and(|seat| self.is_near(seat, key))
    }

    /// Whether a message other than the one at `seat` is the first there.
    fn led_by_another(&self, key: &HoldKey, seat: u64) -> bool {
        self.chains.get(key).is_some_and(|chain| chain.near.first() != Some(&seat))
    }

    fn stands(&self, seat: u64) -> bool {
        self.waiting.contains(seat) || self.members.contains_key(&seat)
    }

    fn is_near(&self, seat: u64, key: &HoldKey) -> bool {
        self.chains.get(key).is_some_and(|chain| chain.near.contains(&seat))
    }

    /// Whether it is the first of all chains where it stands; true if it stands nowhere.
    fn is_first(&self, seat: u64) -> bool {
        let Some(member) = self.members.get(&seat) else { return !self.waiting.contains(seat) };
        let first =
            |key| self.chains.get(key).is_some_and(|c: &Chain| c.near.first() == Some(&seat));
        member.far == Some(0) && member.near.iter().all(first)
    }

    /// Whether it stands in the chain of `key`. The file is read only for a message that is blocked
    /// while it waits, which does not happen to one that runs.
    fn stands_in(&self, seat: u64, key: &HoldKey) -> io::Result<bool> {
        if self.is_near(seat, key) {
            return Ok(true);
        }
        let in_file = match self.members.get(&seat) {
            Some(member) => member.far != Some(0),
            None => self.waiting.contains(seat),
        };
        let Some(far) = self.chains.get(key).and_then(|chain| chain.far.as_ref()) else {
            return Ok(false);
        };
        let mut slot = far.first;
        for _ in 0..if in_file && seat <= far.last { far.count } else { 0 } {
            let record = self.file.read(slot)?;
            if record.seat >= seat {
                return Ok(record.seat == seat);
            }
            slot = record.next;
        }
        Ok(false)
    }

    /// Writes the records of a message that joins the ends of `keys`. Memory changes only when all
    /// are written.
    fn append(&mut self, seat: u64, place: Place, keys: &[&HoldKey]) -> io::Result<()> {
        let copies = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let mut reserved: Vec<Slot> = Vec::new();
        let mut ends: Vec<(Slot, Slot)> = Vec::new();
        let written = keys.iter().try_for_each(|key| {
            let mut reserve = || self.file.reserve().inspect(|slot| reserved.push(*slot));
            let slot = match self.chains.get(key).and_then(|chain| chain.far.as_ref()) {
                Some(far) => far.tail,
                None => reserve()?,
            };
            let next = reserve()?;
            ends.push((slot, next));
            self.file.write(slot, &Record { seat, place, copies, next })
        });
        if let Err(error) = written {
            for slot in reserved {
                self.file.release(slot);
            }
            return Err(error);
        }
        for (key, (slot, next)) in keys.iter().zip(ends) {
            let chain = self.chains.entry((*key).clone()).or_default();
            let new = Far { first: slot, tail: next, count: 0, head: Some(seat), last: seat };
            let far = chain.far.get_or_insert(new);
            far.count += 1;
            far.tail = next;
            far.last = seat;
        }
        Ok(())
    }

    /// Sees to it that the one behind `seat` in the chain of `key` is in memory, if `seat` is the
    /// first there. What was read stays in memory, so an error halfway loses nothing.
    fn fetch_next(&mut self, key: &HoldKey, seat: u64) -> io::Result<()> {
        let Some(chain) = self.chains.get_mut(key) else { return Ok(()) };
        if chain.near.first() != Some(&seat) {
            return Ok(());
        }
        let after = (Bound::Excluded(seat), Bound::Unbounded);
        let second = chain.near.range(after).next().copied();
        while let Some(far) = &mut chain.far {
            let before_head = |head: u64| second.is_some_and(|second| second < head);
            if far.head.is_some_and(before_head) {
                return Ok(());
            }
            let record = self.file.read(far.first)?;
            let gone = self.gone.contains(record.seat);
            if !gone && before_head(record.seat) {
                far.head = Some(record.seat);
                return Ok(());
            }
            self.file.release(far.first);
            (far.first, far.head) = (record.next, None);
            far.count -= 1;
            if far.count == 0 {
                self.file.release(far.tail);
                chain.far = None;
            }
            if gone {
                self.gone.met(&record);
                continue;
            }
            chain.near.insert(record.seat);
            match self.members.entry(record.seat) {
                Entry::Occupied(mut entry) => {
                    let member = entry.get_mut();
                    member.near.push(key.clone());
                    member.far = Some(member.far.unwrap_or(record.copies) - 1);
                }
                Entry::Vacant(entry) => {
                    let place = self.seats.place(record.seat).unwrap_or(record.place);
                    let far = Some(record.copies - 1);
                    entry.insert(Member { place, near: vec![key.clone()], far, blocked: false });
                }
            }
            return Ok(());
        }
        Ok(())
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, members, waiting) = (self.keys(), self.members.len(), self.waiting());
        write!(f, "Held {{ keys: {keys}, in memory: {members}, waiting: {waiting} }}")
    }
}
