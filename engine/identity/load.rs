//! Filling the index from a file, without publishing anything: CSV, or messages such as A28 and A31.
//!
//! A batch of facts at a time: whoever loads makes it durable together with its token, applies it,
//! and asks for the next. After a crash the load goes on behind the last durable token.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use csv::{ByteRecord, Reader};
use hl7::message::Message;
use record::demographics::{BirthDate, Demographics};
use record::identity::{Identity, IdentityConflict};
use record::local::LocalId;
use record::movement::Side;
use record::nhs_number::{NhsNumber, Status};
use record::source::{LocalAuthority, Source};

use crate::decide::load;
use crate::error::IndexError;
use crate::fact::Fact;
use crate::file::{Cut, Messages};
use crate::index::Index;
use crate::overlay::Overlay;
use crate::stated::Stated;

/// A load that is under way.
pub struct Load {
    rows: Rows,
    source: Source,
    /// Rows or messages read so far.
    read: u64,
    report: Report,
}

/// What one step of a load comes to.
#[derive(Clone, Debug)]
pub struct Batch {
    /// To be made durable and applied.
    pub facts: Vec<Fact>,
    /// Where the load goes on once they are durable.
    pub token: u64,
}

/// What a load came to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows or messages that were looked at.
    pub rows: u64,
    /// Those that changed something.
    pub taken: u64,
    /// Those that said nothing new.
    pub unchanged: u64,
    /// What did not go in, the first thousand.
    pub problems: Vec<Problem>,
    /// How often each code was met.
    pub codes: BTreeMap<&'static str, u64>,
}

/// A row or message that did not go in, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file for CSV, the number of the message else; from 1.
    pub at: u64,
    /// The reason code of a message that parks for the same cause, or `load.columns`,
    /// `load.authority`, `load.structure`, or a finding about the NHS Number, which is left out.
    pub code: &'static str,
}

/// Why a load does not go on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the file cannot be read as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The header names none of the columns that say whom a row is about.
    #[error(
        "the first line names neither a column local_id nor one nhs_number; write: authority,type,local_id,nhs_number,status,family,given,birth_date,sex"
    )]
    Header,
    /// The file holds no message.
    #[error("the file holds no HL7 message: none of its lines begins with MSH")]
    NoMessage,
    /// The system does not give it.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

enum Rows {
    Csv(Box<Csv>),
    Messages(Box<Messages>),
}

struct Csv {
    reader: Reader<Box<dyn Read + Send>>,
    columns: Columns,
}

/// Where a row stands, and what it says; a code when it cannot be used.
type Row = (u64, Result<Stated, &'static str>);

/// Which column stands where.
#[derive(Default)]
struct Columns {
    authority: Option<usize>,
    kind: Option<usize>,
    local_id: Option<usize>,
    nhs_number: Option<usize>,
    status: Option<usize>,
    family: Option<usize>,
    given: Option<usize>,
    birth_date: Option<usize>,
}

/// Rows of one batch.
const BATCH: usize = 1000;
const MOST_PROBLEMS: usize = 1000;

impl Load {
    /// From CSV with a header: `authority`, `type`, `local_id`, `nhs_number`, `status`, `family`,
    /// `given`, `birth_date` (`YYYYMMDD`), `sex`, in any order; others are passed over. A row without
    /// authority or type is of the source's default kind.
    pub fn csv(reader: impl Read + Send + 'static, source: Source) -> Result<Self, LoadError> {
        let reader: Box<dyn Read + Send> = Box::new(reader);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let columns = Columns::of(reader.byte_headers()?);
        if columns.local_id.is_none() && columns.nhs_number.is_none() {
            return Err(LoadError::Header);
        }
        let rows = Rows::Csv(Box::new(Csv { reader, columns }));
        Ok(Self { rows, source, read: 0, report: Report::default() })
    }

    /// From a file of messages, with or without batch segments or MLLP frames round them. One of
    /// them at a time is in memory.
    pub fn messages(reader: impl Read + Send + 'static, source: Source) -> Result<Self, LoadError> {
        let messages = Messages::begin(Box::new(reader))?.ok_or(LoadError::NoMessage)?;
        let rows = Rows::Messages(Box::new(messages));
        Ok(Self { rows, source, read: 0, report: Report::default() })
    }

    /// Goes on behind what an earlier load made durable.
    pub fn resume(&mut self, token: u64) -> Result<(), LoadError> {
        let mut record = ByteRecord::new();
        while self.read < token {
            let more = match &mut self.rows {
                Rows::Csv(csv) => csv.reader.read_byte_record(&mut record)?,
                Rows::Messages(messages) => messages.next()?.is_some(),
            };
            if !more {
                break;
            }
            self.read += 1;
        }
        Ok(())
    }

    /// What was met so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The facts of the next thousand rows, in the light of the index and of each other; nothing at
    /// the end of the file.
    pub fn next_batch(&mut self, index: &Index) -> Result<Option<Batch>, LoadError> {
        let mut facts = Vec::new();
        let mut batch = Overlay::default();
        let before = self.read;
        for _ in 0..BATCH {
            let Some((at, stated)) = self.next_row()? else { break };
            self.read += 1;
            self.report.rows += 1;
            let stated = match stated {
                Ok(stated) => stated,
                Err(code) => {
                    self.note(at, code);
                    continue;
                }
            };
            let found = load(&mut index.layers(), &mut batch, &stated, &self.source.name)?;
            match found {
                Ok(None) => self.report.unchanged += 1,
                Ok(Some(fact)) => {
                    self.report.taken += 1;
                    facts.push(fact);
                }
                Err(parked) => self.note(at, parked.code),
            }
        }
        Ok((self.read > before).then_some(Batch { facts, token: self.read }))
    }

    fn note(&mut self, at: u64, code: &'static str) {
        *self.report.codes.entry(code).or_default() += 1;
        if self.report.problems.len() < MOST_PROBLEMS {
            self.report.problems.push(Problem { at, code });
        }
    }

    fn next_row(&mut self) -> Result<Option<Row>, LoadError> {
        match &mut self.rows {
            Rows::Csv(csv) => {
                let mut record = ByteRecord::new();
                if !csv.reader.read_byte_record(&mut record)? {
                    return Ok(None);
                }
                let at = record.position().map_or(self.read + 1, csv::Position::line);
                let (side, finding) = match csv.columns.side(&record, &self.source) {
                    Ok(read) => read,
                    Err(code) => return Ok(Some((at, Err(code)))),
                };
                if let Some(finding) = finding {
                    self.note(at, finding);
                }
                Ok(Some((at, Ok(Stated::of_side(side)))))
            }
            Rows::Messages(messages) => {
                let at = self.read + 1;
                let row = messages.next()?.map(|cut| (at, message(cut, &self.source)));
                Ok(row)
            }
        }
    }
}

fn message(cut: Cut, source: &Source) -> Result<Stated, &'static str> {
    let message = Some(cut.bytes).filter(|_| cut.whole);
    let message = message.and_then(|bytes| Message::parse(bytes, &source.reading()).ok());
    let message = message.ok_or("load.structure")?;
    let identity = Identity::read(&message, source).map_err(IdentityConflict::code)?;
    if identity.is_nobody() {
        return Err("identity.none");
    }
    Ok(Stated::read(&message, source, &identity))
}

