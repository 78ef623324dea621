//! Compiles a script with the libraries it imports; lists every problem of every file.

use std::collections::{BTreeMap, BTreeSet};

use rhai::module_resolvers::StaticModuleResolver;
use rhai::{AST, Engine, OptimizationLevel, ParseErrorType};

use crate::check::{self, Import};
use crate::clashes::Clashes;
use crate::engine;
use crate::findings::{Findings, Module};
use crate::functions::Functions;
use crate::limits::Limits;
use crate::problem::{ScriptPlace, ScriptProblem, Severity, place};
use crate::sources::{Setting, Sources};
use crate::table::Table;

/// A script ready to run, and what was found on the way.
pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    pub(crate) ast: AST,
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) settings_used: BTreeSet<String>,
    pub(crate) places: Vec<ScriptPlace>,
    pub(crate) files: Vec<String>,
    pub(crate) closures: BTreeMap<String, String>,
    pub(crate) warnings: Vec<ScriptProblem>,
}

/// Compiles `path` of the sources.
pub(crate) fn compile(
    sources: &Sources,
    path: &str,
    settings: &BTreeMap<String, Setting>,
    limits: &Limits,
) -> Result<Compiled, Vec<ScriptProblem>> {
    let mut compiler = Compiler::new(sources, settings, limits);
    let ast = compiler.entry(path);
    compiler.problems.extend(compiler.clashes.problems());
    let tables = compiler.tables();
    let (errors, warnings): (Vec<_>, Vec<_>) =
        compiler.problems.iter().cloned().partition(|p| p.severity == Severity::Error);
    match ast {
        Some(ast) if errors.is_empty() => Ok(Compiled {
            engine: compiler.engine,
            ast,
            tables,
            settings_used: compiler.settings_used,
            places: compiler.places,
            files: compiler.files,
            closures: compiler.closures,
            warnings,
        }),
        _ => Err(compiler.problems),
    }
}

struct Compiler<'a> {
    sources: &'a Sources,
    settings: &'a BTreeMap<String, Setting>,
    engine: Engine,
    native: Functions,
    /// Libraries done, by the name they are imported under.
    modules: BTreeMap<String, Module>,
    resolver: StaticModuleResolver,
    /// Libraries that are being compiled: one of them again is a circle.
    open: Vec<String>,
    /// Libraries that have problems and are not compiled again.
    failed: BTreeSet<String>,
    files: Vec<String>,
    closures: BTreeMap<String, String>,
    problems: Vec<ScriptProblem>,
    tables_used: BTreeSet<String>,
    settings_used: BTreeSet<String>,
    places: Vec<ScriptPlace>,
    uses_any_table: bool,
    clashes: Clashes,
}

impl<'a> Compiler<'a> {
    fn new(sources: &'a Sources, settings: &'a BTreeMap<String, Setting>, limits: &Limits) -> Self {
        let engine = engine::build(limits);
        Self {
            sources,
            settings,
            native: Functions::of(&engine),
            engine,
            modules: BTreeMap::new(),
            resolver: StaticModuleResolver::new(),
            open: Vec::new(),
            failed: BTreeSet::new(),
            files: Vec::new(),
            closures: BTreeMap::new(),
            problems: Vec::new(),
            tables_used: BTreeSet::new(),
            settings_used: BTreeSet::new(),
            places: Vec::new(),
            uses_any_table: false,
            clashes: Clashes::default(),
        }
    }

    fn entry(&mut self, path: &str) -> Option<AST> {
        let Some(text) = self.sources.scripts.get(path) else {
            let known = self.sources.scripts.keys().map(String::as_str);
            let problem = ScriptProblem::error(path, (0, 0), "there is no such script")
                .suggest(path, known.filter(|known| !known.starts_with("lib/")));
            self.problems.push(problem);
            return None;
        };
        self.file(path, text, true)
    }

    /// Compiles one file after the libraries it imports.
    fn file(&mut self, file: &str, text: &str, is_entry: bool) -> Option<AST> {
        let before = self.problems.len();
        self.files.push(file.to_owned());
        let mut ast = match self.engine.compile_with_scope(&engine::scope(), text) {
            Ok(ast) => ast,
            Err(error) => {
                self.problems.push(syntax(file, &error));
                return None;
            }
        };
        ast.set_source(file);
        let closures = check::closures(&ast).map(|name| (name, file.to_owned()));
        self.closures.extend(closures);
        let (imports, problems) = check::imports(file, &ast);
        self.problems.extend(problems);
        for import in &imports {
            self.import(file, import);
        }
        self.check(file, &ast, &imports, is_entry);
        let sound =
            self.problems[before..].iter().all(|problem| problem.severity == Severity::Warning);
        sound.then(|| self.engine.optimize_ast(&engine::scope(), ast, OptimizationLevel::Simple))
    }

