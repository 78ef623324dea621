//! Checks a script file as it was written: every problem that can be known before a message comes.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, Position, Stmt, SwitchCasesCollection};

use crate::calls::literal;
use crate::findings::Findings;
use crate::problem::{ScriptProblem, place};

/// The function that every script has.
pub(crate) const ENTRY: &str = "transform";

/// An `import` statement with a literal path.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: String,
    pub(crate) alias: String,
    pub(crate) at: Position,
}

/// The imports of a file, and a problem for each that is not a literal.
pub(crate) fn imports(file: &str, ast: &AST) -> (Vec<Import>, Vec<ScriptProblem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, at))) = path.last() {
            match literal(Some(&import.0)) {
                Some((name, at)) => found.push(Import {
                    path: name.to_owned(),
                    alias: import.1.name.to_string(),
                    at,
                }),
                None => problems.push(
                    ScriptProblem::error(file, place(*at), "an import must name its library")
                        .with_help("write the name as a literal: import \"lib/name\" as name;"),
                ),
            }
        }
        true
    });
    (found, problems)
}

/// The names that Rhai made up for the closures of a file.
pub(crate) fn closures(ast: &AST) -> impl Iterator<Item = String> {
    ast.iter_functions()
        .filter(|function| function.name.contains('$'))
        .map(|function| function.name.to_owned())
}

impl Findings<'_> {
    /// Checks the whole file.
    pub(crate) fn file(&mut self, ast: &AST, is_entry: bool) {
        self.outside_functions(ast);
        if is_entry {
            self.entry(ast);
        }
        let messages = message_names(ast);
        ast.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => self.call(call, *at),
                Some(ASTNode::Expr(expression)) => self.expression(expression, &messages),
                _ => {}
            }
            true
        });
    }

    fn expression(&mut self, expression: &Expr, messages: &BTreeSet<String>) {
        match expression {
            Expr::FnCall(call, at) => self.call(call, *at),
            Expr::MethodCall(call, at) => self.method(call, *at),
            Expr::Index(pair, ..) => {
                let of_message = matches!(&pair.lhs, Expr::Variable(name, ..)
                    if messages.contains(name.1.as_str()));
                self.index(first_link(&pair.rhs), of_message);
            }
            _ => {}
        }
    }

    /// Statements outside functions would run for every message, and in a library only once.
    fn outside_functions(&mut self, ast: &AST) {
        for statement in ast.statements() {
            let allowed = match statement {
                Stmt::Noop(_) | Stmt::Import(..) | Stmt::Export(..) => true,
                Stmt::Var(_, flags, _) => flags.contains(rhai::ASTFlags::CONSTANT),
                _ => false,
            };
            if !allowed {
                let problem = self
                    .error(statement.position(), "a statement outside every function")
                    .with_help("only `import` and `const` may stand there; move it into a `fn`");
                self.problems.push(problem);
            }
        }
    }

    fn entry(&mut self, ast: &AST) {
        let Some(entry) = ast.iter_fn_def().find(|f| f.name == ENTRY && f.params.len() == 1) else {
            let problem = self
                .error(Position::NONE, "the script has no function `transform(msg)`")
                .with_help("write fn transform(msg) { ... }");
            self.problems.push(problem);
            return;
        };
        let (from, to) = (entry.body.start_position(), entry.body.end_position());
        let mut warned = Vec::new();
        ast.walk(&mut |path| {
            if let Some(ASTNode::Stmt(Stmt::Switch(switch, at))) = path.last()
                && *at >= from
                && (*at <= to || to.is_none())
                && let Some(at) = filtered_by_default(&switch.1)
            {
                warned.push(at);
            }
            true
        });
        for at in warned {
            let problem = self
                .error(at, "whatever is not named in this switch is filtered unseen")
                .with_help("park(\"trigger.unknown\") shows what nobody thought of")
                .only_a_warning();
            self.problems.push(problem);
        }
    }
}

/// The place of `_ => filter(...)`, if the switch has it.
fn filtered_by_default(cases: &SwitchCasesCollection) -> Option<Position> {
    match &cases.expressions.get(cases.def_case?)?.rhs {
        Expr::FnCall(call, at) if call.name == "filter" => Some(*at),
        Expr::Stmt(block) => match block.statements().last()? {
            Stmt::FnCall(call, at) if call.name == "filter" => Some(*at),
            Stmt::Expr(expression) => match &**expression {
                Expr::FnCall(call, at) if call.name == "filter" => Some(*at),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Variables that surely hold the message: the entry's parameter, and what is named `msg`.
fn message_names(ast: &AST) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["msg".to_owned()]);
    names.extend(
        ast.iter_functions()
            .filter(|function| function.name == ENTRY && function.params.len() == 1)
            .map(|function| function.params[0].to_owned()),
    );
    names
}

/// In `a["x"].b["y"]` the index of `a` is written as the first link of a chain.
fn first_link(expression: &Expr) -> &Expr {
    match expression {
        Expr::Index(pair, ..) | Expr::Dot(pair, ..) => first_link(&pair.lhs),
        other => other,
    }
}
