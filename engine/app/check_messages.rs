//! `tieline check --messages`: what the engine would make of messages in files: whether each can be
//! read whole, how it would be answered, and in what it departs from the standard.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use hl7::acknowledgement::Outcome;
use hl7::due::due;
use hl7::header::Header;
use hl7::message::Message;
use hl7::tolerance::Deviation;
use record::source::Source;
use router::accept::{self, Decision};
use router::identified::intolerable;
use router::plan::ChannelPlan;
use serde_json::{Value, json};

use crate::arguments::{CheckArgs, Format};
use crate::exit::Exit;
use crate::message_files;
use crate::output::Output;
use crate::rehearsal::Stage;
use crate::table::{Column, Table};

/// How often each of some words was found.
type Counts = BTreeMap<String, usize>;

/// What was found in one file, or in all of them.
#[derive(Default)]
struct Found {
    bytes: usize,
    messages: usize,
    /// Messages whose parts, put together again, are every byte of them.
    whole: usize,
    /// Acknowledgement codes, `none` and `parked`.
    answers: Counts,
    /// Reasons of what is refused or parks.
    reasons: Counts,
    /// Deviations from the standard, and what is odd about character sets.
    departures: Counts,
}

pub(crate) fn run(args: &CheckArgs) -> Result<Exit> {
    let mut stage = None;
    if args.channel.is_some() {
        let Some(loaded) = args.configuration.load_or_explain()? else { return Ok(Exit::Wrong) };
        stage = Some(Stage::set(loaded)?);
    }
    let channel = match (&stage, &args.channel) {
        (Some(stage), Some(name)) => Some(stage.channel(name)?),
        _ => None,
    };
    let mut rows = Vec::new();
    for path in &args.messages {
        for file in files(path)? {
            rows.push((name_of(&file, path), look(&message_files::read(&file)?, channel)));
        }
    }
    let mut all = Found::default();
    for (_, found) in &rows {
        all.add(found);
    }
    let mut output = Output::standard();
    match args.format {
        Format::Text => show(&mut output, &rows, &all)?,
        format => output.document(format, &document(&rows, &all))?,
    }
    Ok(Exit::well_if(all.reasons.is_empty() && all.whole == all.messages))
}

/// Every file below a folder but what is hidden; a file as it is.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = || format!("cannot read the folder {}", path.display());
    let entries = fs::read_dir(path).with_context(unreadable)?;
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    entries.sort();
    let hidden = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    let mut found = Vec::new();
    for entry in entries.iter().filter(|entry| !hidden(entry)) {
        found.extend(files(entry)?);
    }
    Ok(found)
}

/// As short as it may be and still be told from its neighbours.
fn name_of(file: &Path, asked: &Path) -> String {
    let below = file.strip_prefix(asked).ok().filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(file).display().to_string()
}

fn look(content: &Bytes, channel: Option<&Arc<ChannelPlan>>) -> Found {
    let mut found = Found { bytes: content.len(), ..Found::default() };
    for message in message_files::split(content) {
        found.look_at(message, channel);
    }
    found
}

impl Found {
    fn look_at(&mut self, bytes: Bytes, channel: Option<&Arc<ChannelPlan>>) {
        let count = |counts: &mut Counts, word: &str| {
            *counts.entry(word.to_owned()).or_default() += 1;
        };
        self.messages += 1;
        let usual = Source::new("", "");
        let source = channel.map_or(&usual, |channel| &channel.source);
        let (header, message) =
            (Header::from_frame(&bytes), Message::parse(bytes, &source.reading()));
        let message = match &message {
            Ok(message) => message,
            Err(error) => {
                // Nothing can be taken out of it, so nothing is lost of it.
                self.whole += 1;
                count(&mut self.reasons, &error.to_string());
                count(&mut self.answers, if error.is_unreadable() { "AR" } else { "parked" });
                return;
            }
        };
        self.whole += usize::from(message.reassembled() == **message.readable());
        let tolerated = message.tolerated();
        tolerated.deviations().for_each(|one| count(&mut self.departures, one.as_str()));
        let others = [
            (tolerated.unknown_charset, "charset.unknown"),
            (tolerated.wrong_charset, "charset.wrong"),
            (message.truncated() > 0, "value.truncated"),
        ];
        others
            .into_iter()
            .filter(|(there, _)| *there)
            .for_each(|(_, word)| count(&mut self.departures, word));
        let Ok(header) = header else {
            count(&mut self.reasons, "MSH is too long");
            return count(&mut self.answers, "AR");
        };
        let decision = channel.map(|channel| accept::decide(&header, slice::from_ref(channel)));
        let refused = match decision {
            Some(Decision::Refuse(refusal, _)) if !header.is_acknowledgement() => {
                Some(refusal.reason)
            }
            _ => None,
        };
        if let Some(reason) = refused {
            count(&mut self.reasons, reason);
        }
        let outcome = if refused.is_some() { Outcome::Reject } else { Outcome::Accept };
        let code = due(&header, outcome).map_or("none", |code| code.as_str());
        count(&mut self.answers, code);
        let parks = intolerable(message, source).filter(|_| refused.is_none());
        if let Some(reason) = parks.filter(|_| !header.is_acknowledgement()) {
            count(&mut self.answers, "parked");
            count(&mut self.reasons, reason);
        }
    }

    fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.messages += other.messages;
        self.whole += other.whole;
        for (all, some) in [
            (&mut self.answers, &other.answers),
            (&mut self.reasons, &other.reasons),
            (&mut self.departures, &other.departures),
        ] {
            for (word, count) in some {
                *all.entry(word.clone()).or_default() += count;
            }
        }
    }

    fn document(&self) -> Value {
        json!({
            "messages": self.messages,
            "bytes": self.bytes,
            "whole": self.whole,
            "answers": self.answers,
            "reasons": self.reasons,
            "departures": self.departures,
        })
    }
}

fn document(rows: &[(String, Found)], all: &Found) -> Value {
    let files = rows.iter().map(|(name, found)| {
        let mut document = found.document();
        document["file"] = Value::from(name.as_str());
        document
    });
    let mut document = all.document();
    document["files"] = files.collect();
    document
}

fn show(output: &mut Output, rows: &[(String, Found)], all: &Found) -> Result<()> {
    let mut table = Table::new(vec![
        Column::flexible("FILE"),
        Column::right("MESSAGES"),
        Column::right("BYTES"),
        Column::right("WHOLE"),
        Column::left("ANSWERS"),
        Column::flexible("DEPARTS BY"),
    ]);
    for (name, found) in rows {
        table.row(vec![
            name.clone(),
            found.messages.to_string(),
            found.bytes.to_string(),
            found.whole.to_string(),
            words(&found.answers, found.messages),
            found.departures.keys().cloned().collect::<Vec<_>>().join(", "),
        ]);
    }
    output.text(table.render(output.paint))?;
    output.line(format_args!(
        "\n{} files, {} messages, {} of them read whole; answered {}",
        rows.len(),
        all.messages,
        all.whole,
        words(&all.answers, usize::MAX),
    ))?;
    for (heading, counts) in [("departs by", &all.departures), ("refused or parked", &all.reasons)]
    {
        for (word, count) in counts {
            output.line(format_args!("{count:>9}  {heading}: {word}"))?;
        }
    }
    let unnamed = Deviation::ALL.iter().filter(|one| all.reasons.contains_key(one.code()));
    let add: Vec<&str> = unnamed.map(|one| one.as_str()).collect();
    if !add.is_empty() {
        output.line(format_args!(
            "\nTo take those of a system that means it, add to its `source.tolerate`: {}",
            add.join(", ")
        ))?;
    }
    Ok(())
}

/// `AA`, where that is the answer to all of them; else each with its number.
fn words(counts: &Counts, all: usize) -> String {
    let word = |(word, count): (&String, &usize)| {
        if *count == all { word.clone() } else { format!("{word} {count}") }
    };
    counts.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &'static [u8]) -> Found {
        look(&Bytes::from_static(text), None)
    }

    #[test]
    fn what_is_in_a_file_is_counted() {
        let two = found(
            b"MSH|^~\\&|A|B|||||ADT^A01|1|P|2.4\nPID|1\nMSH|^~\\&|A|B|||||ACK|2|P|2.4\nMSA|AA|1\n",
        );
        assert_eq!((two.messages, two.whole), (2, 2));
        assert_eq!(words(&two.answers, 2), "AA 1, none 1");
        assert_eq!(words(&two.departures, 2), "line-feed");
        assert!(two.reasons.is_empty());
    }

    #[test]
    fn what_would_be_refused_or_park_says_why() {
        let junk = found(b"0042 MSH|^~\\&|A|B|||||ADT^A01|1|P|2.4\rPID|1\r");
        assert_eq!(words(&junk.answers, 1), "AA, parked");
        assert_eq!(words(&junk.reasons, 1), "structure.junk");
        let garbage = found(b"hello");
        assert_eq!((words(&garbage.answers, 1).as_str(), garbage.reasons.len()), ("AR", 1));
    }
}
