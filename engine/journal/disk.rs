//! The one door to the file system, so that a failing disk can stand behind it.

use std::{
    any::Any,
    fmt::Debug,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

/// A folder lock; held as long as it lives, given back by the operating system when the process
/// dies.
pub type Lock = Box<dyn Any + Send + Sync>;

/// The file system, as far as a journal needs it.
///
/// # Errors
/// Every method answers the operating system's error; what is not said to be durable may be lost
/// or undone by a power cut.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder and those above it; one that is there already is well.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes a new, empty file for reading and writing; an existing one is an error.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// The names of the files in a folder, in no particular order.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Removes a file. Durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Renames a file within its folder, replacing nothing. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;
    /// Takes the lock file at `path`, made when absent; [`io::ErrorKind::WouldBlock`] when another
    /// process has it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// An open file.
///
/// # Errors
/// Every method answers the operating system's error.
pub trait DiskFile: Debug + Send + Sync {
    /// Fills `buffer` from `offset` on; the number of bytes is smaller only at the file's end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`. Durable after [`DiskFile::sync`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes everything written durable. After an error nothing is known about what was written
    /// since the last success, and asking again proves nothing.
    fn sync(&self) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file is empty.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for found in fs::read_dir(folder)? {
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = found?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// A file of [`RealDisk`].
#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|facts| facts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = RealDisk.lock(&path).unwrap();
        assert_eq!(RealDisk.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        assert!(RealDisk.lock(&path).is_ok());
    }

    #[test]
    fn reading_past_the_end_is_short() {
        let folder = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&folder.path().join("a")).unwrap();
        file.write_at(b"abc", 2).unwrap();
        file.sync().unwrap();
        let mut buffer = [9; 8];
        assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 4);
        assert_eq!(&buffer, &[0, b'a', b'b', b'c', 9, 9, 9, 9]);
        assert_eq!(file.len().unwrap(), 5);
    }
}
