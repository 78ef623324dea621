//! Table 0136: Y and N.

/// Whether a code says yes or no; `None` if neither.
pub(crate) fn yes_or_no(code: &str) -> Option<bool> {
    match code.trim().to_ascii_uppercase().as_str() {
        "Y" => Some(true),
        "N" => Some(false),
        _ => None,
    }
}
