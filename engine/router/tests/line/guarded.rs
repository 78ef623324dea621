//! Whom an event may reach, judged by what the second opinion says of its patient.

use serde_json::Value;

/// What is known of the patient of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// Whether its patient is protected, and whether it dissents, once the message counts.
    pub(crate) is: [bool; 2],
    /// Whether anything of that was so of anybody whom the message names, or is said by it.
    pub(crate) may_be: bool,
}

/// Somebody who may have everything: an event that nobody may have does not leave.
pub(crate) fn entitled() -> String {
    let sees = ["protected", "dissent"].map(|sees| {
        format!(
            "{{sees: {sees}, justification: Direct care after review, \
             approved_by: A Person (Caldicott Guardian), until: 2099-12-31}}"
        )
    });
    format!(
        "subscribers={{records: {{receives: ['*'], organisation: RXX, restricted: true, \
         entitlements: [{}]}}}}",
        sees.join(", ")
    )
}

/// Nobody without entitlement gets an event of somebody who is protected or dissents, nor reads in any
/// where a protected one is; and everybody gets those of somebody who is neither, also who was.
pub(crate) fn assert_reaches(what: &str, key: &str, event: &Value, guard: Guard) {
    let word = key.rsplit('.').next().unwrap_or_default();
    let marks: Vec<&str> = word.split('-').collect();
    for (mark, is) in ["restricted", "dissent"].into_iter().zip(guard.is) {
        assert!(!is || marks.contains(&mark), "{what}: leaves as {word}, and is {guard:?}");
    }
    assert!(guard.may_be || word == "normal", "{what}: leaves as {word}, and is {guard:?}");
    let sensitivity = if word == "normal" { "normal" } else { "restricted" };
    assert_eq!(event["sensitivity"], sensitivity, "{what}: {word}");
    if marks.contains(&"restricted") {
        let text = event["data"].to_string();
        assert!(!text.contains("WARD1") && !text.contains("BED2"), "{what}: says where");
    }
}
