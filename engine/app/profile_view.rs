//! Profiles, their differences and how they were kept, on a screen of 80 columns and as JSON.

use hl7::dictionary::book;
use hl7::dictionary::version::Version;
use hl7::location::Location;
use hl7::profile::drift::{Change, Drift};
use hl7::profile::rules::{Profile, Rule};
use serde_json::{Map, Value, json};

use crate::cells::{cell, counted, list, number, time_of_day};
use crate::paint::Paint;
use crate::screen::Screen;
use crate::table::{Column, Table, printable};

/// A profile as JSON, in the keys of its file.
pub(crate) fn profile(profile: &Profile) -> Value {
    let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
    let mut types = Map::new();
    for (kind, rules) in &profile.types {
        let always = names(&mut rules.always.iter().map(ToString::to_string));
        let sometimes = names(&mut rules.sometimes.iter().map(ToString::to_string));
        let said = json!({ "messages": rules.messages, "always": always, "sometimes": sometimes });
        types.insert(kind.clone(), said);
    }
    let mut places = Map::new();
    for (name, segment) in &profile.segments {
        places.insert(name.to_string(), json!({ "seen": segment.seen }));
        for (at, said) in &segment.places {
            places.insert(at.to_string(), rule(said));
        }
    }
    json!({
        "profile": profile.name,
        "messages": profile.messages,
        "complete": profile.complete,
        "types": types,
        "places": places,
    })
}

fn rule(rule: &Rule) -> Value {
    let mut said = Map::new();
    said.insert("required".to_owned(), rule.required.into());
    let numbers =
        [("filled", rule.filled), ("length", rule.length), ("repetitions", rule.repetitions)];
    for (key, number) in numbers {
        said.extend(number.map(|number| (key.to_owned(), number.into())));
    }
    if !rule.codes.is_empty() {
        said.insert("codes".to_owned(), rule.codes.iter().cloned().collect());
    }
    if let Some(pattern) = &rule.pattern {
        said.insert("pattern".to_owned(), pattern.as_str().into());
    }
    said.into()
}

/// What changed, as JSON.
pub(crate) fn drift(before: &Profile, after: &Profile, changes: &[Drift]) -> Value {
    let side = |side: &Profile| json!({ "profile": side.name, "messages": side.messages });
    let changes = changes.iter().map(|drift| {
        let (was, is) = drift.change.words();
        let codes = match &drift.change {
            Change::NewCodes(codes) => Some(codes.iter().cloned().collect::<Vec<_>>()),
            _ => None,
        };
        json!({
            "change": drift.change.name(),
            "type": drift.message_type,
            "at": drift.at.to_string(),
            "name": name(drift.at),
            "before": was,
            "after": is,
            "codes": codes,
        })
    });
    json!({
        "before": side(before),
        "after": side(after),
        "changes": changes.collect::<Vec<_>>(),
    })
}

/// What changed, as a table.
pub(crate) fn changes(
    before: &Profile,
    after: &Profile,
    changes: &[Drift],
    paint: Paint,
) -> String {
    let mut text = Screen::default();
    let side = |side: &Profile| {
        let messages = counted(side.messages, "message");
        format!("{} ({messages})", printable(&side.name))
    };
    if changes.is_empty() {
        text.line(format_args!("{} sends what {} does", side(after), side(before)));
        return text.text();
    }
    let mut table = Table::new(vec![
        Column::left("CHANGE"),
        Column::flexible("PLACE"),
        Column::flexible("NAME"),
        Column::flexible("BEFORE"),
        Column::flexible("NOW"),
    ]);
    for drift in changes {
        let (was, is) = drift.change.words();
        let (place, name) = match (&drift.message_type, drift.at.field) {
            (Some(kind), Some(_)) => (kind.clone(), String::new()),
            (Some(kind), None) => (format!("{} in {kind}", drift.at), name(drift.at)),
            (None, _) => (drift.at.to_string(), name(drift.at)),
        };
        table.row(vec![drift.change.name().to_owned(), place, name, was, is]);
    }
    text.lines(&table.render(paint));
    let count = counted(changes.len() as u64, "change");
    text.line(format_args!("\n{count} from {} to {}", side(before), side(after)));
    text.text()
}

