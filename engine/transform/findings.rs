//! A script file under check: what is known around it, and what was found in it.

use std::collections::{BTreeMap, BTreeSet};

use rhai::Position;

use crate::functions::Functions;
use crate::problem::{ScriptPlace, ScriptProblem, place};
use crate::sources::{Setting, Sources};

/// What a library offers to those who import it.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) functions: Functions,
}

/// One file under check, with what is known around it and what was found in it.
pub(crate) struct Findings<'a> {
    pub(crate) file: &'a str,
    pub(crate) sources: &'a Sources,
    pub(crate) settings: &'a BTreeMap<String, Setting>,
    /// Functions that the engine has.
    pub(crate) native: &'a Functions,
    /// Libraries by path, compiled before this file.
    pub(crate) modules: &'a BTreeMap<String, Module>,
    /// Paths by the names this file gives them.
    pub(crate) imports: BTreeMap<String, String>,
    /// Functions of this file.
    pub(crate) own: Functions,
    pub(crate) problems: Vec<ScriptProblem>,
    pub(crate) tables_used: BTreeSet<String>,
    pub(crate) settings_used: BTreeSet<String>,
    /// Places in a message that stand in it as literals.
    pub(crate) places: Vec<ScriptPlace>,
    /// The first call of each name that is not of a library.
    pub(crate) called: BTreeMap<(String, usize), Position>,
    /// A table name is computed, so any table may be used.
    pub(crate) uses_any_table: bool,
}

impl Findings<'_> {
    pub(crate) fn error(&self, at: Position, message: impl Into<String>) -> ScriptProblem {
        ScriptProblem::error(self.file, place(at), message)
    }
}
