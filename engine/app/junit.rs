//! The report that build servers read: `JUnit`'s XML.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::paint::Paint;
use crate::verdict::{Tested, Verdict, difference};

/// Writes the report, one suite a channel.
pub(crate) fn write(file: &Path, all: &[Tested]) -> Result<()> {
    fs::write(file, report(all)).with_context(|| format!("cannot write {}", file.display()))
}

fn report(all: &[Tested]) -> String {
    let mut suites: BTreeMap<&str, Vec<&Tested>> = BTreeMap::new();
    for tested in all {
        suites.entry(&tested.case.channel).or_default().push(tested);
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (channel, tests) in suites {
        let failures = tests.iter().filter(|tested| !tested.is_well()).count();
        let name = escaped(channel);
        put(
            &mut xml,
            format_args!(
                "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failures}\">\n",
                tests.len()
            ),
        );
        for tested in tests {
            let case = escaped(&tested.case.name);
            let seconds = tested.took.as_secs_f64();
            put(
                &mut xml,
                format_args!(
                    "    <testcase classname=\"{name}\" name=\"{case}\" time=\"{seconds:.3}\">"
                ),
            );
            if let Some((message, text)) = failure(tested) {
                let text = escaped(&text);
                put(&mut xml, format_args!("<failure message=\"{message}\">{text}</failure>"));
            }
            xml.push_str("</testcase>\n");
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn failure(tested: &Tested) -> Option<(&'static str, String)> {
    match &tested.verdict {
        Verdict::Passed | Verdict::Updated => None,
        Verdict::Broken(why) => Some(("the case could not be played", why.clone())),
        Verdict::Different { expected, found } => {
            Some(("not as expected", difference(expected, found, Paint::new(false))))
        }
    }
}

fn put(xml: &mut String, text: std::fmt::Arguments<'_>) {
    xml.write_fmt(text).expect("a string takes any text");
}

/// Without what XML 1.0 cannot hold, and with entities for what means something in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(escaped("a<b>\"&\u{1b}\n"), "a&lt;b&gt;&quot;&amp;\u{fffd}\n");
    }
}
