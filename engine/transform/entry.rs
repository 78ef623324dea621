//! The call of a script's `transform`.
//!
//! Rhai's own `call_fn` looks every function up anew in each run, by its name and the types of its
//! values, which costs more than most of them do. Here what earlier runs found is kept: the files
//! of a script never change, and [`crate::clashes`] sees to it that a name means one function.

use std::sync::{Mutex, PoisonError};

use rhai::{AST, Caches, Engine, EvalAltResult, ImmutableString, Scope};

use crate::check::ENTRY;
use crate::natives::message::Handle;

/// The variable that the message is in while `transform` is called.
const MESSAGE: &str = "message";

/// A compiled script and how it is called.
pub(crate) struct Entry {
    pub(crate) engine: Engine,
    pub(crate) ast: AST,
    source: Option<ImmutableString>,
    /// `transform(message)`.
    call: AST,
    /// What runs found out about functions, one for each that went on at the same time.
    found: Mutex<Vec<Caches>>,
}

impl Entry {
    pub(crate) fn new(engine: Engine, ast: AST) -> Self {
        let mut scope = Scope::new();
        scope.push(MESSAGE, ());
        let call = engine
            .compile_with_scope(&scope, format!("{ENTRY}({MESSAGE})"))
            .expect("a call of a function is a script");
        let source = ast.source().map(ImmutableString::from);
        Self { engine, ast, source, call, found: Mutex::default() }
    }

    /// Calls `transform` with the message. What it gives back means nothing.
    #[expect(deprecated, reason = "rhai's only way to keep what was found out about functions")]
    pub(crate) fn call(&self, message: Handle) -> Result<(), Box<EvalAltResult>> {
        let mut global = self.engine.new_global_runtime_state();
        global.source.clone_from(&self.source);
        global.lib.push(self.ast.shared_lib().clone());
        let mut scope = Scope::new();
        let mut found = self.found().pop().unwrap_or_default();
        let mut run = |scope: &mut Scope<'_>, ast: &AST| {
            self.engine.eval_statements_raw(&mut global, &mut found, scope, ast.statements())
        };
        let ended = run(&mut scope, &self.ast).and_then(|_| {
            scope.rewind(0);
            scope.push(MESSAGE, message);
            run(&mut scope, &self.call)
        });
        found.rewind_fn_resolution_caches(1);
        self.found().push(found);
        ended.map(drop)
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Vec<Caches>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
