//! `tieline parked edit`: an edited copy in the place of a parked message.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::Builder;

use crate::api::Api;
use crate::deciding_arguments::Because;
use crate::environment;
use crate::exit::Exit;
use crate::message_files;
use crate::operator::Operator;
use crate::output::Output;
use crate::parked_decision::tell;
use crate::patient_guard;
use crate::refusal_line::refused;

/// The edited message comes from a file, or without one from the user's editor.
pub(crate) fn run(id: u64, file: Option<&Path>, because: &Because) -> Result<Exit> {
    patient_guard::refuse_in_text(&because.reason)?;
    let Some(api) = Api::find(&because.asking)? else { return Ok(Exit::Wrong) };
    let edited = if let Some(file) = file {
        segments(&message_files::read(file)?)
    } else {
        let original = match api.bytes(&format!("/api/v1/messages/{id}/raw"))? {
            Ok(original) => original,
            Err(words) => return refused(&words),
        };
        match through_editor(&original)? {
            Some(edited) => edited,
            None => return refused("nothing was changed"),
        }
    };
    let path = format!("/api/v1/messages/{id}/edit");
    match api.give(&path, &Operator::of_this_process()?, &because.reason, &edited)? {
        Ok(done) => tell(&mut Output::standard(), because.format, &done)?,
        Err(words) => return refused(&words),
    }
    Ok(Exit::Well)
}

/// Nothing when the editor was left without a change.
fn through_editor(original: &[u8]) -> Result<Option<Vec<u8>>> {
    let shown = lines(original);
    let mut builder = Builder::new();
    builder.prefix("tieline-").suffix(".hl7");
    // It is a patient's message: in memory where there is such a folder, for this user only.
    let mut file = match environment::folder_in_memory() {
        Some(folder) => builder.tempfile_in(folder),
        None => builder.tempfile(),
    }
    .context("no temporary file can be made")?;
    file.write_all(&shown).and_then(|()| file.flush()).context("the temporary file")?;
    let editor = environment::editor();
    // As shells do: the variable may hold arguments.
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let ended = Command::new(program).args(words).arg(file.path()).status();
    let ended =
        ended.with_context(|| format!("the editor {program} cannot be started: set EDITOR"))?;
    if !ended.success() {
        bail!("the editor ended with {ended}; nothing was changed");
    }
    // Some editors write a new file in the place of the old.
    let edited = fs::read(file.path()).context("the edited file cannot be read")?;
    let changed = edited.trim_ascii_end() != shown.trim_ascii_end();
    Ok(changed.then(|| segments(&edited)))
}

/// A segment a line, as editors show it.
fn lines(message: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(message.len());
    for (at, &byte) in message.iter().enumerate() {
        match byte {
            b'\r' if message.get(at + 1) == Some(&b'\n') => {}
            b'\r' => shown.push(b'\n'),
            _ => shown.push(byte),
        }
    }
    shown
}

/// Lines as segments, each ended by a carriage return. What has carriage returns stays as it is.
fn segments(edited: &[u8]) -> Vec<u8> {
    if edited.contains(&b'\r') {
        return edited.to_vec();
    }
    let text = edited.trim_ascii_end();
    text.iter().map(|&byte| if byte == b'\n' { b'\r' } else { byte }).chain([b'\r']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_sees_lines_and_the_engine_segments() {
        for message in
            [&b"MSH|^~\\&|A\rPID|1\r"[..], b"MSH|^~\\&|A\r\nPID|1\r\n", b"MSH|^~\\&|A\nPID|1\n"]
        {
            assert_eq!(lines(message), b"MSH|^~\\&|A\nPID|1\n");
            assert_eq!(segments(&lines(message)), b"MSH|^~\\&|A\rPID|1\r");
        }
        assert_eq!(segments(b"MSH|^~\\&|A\rPID|\xc9\nx"), b"MSH|^~\\&|A\rPID|\xc9\nx");
        assert_eq!(segments(b"MSH|^~\\&|A"), b"MSH|^~\\&|A\r");
    }
}
