//! The functions of Rhai's own library that could hurt, done so that they cannot.
//!
//! Rhai checks the size of a result after it was made. Where making it is the harm, these look
//! first; a registration here wins over the one in Rhai's packages.

use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map, NativeCallContext, Position};

use crate::json;
use crate::reference::Part;
use crate::vocabulary::Vocabulary;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

pub(crate) fn register(words: &mut Vocabulary) {
    words.hidden("sleep", |_: i64| no_sleep());
    words.hidden("sleep", |_: f64| no_sleep());

    words.add(
        Part::Text,
        "text.replace(find, with)",
        "Replaces every `find` in the text itself.",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, find: &str, with: &str| {
            replace(&ctx, text, find, with)
        },
    );
    words.hidden(
        "replace",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, find: &str, with: char| {
            replace(&ctx, text, find, with.encode_utf8(&mut [0; 4]))
        },
    );
    words.hidden(
        "replace",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, find: char, with: &str| {
            replace(&ctx, text, find.encode_utf8(&mut [0; 4]), with)
        },
    );
    words.hidden(
        "replace",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, find: char, with: char| {
            replace(&ctx, text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]))
        },
    );
    register_split(words);
    register_pad(words);
    words.add(
        Part::Text,
        "to_json(map)",
        "The map as JSON text.",
        |ctx: NativeCallContext<'_>, map: &mut Map| to_json(&ctx, map),
    );
}

fn register_split(words: &mut Vocabulary) {
    words.add(
        Part::Text,
        "text.split(delimiter)",
        "A list of the parts between the delimiters.",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: &str| {
            pieces(&ctx, text.split(at))
        },
    );
    words.hidden("split", |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: char| {
        pieces(&ctx, text.split(at))
    });
    words.hidden("split", |ctx: NativeCallContext<'_>, text: &mut ImmutableString| {
        pieces(&ctx, text.split_whitespace())
    });
    words.hidden(
        "split",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: &str, most: i64| {
            pieces(&ctx, text.splitn(count(most), at))
        },
    );
    words.hidden(
        "split",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: char, most: i64| {
            pieces(&ctx, text.splitn(count(most), at))
        },
    );
    words.hidden(
        "split_rev",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: &str| {
            pieces(&ctx, text.rsplit(at))
        },
    );
    words.hidden(
        "split_rev",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: char| {
            pieces(&ctx, text.rsplit(at))
        },
    );
    words.hidden(
        "split_rev",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: &str, most: i64| {
            pieces(&ctx, text.rsplitn(count(most), at))
        },
    );
    words.hidden(
        "split_rev",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, at: char, most: i64| {
            pieces(&ctx, text.rsplitn(count(most), at))
        },
    );
    words.hidden("to_chars", |ctx: NativeCallContext<'_>, text: &mut ImmutableString| {
        let room = ctx.engine().max_array_size();
        if text.len() > room.saturating_mul(4) || text.chars().count() > room {
            return too_large("list of characters");
        }
        Ok(text.chars().map(Dynamic::from).collect::<Array>())
    });
}

fn register_pad(words: &mut Vocabulary) {
    words.add(
        Part::Text,
        "text.pad(length, filler)",
        "Lengthens the text itself with `filler` to `length` characters.",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, length: i64, filler: &str| {
            pad(&ctx, text, length, filler)
        },
    );
    words.hidden(
        "pad",
        |ctx: NativeCallContext<'_>, text: &mut ImmutableString, length: i64, filler: char| {
            pad(&ctx, text, length, filler.encode_utf8(&mut [0; 4]))
        },
    );
}

fn no_sleep() -> Fallible<()> {
    Err("a transform cannot wait".into())
}

fn replace(
    ctx: &NativeCallContext<'_>,
    text: &mut ImmutableString,
    find: &str,
    with: &str,
) -> Fallible<()> {
    if with.len() > find.len() {
        let grown = text.matches(find).count().saturating_mul(with.len() - find.len());
        if text.len().saturating_add(grown) > ctx.engine().max_string_size() {
            return too_large("text");
        }
    }
    *text = text.replace(find, with).into();
    Ok(())
}

fn pieces<'a>(
    ctx: &NativeCallContext<'_>,
    parts: impl Iterator<Item = &'a str>,
) -> Fallible<Array> {
    let room = ctx.engine().max_array_size();
    let list: Array = parts.take(room + 1).map(|part| ImmutableString::from(part).into()).collect();
    if list.len() > room { too_large("list of parts") } else { Ok(list) }
}

fn pad(
    ctx: &NativeCallContext<'_>,
    text: &mut ImmutableString,
    length: i64,
    filler: &str,
) -> Fallible<()> {
    let present = text.chars().count();
    let wanted = usize::try_from(length).unwrap_or(0);
    if wanted <= present || filler.is_empty() {
        return Ok(());
    }
    let missing = wanted - present;
    let bytes = missing.div_ceil(filler.chars().count()).saturating_mul(filler.len());
    if text.len().saturating_add(bytes) > ctx.engine().max_string_size() {
        return too_large("text");
    }
    let mut padded = text.to_string();
    padded.extend(filler.chars().cycle().take(missing));
    *text = padded.into();
    Ok(())
}

fn to_json(ctx: &NativeCallContext<'_>, map: &Map) -> Fallible<String> {
    let value = json::from_map(map)?;
    if json::size(&value) > ctx.engine().max_string_size() {
        return too_large("text");
    }
    Ok(value.to_string())
}

fn count(most: i64) -> usize {
    usize::try_from(most).unwrap_or(0).max(1)
}

fn too_large<T>(what: &str) -> Fallible<T> {
    Err(EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE).into())
}
