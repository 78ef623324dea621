//! What words say that stand where an allergy should be named: that there is none, that nobody asked,
//! or something of which only a person can tell.
//!
//! Only whole statements of the table count. A statement with something behind it may take back what
//! it says (`No known allergies except latex`), so that nothing but who said it is passed over.

use crate::fhir::tables::ALLERGY_ABSENCE;

/// Whom a statement is of, before it.
const OF_WHOM: [&str; 6] =
    ["THE PATIENT HAS", "PATIENT HAS", "PT HAS", "THE PATIENT", "PATIENT", "PT"];
/// That somebody has said it, behind it.
const SAID: [&str; 5] = ["CONFIRMED", "CHECKED", "VERIFIED", "REPORTED", "STATED"];
/// Who says it.
const BY_WHOM: [&str; 9] =
    ["PATIENT", "PT", "CARER", "FAMILY", "RELATIVE", "PARENT", "PARENTS", "MOTHER", "FATHER"];
/// What denies something that follows.
const DENIALS: [&str; 11] = [
    "CANNOT", "DENIED", "DENIES", "NEVER", "NIL", "NO", "NONE", "NOT", "NOTHING", "UNABLE",
    "UNKNOWN",
];
/// What denies by itself.
const ABBREVIATIONS: [&str; 3] = ["NKA", "NKDA", "NKFA"];

/// The code of the table for a text that denies, if it is nothing but a denial.
pub(crate) fn absence(text: &str) -> Option<&'static str> {
    let words = bare(text);
    ALLERGY_ABSENCE.code(&words).or_else(|| ALLERGY_ABSENCE.code(statement(&words)))
}

/// Whether a text denies an allergy in some way: a word of denial before one of allergy, or behind
/// `Allergies` as its beginning.
pub(crate) fn is_unclear(text: &str) -> bool {
    let words = bare(text);
    let words: Vec<&str> = words.split(' ').collect();
    let denial = words.iter().position(|word| DENIALS.contains(word));
    let last = words.iter().rposition(|word| is_allergy(word));
    let titled = words.starts_with(&["ALLERGIES"]) || words.starts_with(&["ALLERGY", "STATUS"]);
    words.iter().any(|word| ABBREVIATIONS.contains(word))
        || denial.zip(last).is_some_and(|(denial, last)| titled || denial < last)
}

/// Whether a text begins with a word of denial.
pub(crate) fn begins_with_denial(text: &str) -> bool {
    let words = bare(text);
    words.split(' ').next().is_some_and(|first| DENIALS.contains(&first))
}

/// An unknown allergen is one.
fn is_allergy(word: &str) -> bool {
    word.starts_with("ALLERG") && !word.starts_with("ALLERGEN")
}

/// Without whom it is of and who says it.
fn statement(words: &str) -> &str {
    let whom = OF_WHOM.iter().find_map(|whom| words.strip_prefix(whom)?.strip_prefix(' '));
    let words = whom.unwrap_or(words);
    let said = || {
        let (rest, who) = words.rsplit_once(' ')?;
        let (rest, with) = rest.rsplit_once(' ')?;
        let (rest, said) = rest.rsplit_once(' ')?;
        let known = BY_WHOM.contains(&who) && matches!(with, "BY" | "WITH") && SAID.contains(&said);
        known.then_some(rest)
    };
    said().unwrap_or(words)
}

/// Words in capitals, without punctuation and with one blank between: `No known allergies.` is what
/// it says.
fn bare(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { ' ' };
    let words: String = text.chars().map(plain).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_deny_or_name_an_allergy_or_are_unclear() {
        for (words, said) in [
            ("Patient has no allergies", "none"),
            ("No Known Allergies (confirmed with patient)", "none"),
            ("Pt denies any known allergies.", "none"),
            ("NKDA, confirmed by carer", "none-drug"),
            ("Unable to obtain allergy status", "not-asked"),
            ("Allergy status not known", "not-asked"),
            ("Patient not asked", "not-asked"),
            ("NKDA - see notes", "unclear"),
            ("No allergy to penicillin recorded", "unclear"),
            ("No known allergies except latex", "unclear"),
            ("No known allergies confirmed", "unclear"),
            ("No longer allergic to eggs", "unclear"),
            ("Allergies: eggs, nil else", "unclear"),
            ("Allergic to penicillin, reaction unknown", ""),
            ("Penicillin allergy - no details", ""),
            ("Unknown allergen", ""),
            ("No penicillin", ""),
            ("", ""),
        ] {
            let unclear = if is_unclear(words) { "unclear" } else { "" };
            assert_eq!(absence(words).unwrap_or(unclear), said, "{words}");
        }
    }

    #[test]
    fn what_only_begins_with_a_denial_is_noticed() {
        assert!(begins_with_denial("No penicillin") && begins_with_denial("unable to say"));
        assert!(!begins_with_denial("Nonsteroidals") && !begins_with_denial(""));
    }
}
