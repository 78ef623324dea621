//! The function reference, drawn from the same registrations that scripts are run with.

use crate::reference::FunctionDoc;
use crate::words::WORDS;

/// Every word a script has beyond the language itself, by chapter.
pub fn functions() -> &'static [FunctionDoc] {
    &WORDS.docs
}
