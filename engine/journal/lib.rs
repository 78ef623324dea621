//! An appended entry survives.
//!
//! # Words
//!
//! An *entry* is a few opaque bytes with a kind and the id of the message it is about. Entries that
//! wait at the same moment are written together as one *batch*: one write, one fdatasync. Batches lie
//! one behind the other in *volumes*, files that were filled with zeros ahead, so that the fdatasync
//! of a batch writes no file-system metadata. A *spare* is a volume not yet used. A message is
//! *settled* when nothing more will become of it. A *checkpoint* says what need not be read again.
//! To *carry* is to append what is unsettled again, with its id, before its volume is dropped.
//!
//! # Invariants
//!
//! - Nobody is told that an entry is durable before its fdatasync returned. A failed one is never
//!   tried again: everybody who waits is told [`Failed`], and the journal takes nothing any more.
//! - Message ids are given out in the order of [`append`], rise from 1 without gaps, and are never
//!   used twice. Whatever was refused was not written.
//! - A batch is written only when the one before is durable. So of all batches only the last can be
//!   torn; a number that is missing while a later one is there is *damage*. Damage is kept as it is,
//!   skipped to the next valid batch, and named. A torn end is kept too: a new volume is begun.
//! - What a recovery believed is made durable before anybody builds on it, the last batch by writing
//!   it again: a machine may show what a failed sync lost.
//! - A volume's header says unused only while the volume holds nothing but zeros.
//! - New messages never use the last spares; records about messages may.
//! - A copy is written only while its message is unsettled, so what settles a message always comes
//!   behind its last copy.
//! - Memory grows with the exceptions: a bit per unsettled id, and carried copies.
//! - Threads, no runtime: one writes, one makes spares. Reading happens on the caller's.
//! - Files are touched through [`disk::Disk`] only, and patient data never reaches a log or an error.
//!
//! [`append`]: journal::Journal::append
//! [`Failed`]: queue::AppendError::Failed
//!
//! # On disk
//!
//! All numbers are little endian. Change nothing here without raising the version.
//!
//! ```text
//! folder
//!   lock                                  held by the process that has the journal open
//!   journal-<id, 20 digits>.volume        volumes, ids rising, with gaps
//!   checkpoint-<number, 20 digits>        the two newest
//!   *.new                                 unfinished; removed when the journal is opened
//!
//! volume, 64 bytes, then batches; the rest is zeros, or a torn end
//!   0   magic "TLNVOL\r\n"                8   version u32 = 1            12  zero u32
//!   16  volume id u64                     24  first batch u64, 0 = spare
//!   32  first message id u64: the next one when the volume came into use
//!   40  size u64                          60  CRC-32C of bytes 0..60
//!
//! batch, at a multiple of 64 bytes, 64 bytes and its entries, filled up to 64 with zeros
//!   0   magic "TLNBATCH"                  8   volume id u64
//!   16  batch number u64, from 1, without gaps over all volumes
//!   24  durable up to this batch u64      32  next message id before it u64
//!   40  written, milliseconds since 1970 u64
//!   48  length of its entries u32         52  number of entries u32
//!   56  CRC-32C of volume id and entries  60  CRC-32C of bytes 0..60
//!
//! entry, at a multiple of 8 bytes in its batch, filled up to 8 with zeros
//!   0   CRC-32C of volume id and bytes 4 to the end of the body
//!   4   length of what follows the header u32
//!   8   message id u64                    16  kind u8
//!   17  flags u8: 1 settles, 2 carried    18  zero, 6 bytes
//!   24  when carried: position it was copied from, 16 bytes; then the body
//!
//! position: volume u64, batch u32 in units of 64 bytes, entry u32 in bytes from the batch's start
//!
//! checkpoint
//!   magic "TLNCHECK", version u32 = 1, covered position, number of the batch there u64,
//!   next batch u64, next message id u64, unsettled ids (length u64 and a portable Roaring
//!   treemap), copies (count u64, then message id u64 and position each), carried through position,
//!   length u64 and bytes of the owner's body, CRC-32C of everything before
//! ```
//!
//! The volume id is in every checksum, so bytes left over from another volume never look valid. When
//! recovery stopped at a torn batch, the number of that batch is given to the first one of the next
//! volume: a volume holds the batches from its first one up to, not including, the next volume's.
#![warn(missing_docs)]

pub mod journal;
pub mod entry;
pub mod settings;
pub mod report;
pub mod queue;
pub mod reader;
pub mod settlement;
pub mod checkpoint;
pub mod retention;
pub mod recovery;
mod writer;
pub mod find;
mod packing;
mod store;
mod space;
mod bell;
mod age;
mod inventory;
mod cursor;
mod pack;
mod finder;
mod walk;
mod ledger;
mod volumes;
mod shelf;
mod contents;
mod packed;
mod volume;
mod entries;
mod format;
pub mod disk;
#[cfg(feature = "faults")]
pub mod faulty;
#[cfg(feature = "faults")]
mod control;
#[cfg(feature = "faults")]
mod unsynced;
