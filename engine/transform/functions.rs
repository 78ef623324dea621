//! Which functions there are, and with how many values they may be called.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, Engine, FnAccess};

/// Function names and how many values each may be given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Functions(BTreeMap<String, BTreeSet<usize>>);

impl Functions {
    /// All native functions of an engine.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut functions = Self::default();
        let all = engine.collect_fn_metadata(
            None,
            |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
            true,
        );
        for (name, values) in all {
            functions.add(&name, values);
        }
        functions
    }

    /// The functions of a file; those that others may call, or all.
    pub(crate) fn defined(ast: &AST, include_private: bool) -> Self {
        let mut functions = Self::default();
        for function in ast.iter_functions() {
            if include_private || function.access == FnAccess::Public {
                functions.add(function.name, function.params.len());
            }
        }
        functions
    }

    fn add(&mut self, name: &str, values: usize) {
        self.0.entry(name.to_owned()).or_default().insert(values);
    }

    /// The counts of values that a function of that name takes.
    pub(crate) fn counts(&self, name: &str) -> Option<&BTreeSet<usize>> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| is_word(name))
    }
}

/// Whether a name is one that people write, and no operator.
pub(crate) fn is_word(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}
