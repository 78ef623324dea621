//! Connections of those who ask: their own, so that nobody who writes waits for them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::day::Shelf;
use crate::error::ArchiveError;
use crate::schema::open_for_reading;
use crate::sql::teach;

/// Idle connections, the one used last at the back. To open one costs more than most questions.
#[derive(Debug)]
pub(crate) struct Readers {
    folder: PathBuf,
    most: usize,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    connections: VecDeque<(Shelf, Connection)>,
    /// How often files were dropped. What was opened before may look at a file that is gone.
    drops: u64,
}

impl Readers {
    /// At most so many are kept open while nobody asks.
    pub(crate) fn new(folder: &Path, most: usize) -> Self {
        Self { folder: folder.to_owned(), most, idle: Mutex::default() }
    }

    /// Asks a shelf something; none if its file is gone, because its day was dropped meanwhile.
    pub(crate) fn ask<T>(
        &self,
        shelf: Shelf,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ArchiveError> {
        let path = shelf.path(&self.folder);
        let (idle, drops) = self.take(shelf);
        let opened = idle.map_or_else(|| open_for_reading(&path).and_then(taught), Ok);
        let mut connection = match opened {
            Ok(connection) => connection,
            Err(_) if !path.try_exists().unwrap_or(true) => return Ok(None),
            Err(error) => return Err(ArchiveError::storage(&path)(error)),
        };
        let answer = question(&mut connection).map_err(ArchiveError::storage(&path))?;
        self.put(shelf, connection, drops);
        Ok(Some(answer))
    }

    /// Closes what is open of a shelf whose file is about to go.
    pub(crate) fn forget(&self, shelf: Shelf) {
        let mut idle = self.idle();
        idle.drops += 1;
        idle.connections.retain(|(of, _)| *of != shelf);
    }

    fn take(&self, shelf: Shelf) -> (Option<Connection>, u64) {
        let mut idle = self.idle();
        let at = idle.connections.iter().rposition(|(of, _)| *of == shelf);
        let taken = at.and_then(|at| idle.connections.remove(at));
        (taken.map(|(_, connection)| connection), idle.drops)
    }

    fn put(&self, shelf: Shelf, connection: Connection, drops: u64) {
        let mut idle = self.idle();
        if idle.drops == drops {
            idle.connections.push_back((shelf, connection));
        }
        let spare = idle.connections.len().saturating_sub(self.most);
        idle.connections.drain(..spare);
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn taught(connection: Connection) -> rusqlite::Result<Connection> {
    teach(&connection)?;
    Ok(connection)
}
