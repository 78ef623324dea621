//! How another process steers the failing disk of a running program (cargo feature `faults`).
//!
//! The control file holds `key=value` lines; blank lines and lines that start with `#` are passed
//! over, and so is what is not understood. A missing file, or a missing key, is a healthy disk.
//!
//! ```text
//! full=true        every file keeps its size and no new one is made (ENOSPC); what was filled with
//!                  zeros ahead can still be written
//! free_bytes=N     room for N more bytes, counted from when this line was read
//! fail_sync=N      the Nth sync of a file from when this line was read fails (1 is the next one)
//! delay_ms=N       every sync of a file takes so much longer
//! ```
//!
//! When a sync has failed on purpose, the name of its file stands in `CONTROL.failed`: a program must
//! end over some files, and may make others anew.
//!
//! The file is looked at every ten milliseconds at most, when the disk is used, and read again when
//! it is another file, or its time or length has changed. So write it under another name and rename
//! it. A line that reads as before changes nothing: to make a second sync fail, take the line away,
//! or write another number.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How often the file is looked at.
const PACE: Duration = Duration::from_millis(10);

/// What a control file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) full: bool,
    pub(crate) free_bytes: Option<u64>,
    pub(crate) fail_sync: Option<u32>,
    pub(crate) delay: Option<Duration>,
}

impl Orders {
    fn parse(text: &str) -> Orders {
        let mut orders = Orders::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let value = value.trim();
            match key.trim() {
                "full" => orders.full = value == "true",
                "free_bytes" => orders.free_bytes = value.parse().ok(),
                "fail_sync" => orders.fail_sync = value.parse().ok(),
                "delay_ms" => orders.delay = value.parse().ok().map(Duration::from_millis),
                _ => {}
            }
        }
        orders
    }
}

/// A control file and what it said last.
#[derive(Debug)]
pub(crate) struct Control {
    file: PathBuf,
    looked: Option<Instant>,
    /// Inode, seconds and nanoseconds of the last change, length.
    stamp: Option<(u64, i64, i64, u64)>,
    orders: Orders,
}

impl Control {
    pub(crate) fn new(file: PathBuf) -> Control {
        Control { file, looked: None, stamp: None, orders: Orders::default() }
    }

    /// Leaves a note of which file's sync failed.
    pub(crate) fn tell_failed(&self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut note = self.file.clone().into_os_string();
        note.push(".failed");
        // Whoever steers the disk has gone, then.
        fs::write(note, name).ok();
    }

    /// The orders before and now, when they have changed.
    pub(crate) fn look(&mut self) -> Option<(Orders, Orders)> {
        if self.looked.is_some_and(|looked| looked.elapsed() < PACE) {
            return None;
        }
        self.looked = Some(Instant::now());
        let stamp = stamp(&self.file).ok();
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        let before = self.orders;
        self.orders = Orders::parse(&fs::read_to_string(&self.file).unwrap_or_default());
        (before != self.orders).then_some((before, self.orders))
    }
}

fn stamp(file: &Path) -> io::Result<(u64, i64, i64, u64)> {
    let facts = fs::metadata(file)?;
    Ok((facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_lines() {
        let text =
            "# a comment\n\nfull=true\n free_bytes = 12\nfail_sync=2\ndelay_ms=30\nother=1\n";
        let delay = Some(Duration::from_millis(30));
        let expected = Orders { full: true, free_bytes: Some(12), fail_sync: Some(2), delay };
        assert_eq!(Orders::parse(text), expected);
        assert_eq!(Orders::parse("full=yes\nfail_sync=soon"), Orders::default());
    }

    #[test]
    fn a_file_is_read_when_it_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("control");
        let mut control = Control::new(file.clone());
        assert_eq!(control.look(), None);
        fs::write(&file, "full=true").unwrap();
        control.looked = None;
        let orders = Orders { full: true, ..Orders::default() };
        assert_eq!(control.look(), Some((Orders::default(), orders)));
        control.looked = None;
        assert_eq!(control.look(), None);
        fs::remove_file(&file).unwrap();
        control.looked = None;
        assert_eq!(control.look(), Some((orders, Orders::default())));
    }
}
