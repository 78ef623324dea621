//! The texts a transform is made of, as they were read from the transforms folder.

use std::collections::BTreeMap;

/// Scripts and tables of one configuration. Compiling reads nothing else: what is not here cannot
/// be imported or looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Script text by path below the transforms folder: `pas_adt.rhai`, `lib/uk_adt.rhai`.
    pub scripts: BTreeMap<String, String>,
    /// Table text (CSV) by name without folder and ending: `wards` for `tables/wards.csv`.
    pub tables: BTreeMap<String, String>,
}

/// A value of a channel's `settings`, which a script reads with `setting("name")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// Yes or no.
    Flag(bool),
}
