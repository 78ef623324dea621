//! Functions of several files of one script that have the same name.
//!
//! Rhai looks a function up by its name and the count of its values, and remembers what it found for
//! the rest of the run (`FnResolutionCache`, rhai 1.27). It does not forget it on the way into another
//! file, so that a call by the bare name there may reach the first file's function: which one, depends
//! on a filter over hashes that differ from build to build. So whatever one file defines and calls by
//! its bare name, no other file may call by its bare name.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, Position};

use crate::problem::{ScriptProblem, place};

/// A name and how many values are given.
type Name = (String, usize);

/// What the files of a script define and call by bare names.
#[derive(Default)]
pub(crate) struct Clashes {
    defined: BTreeMap<Name, BTreeSet<String>>,
    called: BTreeMap<Name, BTreeMap<String, Position>>,
}

impl Clashes {
    /// Adds a file with its first call of each name.
    pub(crate) fn add(&mut self, file: &str, ast: &AST, called: BTreeMap<Name, Position>) {
        for function in ast.iter_functions() {
            let name = (function.name.to_owned(), function.params.len());
            self.defined.entry(name).or_default().insert(file.to_owned());
        }
        for (name, at) in called {
            self.called.entry(name).or_default().insert(file.to_owned(), at);
        }
    }

    /// A problem for each call that may reach another file's function.
    pub(crate) fn problems(&self) -> impl Iterator<Item = ScriptProblem> {
        let shared = self.called.iter().filter(|(_, files)| files.len() > 1);
        shared.flat_map(|(name, files)| {
            let definers = self.defined.get(name);
            let own = move |file: &String| definers.is_some_and(|definers| definers.contains(file));
            files.iter().filter(move |(file, _)| own(file)).map(move |(file, at)| {
                let others: Vec<&str> =
                    files.keys().filter(|other| *other != file).map(String::as_str).collect();
                let others = others.join(", ");
                let message = format!(
                    "`{}` is a function of this file, and {others} calls another one of that name",
                    name.0
                );
                ScriptProblem::error(file, place(*at), message)
                    .with_help("rename one of them: a call by the bare name may reach either")
            })
        })
    }
}
