//! Sightings on disk: files to which they are appended, `seen-1`, `seen-2` and so on.
//!
//! ```text
//! file     = "TLSEEN1\n" record*
//! record   = 1 name u64 content u64 id u64 received_ms i64     a sighting, 33 bytes
//!          | 2 id u64                                          its original is void, 9 bytes
//! ```
//!
//! Little endian. A file is valid up to the length that a mark names, with the checksum named there
//! (CRC-32C of the whole). What another mark may name is never written over and not soon removed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::sightings::Sighting;

const MAGIC: &[u8; 8] = b"TLSEEN1\n";

/// A file this long is not appended to any more: 254,000 sightings.
const FULL: u64 = 8 << 20;

/// Bytes of a sighting's record.
const NOTED: usize = 33;

/// A file that the marks name no longer is removed when so many more were made. Two checkpoints are
/// kept, and one may have failed.
const MARKS_KEPT: u32 = 3;

/// Why the window of duplicates cannot be taken up again. In every case it is built anew from the
/// journal.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SeenError {
    #[error("{path}: the folder of the window of duplicates cannot be used: {source}")]
    Folder { path: PathBuf, source: io::Error },
    #[error(
        "{path}: the checkpoint names this file of the window of duplicates, and it cannot be read: {source}"
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{path}: the checkpoint names {wanted} bytes of this file of the window of duplicates, and it has {found}"
    )]
    Short { path: PathBuf, wanted: u64, found: u64 },
    #[error("{path}: this file of the window of duplicates is damaged")]
    Corrupt { path: PathBuf },
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Noted(Sighting),
    Void(u64),
}

/// How much of a file is valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileMark {
    number: u64,
    length: u64,
    checksum: u32,
    newest_ms: i64,
}

/// The files, and what is not yet in them.
#[derive(Debug)]
pub(crate) struct SeenLog {
    folder: PathBuf,
    /// In order; only the last is appended to.
    files: Vec<FileMark>,
    /// Whether the last may be appended to.
    open: bool,
    next: u64,
    unsaved: Vec<u8>,
    /// The newest among the unsaved.
    newest_ms: i64,
    /// When the last was received: voids count as of then.
    last_ms: i64,
    /// Files that are named no longer, and after how many marks they go.
    leaving: BTreeMap<u64, u32>,
}

