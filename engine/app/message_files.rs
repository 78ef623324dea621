//! Messages from files, folders and standard input, split where one file holds several.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hl7::several::several_in_file;

const START_OF_BLOCK: u8 = 0x0B;
const END_OF_BLOCK: u8 = 0x1C;

/// All messages at these paths, in order: files as given, folders by file name, `-` for
/// standard input.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Bytes>> {
    let mut messages = Vec::new();
    for path in paths {
        for file in files(path)? {
            let content = read(&file)?;
            let found = split(&content);
            if found.is_empty() {
                bail!("{} holds no message", file.display());
            }
            messages.extend(found);
        }
    }
    Ok(messages)
}

/// One file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Bytes> {
    if path == Path::new("-") {
        let mut content = Vec::new();
        io::stdin().read_to_end(&mut content).context("cannot read standard input")?;
        return Ok(content.into());
    }
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(content.into())
}

/// A folder's `.hl7` files by name, without what is hidden and without its sub-folders.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = || format!("cannot read the folder {}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(unreadable)? {
        let file = entry.with_context(unreadable)?.path();
        if file.is_file() && file.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("hl7")) {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!("the folder {} holds no .hl7 file", path.display());
    }
    files.sort();
    Ok(files)
}

/// The messages of one file: the blocks when it is MLLP-framed, else one for each MSH segment,
/// else the whole file. Every byte of a message stays as it is.
pub(crate) fn split(content: &Bytes) -> Vec<Bytes> {
    if content.contains(&START_OF_BLOCK) && content.contains(&END_OF_BLOCK) {
        return blocks(content);
    }
    if let Some(found) = several_in_file(content) {
        return found.messages;
    }
    let blank = content.iter().all(u8::is_ascii_whitespace);
    if blank { Vec::new() } else { vec![content.clone()] }
}

fn blocks(content: &Bytes) -> Vec<Bytes> {
    let mut found = Vec::new();
    let mut rest = content.clone();
    while let Some(start) = rest.iter().position(|&byte| byte == START_OF_BLOCK) {
        let body = rest.slice(start + 1..);
        let end = body.iter().position(|&byte| byte == END_OF_BLOCK).unwrap_or(body.len());
        found.push(body.slice(..end));
        rest = body.slice(end..);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(content: &'static [u8]) -> Vec<Bytes> {
        split(&Bytes::from_static(content))
    }

    #[test]
    fn one_message_is_the_whole_file_as_it_is() {
        assert_eq!(texts(b"MSH|^~\\&|A\nPID|1\n"), [&b"MSH|^~\\&|A\nPID|1\n"[..]]);
        assert_eq!(texts(b"garbage"), [&b"garbage"[..]]);
        assert!(texts(b" \r\n").is_empty());
    }

    #[test]
    fn several_headers_are_several_messages() {
        assert_eq!(
            texts(b"MSH|^~\\&|A\rPID|MSH|\r\nMSH|^~\\&|B\rPID|2"),
            [&b"MSH|^~\\&|A\rPID|MSH|\r\n"[..], &b"MSH|^~\\&|B\rPID|2"[..]]
        );
    }

    #[test]
    fn the_envelopes_of_a_batch_are_left_out() {
        assert_eq!(
            texts(b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|A\rMSH|^~\\&|B\rBTS|2\rFTS|1\r"),
            [&b"MSH|^~\\&|A\r"[..], &b"MSH|^~\\&|B\r"[..]]
        );
    }

    #[test]
    fn mllp_blocks_lose_their_frame_only() {
        assert_eq!(texts(b"\x0bMSH|A\r\x1c\r\n\x0bMSH|B\x1c\r"), [&b"MSH|A\r"[..], &b"MSH|B"[..]]);
    }
}
