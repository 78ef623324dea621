//! The story that the samples tell: one invented person, followed through every feed that knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use bytes::Bytes;
use serde::Deserialize;

/// What the story needs of an event.
#[derive(Clone, Debug, Deserialize)]
struct Chapter {
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    time: String,
    subject: Option<String>,
    partitionkey: Option<String>,
}

impl Chapter {
    /// `RXX pas-adt` of `urn:tieline:source:RXX:pas-adt`.
    fn feed(&self) -> String {
        let parts: Vec<&str> = self.source.rsplit(':').take(2).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join(" ")
    }

    /// `encounter.admitted` of `uk.nhs.sharedrecord.encounter.admitted.v1`.
    fn what(&self) -> String {
        let parts: Vec<&str> = self.event_type.rsplit('.').skip(1).take(2).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join(".")
    }
}

/// The person whom most feeds know, in the order in which things happened. Also what was told under
/// a record that a merge retired, before anybody knew whose it was.
pub(crate) fn story(events: &[Bytes]) -> String {
    let read = events.iter().filter_map(|event| serde_json::from_slice::<Chapter>(event).ok());
    let all: Vec<Chapter> = read.collect();
    let mut feeds: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for chapter in &all {
        if let Some(subject) = &chapter.subject {
            feeds.entry(subject).or_default().insert(&chapter.source);
        }
    }
    let Some((person, known)) = feeds.iter().max_by_key(|(_, feeds)| feeds.len()) else {
        return String::new();
    };
    let of_person = |chapter: &&Chapter| chapter.subject.as_deref() == Some(*person);
    let records: BTreeSet<&str> = all
        .iter()
        .filter(of_person)
        .filter_map(|chapter| chapter.partitionkey.as_deref())
        .collect();
    let mut chapters: Vec<&Chapter> = all
        .iter()
        .filter(|chapter| chapter.partitionkey.as_deref().is_some_and(|key| records.contains(key)))
        .collect();
    chapters.sort_by(|one, other| one.time.cmp(&other.time));
    let mut text =
        format!("\nOne person, known to {} feeds under {}:\n", known.len(), spaced(person));
    for chapter in chapters {
        let time = chapter.time.get(..16).unwrap_or(&chapter.time).replace('T', " ");
        let (feed, what) = (chapter.feed(), chapter.what());
        let under = if chapter.subject.is_some() { "" } else { "   (by a local number only)" };
        // Writing to a text cannot fail.
        writeln!(text, "  {time:<17} {feed:<20} {what}{under}").ok();
    }
    text
}

/// `999 000 0018`, as people read it.
fn spaced(number: &str) -> String {
    match (number.get(..3), number.get(3..6), number.get(6..)) {
        (Some(one), Some(two), Some(three)) => format!("{one} {two} {three}"),
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(feed: &str, what: &str, time: &str, subject: Option<&str>, record: &str) -> Bytes {
        let event = json!({
            "source": format!("urn:tieline:source:RXX:{feed}"),
            "type": format!("uk.nhs.sharedrecord.{what}.v1"),
            "time": time, "subject": subject, "partitionkey": record,
        });
        Bytes::from(event.to_string())
    }

    #[test]
    fn the_story_is_of_whom_most_feeds_know_with_what_a_merge_brought() {
        let number = Some("9990000018");
        let told = story(&[
            event("lab", "result.available", "2026-01-02T10:00:00Z", number, "p1"),
            event("ed", "ed.arrived", "2026-01-01T09:00:00Z", None, "p2"),
            event("pas", "patient.merged", "2026-01-03T09:00:00Z", number, "p2"),
            event("pas", "encounter.admitted", "2026-01-01T12:00:00Z", Some("9990000026"), "p3"),
        ]);
        let lines: Vec<&str> = told.trim().lines().collect();
        assert_eq!(lines[0], "One person, known to 2 feeds under 999 000 0018:");
        assert!(lines[1].contains("RXX ed") && lines[1].contains("local number only"), "{told}");
        assert!(lines[2].contains("result.available") && lines[3].contains("patient.merged"));
        assert_eq!(lines.len(), 4);
        assert_eq!(story(&[]), "");
    }
}