impl Columns {
    fn of(header: &ByteRecord) -> Self {
        let mut columns = Self::default();
        for (at, name) in header.iter().enumerate() {
            let name = String::from_utf8_lossy(name);
            let place =
                match name.trim_start_matches('\u{feff}').trim().to_ascii_lowercase().as_str() {
                    "authority" => &mut columns.authority,
                    "type" => &mut columns.kind,
                    "local_id" => &mut columns.local_id,
                    "nhs_number" => &mut columns.nhs_number,
                    "status" => &mut columns.status,
                    "family" => &mut columns.family,
                    "given" => &mut columns.given,
                    "birth_date" => &mut columns.birth_date,
                    _ => continue,
                };
            *place = Some(at);
        }
        columns
    }

    /// Whom a row is about, and what of its number does not count.
    fn side(
        &self,
        row: &ByteRecord,
        source: &Source,
    ) -> Result<(Side, Option<&'static str>), &'static str> {
        let text = |at: Option<usize>| {
            let bytes = at.and_then(|at| row.get(at)).unwrap_or_default();
            String::from_utf8_lossy(bytes).trim().to_owned()
        };
        let last = [self.local_id, self.nhs_number, self.family, self.given, self.birth_date];
        if last.into_iter().flatten().any(|at| at >= row.len()) {
            return Err("load.columns");
        }
        let born = text(self.birth_date);
        if !born.is_empty() && !BirthDate::is_written(&born) {
            return Err("load.birth-date");
        }
        let value = text(self.local_id);
        let mut side = Side {
            demographics: Demographics::new(&text(self.family), &text(self.given), &born),
            ..Side::default()
        };
        if !value.is_empty() {
            let (authority, kind) = (text(self.authority), text(self.kind));
            let of = space(&authority, &kind, &source.local).ok_or("load.authority")?;
            let (authority, kind) = (of.authority.clone(), of.kind.clone());
            side.locals.push(LocalId { authority, kind, value });
        }
        let mut finding = None;
        let number = text(self.nhs_number);
        if !number.is_empty() {
            let status = text(self.status);
            side.status = Status::normalise(&status);
            match NhsNumber::parse(&number) {
                // As in a message: what nobody can read is not the same as nothing.
                Ok(_) if side.status.is_none() && !status.is_empty() => {
                    finding = Some("nhs-number.status-unclear");
                }
                Ok(number) => {
                    side.found = Some(number);
                    let trusted = source.nhs_number.trusts(number, side.status);
                    side.number = Some(number).filter(|_| trusted);
                    finding = (!trusted).then_some("nhs-number.untrusted");
                }
                Err(error) => finding = Some(error.quality()),
            }
        }
        if side.locals.is_empty() && side.number.is_none() {
            return Err(finding.unwrap_or("load.columns"));
        }
        Ok((side, finding))
    }
}

/// The kind of identifier that the source issues; without authority the default one.
fn space<'k>(
    authority: &str,
    kind: &str,
    kinds: &'k [LocalAuthority],
) -> Option<&'k LocalAuthority> {
    kinds.iter().find(|of| {
        let by_authority = match authority {
            "" => of.default,
            authority => of.authority.eq_ignore_ascii_case(authority),
        };
        by_authority && (kind.is_empty() || of.kind.eq_ignore_ascii_case(kind))
    })
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("read", &self.read).finish_non_exhaustive()
    }
}
