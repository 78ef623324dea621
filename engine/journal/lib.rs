//! An appended entry survives.
//!
//! # Words
//!
//! An *entry* is a few opaque bytes with a kind and the id of the message it is about. Entries that
//! wait at the same moment are written together as one *batch*: one write, one fdatasync. Batches lie
//! one behind the other in *volumes*, files that were filled with zeros ahead, so that the fdatasync
//! of a batch writes no file-system metadata. A *spare* is a volume not yet used. A message is
//! *settled* when nothing more will become of it. A *checkpoint* says what need not be read again.
//! To *carry* is to append what is unsettled again, with its id, before its volume is dropped. A
//! volume is *sealed* when a batch of the next one is durable; then it is *packed*: compressed into
//! *frames* of whole batches, in a file of its own, which takes its place. A position stays what it
//! was, a place among the raw volume's bytes.
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
//! - A raw volume is removed only after its packed form is durable under its name and was read back,
//!   every batch of it. What has damage or a torn end in it is never packed.
//! - A damaged frame reads as zeros, and so is damage like any other: named, and skipped to the next
//!   frame.
//! - A copy is written only while its message is unsettled, so what settles a message always comes
//!   behind its last copy.
//! - Memory grows with the exceptions: a bit per unsettled id, and carried copies.
//! - Opening reads the header of every volume, and whole batches only behind the checkpoint. A few
//!   files are open at a time, however many volumes there are.
//! - Threads, no runtime: one writes, one makes spares, one packs. Reading happens on the caller's.
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
//!   journal-<id, 20 digits>.packed        a packed volume; while the raw one is there too, that counts
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
//! packed volume, 64 bytes, then frames, then the index: the frames' headers once more, to the end
//!   0   magic "TLNPACK\n"                 8   version u32 = 1            12  number of frames u32
//!   16  volume id u64                     24  first batch u64
//!   32  first message id u64              40  end of the raw volume's last batch u64
//!   48  newest time in it, milliseconds since 1970 u64
//!   60  CRC-32C of bytes 0..60
//!
//! frame, at a multiple of 64 bytes, 64 bytes and a zstd frame, filled up to 64 with zeros
//!   0   magic "TLNFRAME"                  8   volume id u64
//!   16  raw offset: where its first batch starts in the raw volume u64
//!   24  number of that batch u64          32  next message id before it u64
//!   40  raw length u32                    44  length of the zstd frame u32
//!   48  CRC-32C of volume id and the zstd frame
//!   52  where it starts in the file, in units of 64 bytes u32
//!   60  CRC-32C of bytes 0..60
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
