//! All the words a script may use, put together once for all scripts.

use std::sync::{Arc, LazyLock};

use rhai::{Module, Shared};

use crate::reference::FunctionDoc;
use crate::vocabulary::Vocabulary;
use crate::{hardened, natives, null};

/// A module that every engine shares, and the reference.
pub(crate) struct Words {
    pub(crate) module: Shared<Module>,
    pub(crate) docs: Vec<FunctionDoc>,
}

/// To be registered after Rhai's packages, so that ours win over theirs.
pub(crate) static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let mut words = Vocabulary::new();
    natives::register(&mut words);
    null::register(&mut words);
    hardened::register(&mut words);
    let (module, docs) = words.finish();
    Words { module: Arc::new(module), docs }
});
