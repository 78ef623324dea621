//! Checks of the calls in a script: do the names exist, are the literal arguments right?

use std::collections::BTreeSet;

use hl7::location::{Location, SegmentName};
use rhai::{Expr, FnCallExpr, Position};

use crate::findings::{Findings, Module};
use crate::functions::is_word;
use crate::problem::{ScriptPlace, ScriptProblem, place};

/// What Rhai calls without a registration.
const BUILT_IN: [&str; 9] =
    ["Fn", "call", "curry", "type_of", "is_shared", "is_def_var", "is_def_fn", "print", "debug"];

/// How a call is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `name(values)`.
    Plain,
    /// `object.name(values)`: the object counts as a value for a native function.
    Method,
}

impl Findings<'_> {
    /// Checks `name(values)`.
    pub(crate) fn call(&mut self, call: &FnCallExpr, at: Position) {
        if call.is_operator_call() || !is_word(&call.name) {
            return;
        }
        if call.is_qualified() {
            self.qualified(call, at);
        } else {
            self.named(call, at, Form::Plain);
            self.values(call, at);
        }
    }

    /// Checks `object.name(values)`.
    pub(crate) fn method(&mut self, call: &FnCallExpr, at: Position) {
        if !is_word(&call.name) {
            return;
        }
        self.named(call, at, Form::Method);
        let first = call.args.first();
        match call.name.as_str() {
            "segments" => self.segment_name(first),
            "groups" => {
                if let Some(Expr::Array(names, _)) = first {
                    names.iter().for_each(|name| self.segment_name(Some(name)));
                }
            }
            "repetitions" | "has" => {
                if let Some((text, at)) = literal(first)
                    && looks_like_location(text)
                {
                    self.location(text, at);
                }
            }
            _ => {}
        }
    }

    /// Checks `object["PID-5.1"]`; `strict` when the object surely is the message.
    pub(crate) fn index(&mut self, index: &Expr, strict: bool) {
        if let Some((text, at)) = literal(Some(index))
            && (strict || looks_like_location(text))
        {
            self.location(text, at);
        }
    }

    fn qualified(&mut self, call: &FnCallExpr, at: Position) {
        let root = call.namespace.root();
        let Some(module) = self.module(root) else { return };
        if call.namespace.path.len() > 1 {
            return;
        }
        let problem = match module.functions.counts(&call.name) {
            Some(values) if values.contains(&call.args.len()) => return,
            Some(values) => self.wrong_count(&call.name, call.args.len(), values, at),
            None => self
                .error(at, format!("`{root}` has no function `{}`", call.name))
                .suggest(&call.name, module.functions.names()),
        };
        self.problems.push(problem);
    }

    fn named(&mut self, call: &FnCallExpr, at: Position, form: Form) {
        let name = call.name.as_str();
        if BUILT_IN.contains(&name) {
            return;
        }
        let own = self.own.counts(name);
        let native = self.native.counts(name);
        let given = call.args.len();
        self.called.entry((name.to_owned(), given)).or_insert(at);
        let with_object = given + usize::from(form == Form::Method);
        let holds = |set: Option<&BTreeSet<usize>>, n| set.is_some_and(|set| set.contains(&n));
        if holds(own, given) || holds(own, with_object) || holds(native, with_object) {
            return;
        }
        let problem = match own.or(native) {
            Some(values) if form == Form::Plain => self.wrong_count(name, given, values, at),
            Some(values) => {
                let values = values.iter().filter_map(|n| n.checked_sub(1)).collect();
                self.wrong_count(name, given, &values, at)
            }
            None => self
                .error(at, format!("there is no function `{name}`"))
                .suggest(name, self.native.names().chain(self.own.names())),
        };
        self.problems.push(problem);
    }

    fn wrong_count(
        &self,
        name: &str,
        given: usize,
        allowed: &BTreeSet<usize>,
        at: Position,
    ) -> ScriptProblem {
        let allowed: Vec<String> = allowed.iter().map(usize::to_string).collect();
        self.error(at, format!("`{name}` takes {} values, not {given}", allowed.join(" or ")))
    }

    /// The literal values of our own functions.
    fn values(&mut self, call: &FnCallExpr, at: Position) {
        let first = call.args.first();
        match call.name.as_str() {
            "emit" => {
                if let Some((name, at)) = literal(first) {
                    self.event_type(name, at);
                }
            }
            "filter" if call.args.len() > 1 => {}
            name @ ("filter" | "park" | "quality") => self.code(name, first, at),
            "table" | "table_required" => self.table(first),
            "name_wards" | "name_service" => self.table(call.args.get(1)),
            "setting" => {
                if let Some((name, at)) = literal(first) {
                    self.setting(name, at, call.args.len() > 1);
                }
            }
            _ => {}
        }
    }

    fn event_type(&mut self, name: &str, at: Position) {
        let problem = match record::catalogue::lookup(name) {
            Some(kind) if !kind.engine => return,
            Some(_) => self
                .error(at, format!("`{name}` is made by the engine, never by a script"))
                .with_help("take the emit out: the event comes before those of the script"),
            None => {
                let scripted = record::catalogue::all().iter().filter(|known| !known.engine);
                self.error(at, format!("`{name}` is not an event type"))
                    .suggest(name, scripted.map(|known| known.name))
            }
        };
        self.problems.push(problem);
    }

    fn code(&mut self, function: &str, code: Option<&Expr>, at: Position) {
        let help = "a code is lower-case letters, dots and hyphens: \"ward.unknown\"";
        match literal(code) {
            Some((code, _)) if is_code(code) => {}
            Some((code, at)) => {
                let problem = self.error(at, format!("`{code}` is not a code")).with_help(help);
                self.problems.push(problem);
            }
            None => {
                let at = code.map_or(at, Expr::start_position);
                let message = format!("the code of `{function}` must stand here as a literal");
                let help = "put what varies into the detail: park(\"code\", detail)";
                let problem = self.error(at, message).with_help(help);
                self.problems.push(problem);
            }
        }
    }

    fn table(&mut self, name: Option<&Expr>) {
        let Some((name, at)) = literal(name) else {
            self.uses_any_table = true;
            return;
        };
        self.tables_used.insert(name.to_owned());
        if !self.sources.tables.contains_key(name) {
            let problem = self
                .error(at, format!("there is no table `{name}`"))
                .suggest(name, self.sources.tables.keys().map(String::as_str));
            self.problems.push(problem);
        }
    }

    fn setting(&mut self, name: &str, at: Position, has_default: bool) {
        self.settings_used.insert(name.to_owned());
        if !has_default && !self.settings.contains_key(name) {
            let problem = self
                .error(at, format!("the channel has no setting `{name}`"))
                .suggest(name, self.settings.keys().map(String::as_str));
            self.problems.push(problem);
        }
    }

    fn segment_name(&mut self, name: Option<&Expr>) {
        let Some((name, at)) = literal(name) else { return };
        if let Ok(segment) = name.parse::<SegmentName>() {
            self.place(Location::segment(segment), at);
            return;
        }
        let problem = self
            .error(at, format!("`{name}` is not a segment name"))
            .with_help("three capital letters or digits: \"OBX\"");
        self.problems.push(problem);
    }

    fn location(&mut self, text: &str, at: Position) {
        match text.parse::<Location>() {
            Ok(location) => self.place(location, at),
            Err(error) => {
                let problem = self.error(at, format!("`{text}`: {error}"));
                self.problems.push(problem);
            }
        }
    }

    fn place(&mut self, location: Location, at: Position) {
        let (line, column) = place(at);
        self.places.push(ScriptPlace { file: self.file.to_owned(), line, column, at: location });
    }

    fn module(&self, alias: &str) -> Option<&Module> {
        self.imports.get(alias).and_then(|path| self.modules.get(path))
    }
}

/// Whether a text is a reason code.
pub(crate) fn is_code(text: &str) -> bool {
    let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'.' | b'-');
    !text.is_empty() && text.len() <= 64 && text.bytes().all(letter)
}

/// The text of a literal expression and its place.
pub(crate) fn literal(expression: Option<&Expr>) -> Option<(&str, Position)> {
    match expression {
        Some(Expr::StringConstant(text, at)) => Some((text.as_str(), *at)),
        _ => None,
    }
}

/// `PID-3`, `OBX(2)-5.1`: three capitals or digits and then what only a location has.
fn looks_like_location(text: &str) -> bool {
    text.is_char_boundary(3)
        && text.get(..3).is_some_and(|name| name.parse::<SegmentName>().is_ok())
        && text.get(3..).is_some_and(|rest| rest.starts_with(['-', '.', '(', '[']))
}
