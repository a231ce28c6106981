//! Writing a whole file.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use thiserror::Error;

/// Links followed before a path counts as a loop, as Linux does.
const MAX_LINKS: usize = 40;

/// A file that could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The path is a folder.
    #[error("cannot be written: it is a folder; name a file in it")]
    Folder,
    /// The folder of the path does not exist.
    #[error("cannot be written: the folder {} does not exist; create it first", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A step failed.
    #[error(
        "cannot be written: failed to {step} ({cause}); check the folder, its permissions and the free space"
    )]
    Step {
        /// What failed.
        step: &'static str,
        /// The system's reason.
        cause: io::Error,
    },
}

/// What is wrong with a step.
fn failed(step: &'static str) -> impl Fn(io::Error) -> WriteError {
    move |cause| WriteError::Step { step, cause }
}

/// Whether [`write_whole`] can write here, for a command that takes long until it does. Changes nothing.
///
/// # Errors
///
/// [`WriteError`] names the step that would fail.
pub fn check_whole(path: &Path) -> Result<(), WriteError> {
    let path = &followed(path).map_err(failed("follow the link"))?;
    if path.is_dir() {
        return Err(WriteError::Folder);
    }
    if is_stream(path) {
        return Ok(());
    }
    let folder = folder_of(path);
    if matches!(fs::metadata(folder), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        return Err(WriteError::NoFolder { folder: folder.to_owned() });
    }
    let temporary = temporary_path(path);
    File::create_new(&temporary).map_err(failed("create a temporary file"))?;
    fs::remove_file(&temporary).map_err(failed("remove a temporary file"))
}

/// Writes a file so that a reader finds the old content or the new, never a part: a temporary file in the
/// same folder is written, flushed and renamed. The target of a link is replaced, not the link. A device
/// or a pipe stays what it is and is written to.
///
/// # Errors
///
/// [`WriteError`] names the step; the temporary file is then removed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let path = &followed(path).map_err(failed("follow the link"))?;
    if is_stream(path) {
        let mut stream = OpenOptions::new().write(true).open(path).map_err(failed("open"))?;
        return stream.write_all(bytes).map_err(failed("write"));
    }
    let temporary = temporary_path(path);
    let written = replace(&temporary, path, bytes);
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn replace(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut file = File::create_new(temporary).map_err(failed("create a temporary file"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    file.sync_all().map_err(failed("flush to disk"))?;
    fs::rename(temporary, path).map_err(failed("rename into place"))?;
    let folder = File::open(folder_of(path)).map_err(failed("open the folder"))?;
    folder.sync_all().map_err(failed("flush the folder to disk"))
}

/// The path at the end of the links, whether it exists or not. Links of the system, such as `/dev/stdout`,
/// lead to open files and are not followed.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() && !is_of_the_system(&path) => {
                let target = fs::read_link(&path)?;
                path = folder_of(&path).join(target);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links"))
}

/// Whether the path is written to as it is: a device, a pipe, an open file of a process.
fn is_stream(path: &Path) -> bool {
    is_of_the_system(path)
        || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Whether the kernel provides the path.
fn is_of_the_system(path: &Path) -> bool {
    let streams = ["/dev/stdin", "/dev/stdout", "/dev/stderr"].map(Path::new);
    streams.contains(&path) || path.starts_with("/proc") || path.starts_with("/dev/fd")
}

/// A path in the same folder that no other writer uses.
fn temporary_path(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let count = WRITES.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{count}.tmp", std::process::id()))
}

/// The folder of a path; the current folder for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_target_of_a_link_is_replaced_and_the_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link, chain] = ["v7", "current", "chain"].map(|name| folder.path().join(name));
        fs::write(&target, "old").unwrap();
        symlink("v7", &link).unwrap();
        symlink("current", &chain).unwrap();
        for (path, content) in [(&link, "new"), (&chain, "newer")] {
            write_whole(path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            assert!(fs::symlink_metadata(path).unwrap().is_symlink());
        }
        fs::remove_file(&target).unwrap();
        write_whole(&link, b"created").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "created");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file is left");
    }

    #[test]
    fn a_loop_of_links_and_a_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loop");
        symlink("loop", &path).unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        for refused in [write_whole(&path, b"x"), check_whole(&path)] {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("failed to follow the link"), "{refused}");
        }
        assert!(write_whole(&inner, b"x").is_err());
        assert!(check_whole(&inner).unwrap_err().to_string().contains("it is a folder"));
    }

    #[test]
    fn a_check_finds_what_writing_would_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        symlink("absent/target", &link).unwrap();
        check_whole(&file).unwrap();
        fs::write(&file, "kept").unwrap();
        check_whole(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        check_whole(Path::new("/dev/null")).unwrap();
        for path in [&link, &file.join("below"), &folder.path().join("absent/file")] {
            assert!(check_whole(path).is_err() && write_whole(path, b"x").is_err(), "{path:?}");
        }
        let absent = folder.path().join("absent");
        let message = check_whole(&absent.join("file")).unwrap_err().to_string();
        let expected = format!("the folder {} does not exist; create it first", absent.display());
        assert!(message.ends_with(&expected), "{message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_pipe_is_written_to_and_stays_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || {
                let mut text = String::new();
                File::open(path).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        write_whole(&path, b"through the pipe").unwrap();
        assert_eq!(reader.join().unwrap(), "through the pipe");
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_device_is_written_to_and_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("null");
        // Through a link, so that a mistake cannot replace the machine's device.
        symlink("/dev/null", &link).unwrap();
        assert!(is_stream(&followed(&link).unwrap()));
        write_whole(&link, b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }
}
