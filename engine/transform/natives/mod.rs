//! The native functions by chapter of the reference.

pub(crate) mod builders;
pub(crate) mod changes;
pub(crate) mod message;
pub(crate) mod patient;
pub(crate) mod resource;
pub(crate) mod results;
pub(crate) mod tables;

use crate::vocabulary::Vocabulary;

pub(crate) fn register(words: &mut Vocabulary) {
    message::register(words);
    results::register(words);
    tables::register(words);
    patient::register(words);
    changes::register(words);
    resource::register(words);
    builders::register(words);
}