impl SeenLog {
    /// Reads the files that `marks` name, the oldest first. Other files in the folder may be
    /// those of another mark, and stay for a while.
    pub(crate) fn open(
        folder: &Path,
        marks: &[FileMark],
        mut each_file: impl FnMut(Vec<Record>),
    ) -> Result<SeenLog, SeenError> {
        let failed = |source| SeenError::Folder { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("seen-"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        let mut log = SeenLog {
            folder: folder.to_owned(),
            files: marks.to_vec(),
            open: false,
            next: 1 + numbers
                .iter()
                .copied()
                .chain(marks.iter().map(|m| m.number))
                .max()
                .unwrap_or(0),
            unsaved: Vec::new(),
            newest_ms: i64::MIN,
            last_ms: i64::MIN,
            leaving: BTreeMap::new(),
        };
        let unnamed = numbers.into_iter().filter(|n| marks.iter().all(|mark| mark.number != *n));
        log.leaving.extend(unnamed.map(|number| (number, MARKS_KEPT)));
        for mark in marks {
            let (records, length) = read(folder, mark)?;
            let noted = records.iter().rev().find_map(|record| match record {
                Record::Noted(sighting) => Some(sighting.received_ms),
                Record::Void(_) => None,
            });
            log.last_ms = noted.unwrap_or(log.last_ms);
            each_file(records);
            // Longer: appended to after the mark was made, and named so by another mark perhaps.
            log.open = length == mark.length;
        }
        Ok(log)
    }

    pub(crate) fn note(&mut self, sighting: &Sighting) {
        self.unsaved.push(1);
        for word in [sighting.name, sighting.content, sighting.id] {
            self.unsaved.extend(word.to_le_bytes());
        }
        self.unsaved.extend(sighting.received_ms.to_le_bytes());
        self.last_ms = sighting.received_ms;
        self.newest_ms = self.newest_ms.max(self.last_ms);
    }

    pub(crate) fn void(&mut self, id: u64) {
        self.unsaved.push(2);
        self.unsaved.extend(id.to_le_bytes());
        self.newest_ms = self.newest_ms.max(self.last_ms);
    }

    /// Makes everything durable and names the files. On an error it can be tried again.
    pub(crate) fn save(&mut self) -> io::Result<Vec<FileMark>> {
        if !self.unsaved.is_empty() {
            let mark = self.append()?;
            match self.files.last_mut().filter(|last| last.number == mark.number) {
                Some(last) => *last = mark,
                None => self.files.push(mark),
            }
            self.open = true;
            self.unsaved = Vec::new();
            self.newest_ms = i64::MIN;
        }
        self.leaving.values_mut().for_each(|marks| *marks = marks.saturating_sub(1));
        // One that cannot be removed is found and tried again after the next start.
        for (number, _) in self.leaving.extract_if(.., |_, marks| *marks == 0) {
            fs::remove_file(path_of(&self.folder, number)).ok();
        }
        Ok(self.files.clone())
    }

    /// Names no longer the files that have nothing received since `before_ms`.
    ///
    /// They go in order, since a file may say that something in one before it is void. Only one that
    /// is of the future, which comes from a clock that was wrong, does not hold up the others.
    pub(crate) fn forget(&mut self, before_ms: i64) {
        let last = self.files.last().map(|file| file.number);
        let mut stays = false;
        for file in self.files.extract_if(.., |file| {
            stays |= (before_ms..=self.last_ms).contains(&file.newest_ms);
            !stays && file.newest_ms < before_ms
        }) {
            self.leaving.insert(file.number, MARKS_KEPT);
        }
        self.open &= self.files.last().map(|file| file.number) == last;
    }

    /// Writes the unsaved to the last file, or to a new one, and says how much of it is valid now.
    fn append(&mut self) -> io::Result<FileMark> {
        let mut mark = match self.files.last() {
            Some(last) if self.open && last.length < FULL => last.clone(),
            _ => {
                self.next += 1;
                FileMark { number: self.next - 1, length: 0, checksum: 0, newest_ms: i64::MIN }
            }
        };
        mark.newest_ms = mark.newest_ms.max(self.newest_ms);
        let path = path_of(&self.folder, mark.number);
        let new = mark.length == 0;
        let written = if !new {
            let file = File::options().write(true).open(&path);
            file.and_then(|file| write(&file, &mut mark, &self.unsaved))
        } else {
            File::create_new(&path).and_then(|file| {
                write(&file, &mut mark, MAGIC)?;
                write(&file, &mut mark, &self.unsaved)?;
                File::open(&self.folder)?.sync_all()
            })
        };
        match written {
            Ok(()) => Ok(mark),
            Err(error) => {
                if new {
                    fs::remove_file(&path).ok();
                }
                let path = path.display();
                let text = format!("{path}: the window of duplicates cannot be saved: {error}");
                Err(io::Error::new(error.kind(), text))
            }
        }
    }
}

/// Writes `bytes` behind what is valid, and makes them so.
fn write(file: &File, mark: &mut FileMark, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, mark.length)?;
    file.sync_data()?;
    mark.length += bytes.len() as u64;
    mark.checksum = crc32c::crc32c_append(mark.checksum, bytes);
    Ok(())
}

/// What `mark` names of a file, and how long the file is.
fn read(folder: &Path, mark: &FileMark) -> Result<(Vec<Record>, u64), SeenError> {
    let path = path_of(folder, mark.number);
    let unreadable = |source| SeenError::Unreadable { path: path.clone(), source };
    let bytes = fs::read(&path).map_err(unreadable)?;
    let found = bytes.len() as u64;
    let valid = usize::try_from(mark.length).ok().and_then(|length| bytes.get(..length));
    let Some(valid) = valid else {
        return Err(SeenError::Short { path, wanted: mark.length, found });
    };
    let records = valid.strip_prefix(MAGIC).filter(|_| crc32c::crc32c(valid) == mark.checksum);
    let mut rest = records.ok_or_else(|| SeenError::Corrupt { path: path.clone() })?;
    let mut all = Vec::with_capacity(rest.len() / NOTED);
    while !rest.is_empty() {
        let (record, after) =
            decode(rest).ok_or_else(|| SeenError::Corrupt { path: path.clone() })?;
        all.push(record);
        rest = after;
    }
    Ok((all, found))
}

/// The first record, and what comes after it.
fn decode(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (first, rest) = word(rest)?;
    if *kind == 2 {
        return Some((Record::Void(first), rest));
    }
    let (content, rest) = word(rest)?;
    let (id, rest) = word(rest)?;
    let (received, rest) = word(rest)?;
    let received_ms = received.cast_signed();
    let sighting = Sighting { name: first, content, id, received_ms };
    (*kind == 1).then_some((Record::Noted(sighting), rest))
}

fn word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*word), rest))
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("seen-{number}"))
}