    fn check(&mut self, file: &str, ast: &AST, imports: &[Import], is_entry: bool) {
        let mut findings = Findings {
            file,
            sources: self.sources,
            settings: self.settings,
            native: &self.native,
            modules: &self.modules,
            imports: imports.iter().map(|i| (i.alias.clone(), i.path.clone())).collect(),
            own: Functions::defined(ast, true),
            problems: Vec::new(),
            tables_used: BTreeSet::new(),
            settings_used: BTreeSet::new(),
            places: Vec::new(),
            called: BTreeMap::new(),
            uses_any_table: false,
        };
        findings.file(ast, is_entry);
        self.clashes.add(file, ast, std::mem::take(&mut findings.called));
        self.uses_any_table |= findings.uses_any_table;
        self.tables_used.append(&mut findings.tables_used);
        self.settings_used.append(&mut findings.settings_used);
        self.places.append(&mut findings.places);
        self.problems.append(&mut findings.problems);
    }

    /// Compiles a library once, and makes it known under its name.
    fn import(&mut self, from: &str, import: &Import) {
        let name = import.path.as_str();
        if self.modules.contains_key(name) || self.failed.contains(name) {
            return;
        }
        let problem = |message: String| ScriptProblem::error(from, place(import.at), message);
        if self.open.iter().any(|open| open == name) {
            self.problems.push(problem(format!("`{name}` imports itself in a circle")));
            return;
        }
        let file = format!("{name}.rhai");
        let text = name.strip_prefix("lib/").and_then(|_| self.sources.scripts.get(&file));
        let Some(text) = text else {
            let libraries = self.sources.scripts.keys().filter_map(|path| {
                path.strip_suffix(".rhai").filter(|path| path.starts_with("lib/"))
            });
            self.problems
                .push(problem(format!("there is no library `{name}`")).suggest(name, libraries));
            self.failed.insert(name.to_owned());
            return;
        };
        self.open.push(name.to_owned());
        let done = self.file(&file, text, false).is_some_and(|ast| self.load(name, &file, &ast));
        self.open.pop();
        if !done {
            self.failed.insert(name.to_owned());
        }
    }

    /// Evaluates the constants of a library, so that it can be imported.
    fn load(&mut self, name: &str, file: &str, ast: &AST) -> bool {
        match rhai::Module::eval_ast_as_new(engine::scope(), ast, &self.engine) {
            Ok(module) => {
                self.resolver.insert(name, module);
                self.engine.set_module_resolver(self.resolver.clone());
                let functions = Functions::defined(ast, false);
                self.modules.insert(name.to_owned(), Module { functions });
                true
            }
            Err(error) => {
                let problem = ScriptProblem::error(file, place(error.position()), {
                    let mut error = error;
                    error.clear_position();
                    error.to_string()
                });
                self.problems.push(problem);
                false
            }
        }
    }

    /// The tables that the script may look into; the problems of those.
    fn tables(&mut self) -> BTreeMap<String, Table> {
        let mut tables = BTreeMap::new();
        for (name, text) in &self.sources.tables {
            if !self.uses_any_table && !self.tables_used.contains(name) {
                continue;
            }
            match Table::parse(name, text) {
                Ok(table) => drop(tables.insert(name.clone(), table)),
                Err(problems) => self.problems.extend(problems),
            }
        }
        tables
    }
}

/// A parse error with a hint for what surprises people most.
fn syntax(file: &str, error: &rhai::ParseError) -> ScriptProblem {
    let problem = ScriptProblem::error(file, place(error.1), error.0.to_string());
    match &*error.0 {
        ParseErrorType::Reserved(word) => problem
            .with_help(format!("`{word}` is reserved by the script language; choose another name")),
        ParseErrorType::VariableUndefined(name) => {
            problem.suggest(name, engine::CONSTANTS.into_iter())
        }
        ParseErrorType::ModuleUndefined(name) => {
            problem.with_help(format!("begin the file with: import \"lib/...\" as {name};"))
        }
        _ => problem,
    }
}
