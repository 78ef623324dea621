//! Every message of a folder of real ones round-trips byte for byte or is refused with a reason.
//!
//! The folder is `../shared/corpus` beside the project, or what `TIELINE_TEST_CORPUS` names; where it
//! is not, there is nothing to do. Its `INDEX.tsv` says how many messages each file holds.
//!
//! `tieline check --messages FOLDER` shows the same of any folder, file by file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hl7::acknowledgement::{Outcome, read_acknowledgement};
use hl7::due::due;
use hl7::header::Header;
use hl7::message::{Message, ParseError, Reading};
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits, encode_frame};
use hl7::several::several_in_file;
use hl7::tree::tree;

/// What became of the messages below one folder.
#[derive(Default)]
struct Count {
    files: usize,
    messages: usize,
    whole: usize,
    odd_lines: usize,
    other_ends: usize,
    undecodable: usize,
    refused: BTreeMap<String, usize>,
}

#[test]
fn every_message_round_trips_or_is_refused_with_a_reason() {
    let Some(folder) = folder() else {
        println!("skipped: there is no folder of messages");
        return;
    };
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for file in files(&folder) {
        let below = file.strip_prefix(&folder).expect("it was found there");
        let top = below.components().next().expect("it has a name").as_os_str();
        let count = counts.entry(top.to_string_lossy().into_owned()).or_default();
        count.files += 1;
        let bytes = fs::read(&file).expect("a readable file");
        for message in messages(&bytes) {
            count_message(message, count);
        }
    }
    println!(
        "{:<24} {:>6} {:>9} {:>8} {:>10} {:>11} {:>12} {:>8}",
        "folder", "files", "messages", "whole", "odd lines", "other ends", "undecodable", "refused"
    );
    for (folder, count) in &counts {
        let refused: usize = count.refused.values().sum();
        println!(
            "{folder:<24} {:>6} {:>9} {:>8} {:>10} {:>11} {:>12} {refused:>8}",
            count.files,
            count.messages,
            count.whole,
            count.odd_lines,
            count.other_ends,
            count.undecodable
        );
        for (reason, times) in &count.refused {
            println!("{:<24} {times:>6} refused: {reason}", "");
        }
        assert_eq!(count.messages, count.whole + refused);
    }
    assert!(counts.values().any(|count| count.whole > 0), "the folder holds no message");
}

/// The folder of real messages, if it is there.
fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("TIELINE_TEST_CORPUS").map_or_else(beside, PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// Every file holds as many messages as its index says, batches and several in one included.
#[test]
fn every_message_of_a_file_is_found() {
    let Some(folder) = folder() else {
        println!("skipped: there is no folder of messages");
        return;
    };
    let Ok(index) = fs::read_to_string(folder.join("INDEX.tsv")) else { return };
    let mut differences = Vec::new();
    for row in index.lines().skip(1) {
        let mut columns = row.split('\t');
        let (Some(file), Some(count)) = (columns.next(), columns.next()) else { continue };
        let bytes = Bytes::from(fs::read(folder.join(file)).expect("the index names it"));
        let expected: usize = count.parse().expect("a number");
        let found = count_in(&bytes);
        if found != expected {
            differences.push(format!("{file}: {found}, the index says {expected}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Messages in a file, whether it is framed or not.
fn count_in(bytes: &Bytes) -> usize {
    let mut decoder = FrameDecoder::new(FrameLimits::default());
    decoder.push(bytes);
    let frames = std::iter::from_fn(|| decoder.next_frame());
    let framed: Vec<Bytes> = frames
        .filter_map(|found| if let Decoded::Frame(frame) = found { Some(frame) } else { None })
        .collect();
    // One whose MSH is unreadable is a message, too: it is answered AR.
    let one = |bytes: &Bytes| {
        if let Some(found) = several_in_file(bytes) {
            found.messages.len()
        } else {
            let header = || Header::from_frame(bytes).is_ok();
            usize::from(bytes.windows(4).any(|four| four == b"MSH|") || header())
        }
    };
    if framed.is_empty() { one(bytes) } else { framed.iter().map(one).sum() }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let kind = path.extension().map(|kind| kind.to_string_lossy().to_lowercase());
                let kinds = ["hl7", "ndhl7", "txt", "out", "bin", "dat", "msg", "er7"];
                if kind.is_some_and(|kind| kinds.contains(&kind.as_str())) {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    found
}

/// A file's messages: a line that starts with MSH begins one, and so does a VT. What stands before
/// the first is taken for one, too, so that it is refused.
fn messages(bytes: &[u8]) -> Vec<&[u8]> {
    let begins = |at: &usize| {
        bytes[*at..].starts_with(b"MSH")
            && (*at == 0 || matches!(bytes[at - 1], b'\r' | b'\n' | 0x0B | b' ' | 0xBF))
    };
    let mut starts: Vec<usize> = (0..bytes.len()).filter(begins).collect();
    let blank = bytes[..starts.first().copied().unwrap_or(bytes.len())]
        .iter()
        .all(|byte| byte.is_ascii_whitespace() || matches!(byte, 0x0B | 0xEF | 0xBB | 0xBF));
    if !blank {
        starts.insert(0, 0);
    }
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    starts.iter().zip(ends).map(|(&start, end)| &bytes[start..end]).collect()
}

fn count_message(bytes: &[u8], count: &mut Count) {
    count.messages += 1;
    let header = Header::from_frame(bytes);
    match Message::parse(Bytes::copy_from_slice(bytes), &Reading::default()) {
        Ok(message) => {
            assert!(header.is_ok(), "a message that is read has a header");
            assert_eq!(**message.bytes(), *bytes, "the same bytes");
            assert_eq!(message.reassembled(), **message.readable(), "the parts are the whole");
            look_everywhere(&message);
            let tolerated = message.tolerated();
            count.whole += 1;
            count.odd_lines += usize::from(tolerated.odd_lines > 0);
            count.other_ends +=
                usize::from(tolerated.line_end != hl7::index::LineEnd::CarriageReturn);
            count.undecodable += usize::from(message.undecodable() > 0);
        }
        Err(error) => {
            assert_eq!(header.is_err(), error.is_unreadable(), "both say the same of MSH");
            assert!(!matches!(error, ParseError::TooManyParts), "real messages have fewer parts");
            *count.refused.entry(error.to_string()).or_default() += 1;
        }
    }
    // Content that would end its own frame cannot be framed by anyone.
    if !bytes.contains(&0x1C) {
        let mut decoder = FrameDecoder::new(FrameLimits::default());
        decoder.push(&encode_frame(bytes));
        assert_eq!(decoder.next_frame(), Some(Decoded::Frame(Bytes::copy_from_slice(bytes))));
    }
}

/// Reads every value in every way, for the sake of what must not panic.
fn look_everywhere(message: &Message) {
    for segment in message.segments() {
        let parts = segment.fields().flat_map(|field| field.repetitions().collect::<Vec<_>>());
        for component in parts.flat_map(|part| part.components().collect::<Vec<_>>()) {
            assert!(
                component
                    .subcomponents()
                    .all(|part| { part.text().is_present() == part.rendered().is_present() })
            );
        }
        if let Ok(shown) = tree(&segment, message.delimiters(), message.charset()) {
            assert_eq!(shown.fields.len(), segment.field_count());
        }
    }
    let header = Header::read(message).expect("it was read before");
    if header.is_acknowledgement() {
        assert_eq!(due(&header, Outcome::Accept), None);
    }
    drop(read_acknowledgement(message.bytes()));
}