/// What stands at a place.
fn name(at: Location) -> String {
    let segment = at.segment.as_str();
    let name = match (at.field, at.component) {
        (None, _) => book::segment(segment),
        (Some(field), None) => book::field(Version::UK, segment, field).map(|part| part.name),
        (Some(field), Some(wanted)) => {
            book::field_component(Version::UK, segment, field, wanted).map(|part| part.name)
        }
    };
    name.unwrap_or_default().to_owned()
}

/// How channels kept to their profiles.
pub(crate) fn report(kept: &[Value], paint: Paint) -> String {
    let mut text = Screen::default();
    if kept.is_empty() {
        text.line("no channel has a profile: see `profile:` in docs/channels.md");
    }
    for (n, one) in kept.iter().enumerate() {
        if n > 0 {
            text.line("");
        }
        let title = format!(
            "{}: {} of {} broke a rule since {}",
            cell(one, "channel"),
            number(one, "breaching"),
            counted(number(one, "messages"), "message"),
            time_of_day(&cell(one, "since")),
        );
        text.line(paint.bold(&printable(&title)));
        let rules = list(one, "rules");
        if rules.is_empty() {
            continue;
        }
        let mut table = Table::new(vec![
            Column::right("MESSAGES"),
            Column::left("RULE"),
            Column::left("PLACE"),
            Column::flexible("NAME"),
            Column::right("EXAMPLE"),
        ]);
        for rule in rules {
            table.row(
                ["messages", "class", "at", "name", "example"].map(|key| cell(rule, key)).into(),
            );
        }
        text.lines(&table.render(paint));
        match number(one, "others") {
            0 => {}
            others => text.line(format_args!("and {others} times a rule beyond these")),
        }
    }
    text.text()
}

#[cfg(test)]
mod tests {
    use hl7::message::{Message, Reading};
    use hl7::profile::drift::drift as drifted;
    use hl7::profile::observe::Observed;

    use super::*;

    fn learned(pid: &str) -> Profile {
        let mut observed = Observed::default();
        for n in 0..30 {
            let text = format!("MSH|^~\\&|PAS||||||ADT^A01|{n}|P|2.4\r{pid}\r");
            let message = Message::parse(text.into_bytes(), &Reading::default()).expect("reads");
            observed.learn(&message);
        }
        observed.profile("pas-adt")
    }

    #[test]
    fn changes_fit_on_eighty_columns() {
        let before = learned("PID|1||7||SMITH|||F|||||01632");
        let long = "X".repeat(90);
        let after = learned(&format!("PID|1||7||{long}|||M\rZPI|1"));
        let changes = drifted(&before, &after);
        let shown = super::changes(&before, &after, &changes, Paint::plain());
        for part in ["new code", "\"M\"", "emptied", "PID-13", "longer", "new segment", "4 changes"]
        {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let document = drift(&before, &after, &changes);
        assert_eq!(document["changes"][1]["codes"], json!(["M"]));
        assert_eq!(document["changes"][1]["name"], "Administrative Sex");
        assert_eq!(profile(&before)["places"]["PID-8"]["codes"], json!(["F"]));
        let same = super::changes(&before, &before, &[], Paint::plain());
        assert_eq!(same, "pas-adt (30 messages) sends what pas-adt (30 messages) does\n");
    }

    #[test]
    fn a_report_names_rules_and_examples() {
        let kept = json!({
            "channel": "pas-adt", "messages": 20, "breaching": 2, "since": "no time", "others": 1,
            "rules": [{ "at": "PID-8", "name": "Administrative Sex", "class": "code",
                        "messages": 2, "example": 17 }],
        });
        let shown = report(&[kept], Paint::plain());
        assert!(
            shown.starts_with("pas-adt: 2 of 20 messages broke a rule since no time\n"),
            "{shown}"
        );
        assert!(shown.contains("2  code  PID-8  Administrative Sex       17\n"), "{shown}");
        assert!(shown.contains("and 1 times a rule beyond these"), "{shown}");
    }
}
