//! Patient identifiers never stand in argv: every process on the machine can read it.

use std::ffi::OsString;

use anyhow::{Result, bail};
use record::nhs_number::NhsNumber;

/// Refuses a command line on which a valid NHS Number stands by itself, as `KEY=NUMBER`, or in
/// the usual three groups as three arguments.
pub(crate) fn refuse_nhs_numbers(arguments: &[OsString]) -> Result<()> {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    let alone = words.iter().any(|word| {
        let value = word.split_once('=').map_or(word.as_ref(), |(_, value)| value);
        is_nhs_number(word) || is_nhs_number(value)
    });
    let in_groups = words.windows(3).any(|three| is_nhs_number(&three.join(" ")));
    if alone || in_groups {
        bail!(
            "an NHS Number was given as an argument, where every process on this machine can \
             read it (and the shell's history keeps it)\n  help: give patient identifiers on \
             standard input (`messages --ask nhs`, `trace -`), or ask by message id or control id"
        );
    }
    Ok(())
}

/// Refuses a free text (a query, a reason) that holds a valid NHS Number: it stands in argv too,
/// and what is a reason is kept in the audit.
pub(crate) fn refuse_in_text(text: &str) -> Result<()> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_digit() && c != '-').collect();
    let alone = words.iter().any(|word| is_nhs_number(word));
    let in_groups = words.windows(3).any(|three| is_nhs_number(&three.join(" ")));
    if alone || in_groups {
        bail!(
            "a text given as an argument holds an NHS Number, which every process on this machine \
             can read\n  help: name the message by its id; `--ask nhs` and `trace -` read patient \
             identifiers from standard input"
        );
    }
    Ok(())
}

fn is_nhs_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits == 10 && NhsNumber::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&str]) -> bool {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        refuse_nhs_numbers(&words).is_err()
    }

    #[test]
    fn a_valid_number_is_refused_however_it_is_written() {
        assert!(refused(&["tieline", "messages", "9990000018"]));
        assert!(refused(&["tieline", "messages", "999 000 0018"]));
        assert!(refused(&["tieline", "messages", "999", "000", "0018"]));
        assert!(refused(&["tieline", "messages", "--nhs=9990000018"]));
    }

    #[test]
    fn other_numbers_pass() {
        assert!(!refused(&["tieline", "messages", "9990000019"]));
        assert!(!refused(&["tieline", "send", "--rate", "1000", "--to", "127.0.0.1:2575"]));
        assert!(!refused(&["tieline", "send", "samples/9990000018.hl7"]));
    }

    #[test]
    fn a_number_within_a_text_is_refused() {
        for text in
            ["control=9990000018", "wrong for 9990000018.", "999 000 0018", "(999-000-0018)"]
        {
            assert!(refuse_in_text(text).is_err(), "{text}");
        }
        for text in ["type=ADT^A01 since 2h", "asked at 2026-01-31 10:00", "ticket 9990000019", ""]
        {
            assert!(refuse_in_text(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_refusal_does_not_repeat_the_number() {
        let words = [OsString::from("9990000018")];
        let error = refuse_nhs_numbers(&words).expect_err("refused");
        assert!(!format!("{error:#}").contains("9990000018"));
    }
}
