//! `table`, `table_required`, `setting`.

use rhai::{Dynamic, EvalAltResult};

use crate::fault::Stop;
use crate::null;
use crate::reference::Part;
use crate::run::{self, Run};
use crate::sources::Setting;
use crate::vocabulary::Vocabulary;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

pub(crate) fn register(words: &mut Vocabulary) {
    words.add(
        Part::Tables,
        "table(name, code)",
        "The value of `code` in a lookup table on the day of the message: a text, or a map when the \
         table has several value columns; `()` on a miss, which is counted.",
        |name: &str, code: Dynamic| {
            run::with(|run| Ok(look_up(run, name, &code)?.unwrap_or_default()))
        },
    );
    words.add(
        Part::Tables,
        "table(name, code, default)",
        "As `table(name, code)`, with a value for a miss.",
        |name: &str, code: Dynamic, default: Dynamic| {
            run::with(|run| Ok(look_up(run, name, &code)?.unwrap_or(default)))
        },
    );
    words.add(
        Part::Tables,
        "table_required(name, code)",
        "As `table(name, code)`, but a miss parks the message as `table.miss`.",
        |name: &str, code: Dynamic| {
            run::with(|run| match look_up(run, name, &code)? {
                Some(value) => Ok(value),
                None => run.stop(Stop::Table(format!("{name} has no `{}`", null::text(&code)))),
            })
        },
    );
    words.add(
        Part::Tables,
        "setting(name)",
        "A setting of the channel: a text, a whole number, true or false.",
        |name: &str| {
            run::with(|run| {
                setting(run, name)
                    .ok_or_else(|| format!("the channel has no setting `{name}`").into())
            })
        },
    );
    words.add(
        Part::Tables,
        "setting(name, default)",
        "A setting of the channel, with a value for channels that do not have it.",
        |name: &str, default: Dynamic| run::with(|run| Ok(setting(run, name).unwrap_or(default))),
    );
}

/// A code that the sender did not state is not looked up, and is no miss.
pub(crate) fn look_up(run: &mut Run, name: &str, code: &Dynamic) -> Fallible<Option<Dynamic>> {
    let Some(table) = run.givens.tables.get(name) else {
        return Err(format!("there is no table `{name}`").into());
    };
    let code = null::text(code);
    if code.is_empty() {
        return Ok(None);
    }
    let found = table.look_up(code.trim(), Some(run.day()));
    if found.is_none() {
        *run.table_misses.entry(name.to_owned()).or_default() += 1;
    }
    Ok(found)
}

fn setting(run: &Run, name: &str) -> Option<Dynamic> {
    run.givens.settings.get(name).map(|setting| match setting {
        Setting::Text(text) => text.as_str().into(),
        Setting::Whole(number) => (*number).into(),
        Setting::Flag(flag) => (*flag).into(),
    })
}
