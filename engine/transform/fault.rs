//! Why a script gave no outcome: one class, one code, one place.

use std::collections::BTreeMap;

use rhai::{Dynamic, EvalAltResult, Position};
use thiserror::Error;

use crate::problem::place;

/// Characters of detail that are kept.
const DETAIL: usize = 2_000;

/// A run that failed. Its text names the place and the code and nothing of the message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}:{column}: {code}")]
pub struct Fault {
    /// What kind of failure, for the decision about a retry.
    pub class: FaultClass,
    /// The reason code, the same for every fault of a class.
    pub code: &'static str,
    /// The script file in which it happened, innermost.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: u32,
    /// Column, from 1; 0 when unknown.
    pub column: u32,
    /// Rhai's or the script's own words. May quote the message: for the archive only.
    pub detail: Detail,
    /// What the script printed before. May quote the message: for the tools only.
    pub printed: Vec<String>,
}

/// Text that may quote a message, and therefore shows only its length in `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Detail(pub String);

/// The kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultClass {
    /// An error in the script, or its own `throw`.
    Script,
    /// Too many operations.
    Operations,
    /// Too much time: the only class where the same message may succeed later.
    Time,
    /// A text, list, map or output too large.
    Memory,
    /// Calls or imports nested too deep, or too many variables.
    Depth,
    /// `table_required` found nothing.
    Table,
    /// The script ended without an event, `filter` or `park`.
    NoResult,
    /// A panic in a native function: a defect of the engine.
    Panic,
}

/// Why a native function ends the script; scripts cannot catch it.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// `park` or `filter` was called: the decision is recorded in the run.
    Decided,
    /// The time is up.
    Time,
    /// `table_required` missed.
    Table(String),
    /// More events or more output than allowed.
    Output(&'static str),
}

impl FaultClass {
    /// Whether something ended the script that it cannot catch. Rhai forgets the place of those.
    pub(crate) fn is_placeless(self) -> bool {
        matches!(self, Self::Operations | Self::Time | Self::Memory | Self::Depth | Self::Table)
    }

    /// The reason code of the class.
    pub fn code(self) -> &'static str {
        match self {
            Self::Script => "script.error",
            Self::Operations => "limit.operations",
            Self::Time => "limit.time",
            Self::Memory => "limit.memory",
            Self::Depth => "limit.depth",
            Self::Table => "table.miss",
            Self::NoResult => "script.no-result",
            Self::Panic => "script.panic",
        }
    }
}

impl std::fmt::Debug for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detail({} characters)", self.0.chars().count())
    }
}

impl Fault {
    pub(crate) fn new(class: FaultClass, file: &str, at: Position, detail: &str) -> Self {
        let (line, column) = place(at);
        Self {
            class,
            code: class.code(),
            file: file_of(file),
            line,
            column,
            detail: Detail(detail.chars().take(DETAIL).collect()),
            printed: Vec::new(),
        }
    }
}

impl Stop {
    /// As an error that ends the script.
    pub(crate) fn raise<T>(self) -> Result<T, Box<EvalAltResult>> {
        Err(EvalAltResult::ErrorTerminated(Dynamic::from(self), Position::NONE).into())
    }
}

/// A Rhai error, taken to its innermost place; `Ok` if it is the end by `park` or `filter`.
/// `closures` says in which file each closure stands, as Rhai names the file of its caller.
pub(crate) fn read(
    error: &EvalAltResult,
    file: &str,
    closures: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    use EvalAltResult as E;
    let (inner, file) = innermost(error, file, closures);
    let at = inner.position();
    let class = match inner {
        E::ErrorTerminated(token, _) => match token.read_lock::<Stop>().as_deref() {
            Some(Stop::Decided) => return Ok(()),
            Some(Stop::Table(detail)) => {
                return Err(Fault::new(FaultClass::Table, file, at, detail));
            }
            Some(Stop::Output(detail)) => {
                return Err(Fault::new(FaultClass::Memory, file, at, detail));
            }
            Some(Stop::Time) | None => FaultClass::Time,
        },
        E::ErrorTooManyOperations(_) => FaultClass::Operations,
        E::ErrorDataTooLarge(..) => FaultClass::Memory,
        E::ErrorStackOverflow(_) | E::ErrorTooManyModules(_) | E::ErrorTooManyVariables(_) => {
            FaultClass::Depth
        }
        _ => FaultClass::Script,
    };
    let detail = match inner {
        E::ErrorRuntime(thrown, _) => thrown.to_string(),
        other => {
            let mut bare = other.to_string();
            // The place stands in fields of its own.
            if let Some(cut) = bare.rfind(" (line ") {
                bare.truncate(cut);
            }
            bare
        }
    };
    Err(Fault::new(class, file, at, &detail))
}

/// Rhai knows a library by the name it is imported under.
fn file_of(source: &str) -> String {
    match source.strip_suffix(".rhai").unwrap_or(source) {
        library if library.starts_with("lib/") => format!("{library}.rhai"),
        _ => source.to_owned(),
    }
}

/// Walks into calls and modules, as the outer places only say who called.
fn innermost<'e>(
    mut error: &'e EvalAltResult,
    mut file: &'e str,
    closures: &'e BTreeMap<String, String>,
) -> (&'e EvalAltResult, &'e str) {
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(function, source, inner, _) => {
                match closures.get(function) {
                    Some(known) => file = known,
                    None if !source.is_empty() => file = source,
                    None => {}
                }
                error = inner;
            }
            EvalAltResult::ErrorInModule(module, inner, _) => {
                if !module.is_empty() {
                    file = module;
                }
                error = inner;
            }
            _ => return (error, file),
        }
    }
}
