//! The file of an SQLite store: locked by identity, readable by its owner alone, and never silently another one.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use super::*;

#[test]
fn an_sqlite_store_is_all_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    let stable = Version { name: "v1".into(), file: "v1.bin".into(), digest: "d".into() };
    {
        let store = SqliteStore::open(&file).unwrap();
        store.append(0, at(1), &Event::Initialized { stable: stable.clone() }).unwrap();
        store.save_checkpoint(ONLY, &checkpoint(1, 9), &[]).unwrap();
        store.save_artifact("d", b"bytes").unwrap();
    }
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(store.entries(0, 10).unwrap()[0].event, Event::Initialized { stable });
    assert_eq!(store.checkpoint(ONLY).unwrap(), Some(checkpoint(1, 9)));
    assert_eq!(store.artifact("d").unwrap().as_deref(), Some(b"bytes".as_slice()));
}

#[test]
fn a_second_serin_is_kept_out_of_an_open_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    let first = SqliteStore::open(&file).unwrap();
    assert!(matches!(SqliteStore::open(&file), Err(StoreError::InUse { .. })));
    drop(first);
    assert!(SqliteStore::open(&file).is_ok());
}

#[test]
fn a_file_that_is_deleted_as_it_is_opened_is_open_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    let open = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    // Without an entry it is deleted when it is closed.
                    let Ok(store) = SqliteStore::open(&file) else { continue };
                    assert_eq!(open.fetch_add(1, Ordering::SeqCst), 0, "open twice");
                    std::thread::yield_now();
                    open.fetch_sub(1, Ordering::SeqCst);
                    drop(store);
                }
            });
        }
    });
}

#[test]
fn serin_does_not_write_to_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "these are notes, and long enough not to be an empty database".repeat(9))
        .unwrap();
    assert!(matches!(SqliteStore::open(&text), Err(StoreError::Foreign { .. })));

    let other = folder.path().join("other.db");
    let connection = rusqlite::Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(connection);
    let before = std::fs::read(&other).unwrap();
    assert!(matches!(SqliteStore::open(&other), Err(StoreError::Foreign { .. })));
    assert_eq!(std::fs::read(&other).unwrap(), before);

    let missing = Path::new("no/such/folder/serin.db");
    assert!(matches!(SqliteStore::open(missing), Err(StoreError::Open { .. })));
}

#[test]
fn a_store_of_another_version_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    SqliteStore::open(&file).unwrap().append(0, at(0), &slowdown(1)).unwrap();
    for (version, whose) in [(999, "a newer serin"), (4, "an older serin")] {
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        for opened in [SqliteStore::open(&file), SqliteStore::open_to_read(&file)] {
            let message = opened.err().map(|error| error.to_string()).unwrap();
            assert!(message.contains(whose), "{message}");
        }
    }
}

#[test]
fn a_damaged_entry_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    let store = SqliteStore::open(&file).unwrap();
    store.append(0, at(0), &slowdown(1)).unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute("UPDATE journal SET event = '{\"event\":\"dreamt\"}'", []).unwrap();
    drop(connection);
    let error = SqliteStore::open(&file).unwrap().entries(0, 10).unwrap_err().to_string();
    assert!(error.contains("journal entry 1"), "{error}");
}

#[test]
fn a_changed_entry_that_can_still_be_read_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    SqliteStore::open(&file).unwrap().append(0, at(0), &slowdown(1)).unwrap();
    let connection = rusqlite::Connection::open(&file).unwrap();
    let changed = "UPDATE journal SET event = replace(event, '\"delay_ms\":1', '\"delay_ms\":2')";
    assert_eq!(connection.execute(changed, []).unwrap(), 1);
    drop(connection);
    let error = SqliteStore::open(&file).unwrap().entries(0, 10).unwrap_err().to_string();
    assert!(error.contains("journal entry 1 in the store: its checksum"), "{error}");
}

#[test]
fn a_file_is_locked_under_all_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let first = SqliteStore::open(&path("serin.db")).unwrap();
    first.append(0, at(0), &slowdown(1)).unwrap();
    std::os::unix::fs::symlink("serin.db", path("link.db")).unwrap();
    assert!(matches!(SqliteStore::open(&path("link.db")), Err(StoreError::InUse { .. })));
    drop(first);
    let through_link = SqliteStore::open(&path("link.db")).unwrap();
    assert_eq!(through_link.newest_sequence().unwrap(), 1);
    assert!(matches!(SqliteStore::open(&path("serin.db")), Err(StoreError::InUse { .. })));
    drop(through_link);
    std::fs::hard_link(path("serin.db"), path("hard.db")).unwrap();
    for name in ["serin.db", "hard.db"] {
        let error = SqliteStore::open(&path(name)).err().unwrap().to_string();
        assert!(error.contains("several names (hard links)"), "{error}");
    }
}

#[test]
fn a_copy_of_the_file_alone_has_what_was_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("serin.db"), folder.path().join("copy.db"));
    let store = SqliteStore::open(&file).unwrap();
    store.append(0, at(0), &slowdown(1)).unwrap();
    store.settle().unwrap();
    std::fs::copy(&file, &copy).unwrap();
    assert_eq!(SqliteStore::open(&copy).unwrap().newest_sequence().unwrap(), 1);
}

#[test]
fn what_a_reader_keeps_from_settling_is_settled_later() {
    let folder = tempfile::tempdir().unwrap();
    let (file, copy) = (folder.path().join("serin.db"), folder.path().join("copy.db"));
    let store = SqliteStore::open(&file).unwrap();
    store.append(0, at(0), &slowdown(1)).unwrap();
    let reader = SqliteStore::open_to_read(&file).unwrap();
    store.append(1, at(1), &slowdown(2)).unwrap();
    store.settle().unwrap();
    assert_eq!(reader.newest_sequence().unwrap(), 1);
    drop(reader);
    store.settle().unwrap();
    std::fs::copy(&file, &copy).unwrap();
    assert_eq!(SqliteStore::open(&copy).unwrap().newest_sequence().unwrap(), 2);
}

#[test]
fn a_file_that_was_deleted_or_replaced_accepts_nothing() {
    for is_replaced in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("serin.db");
        let store = SqliteStore::open(&file).unwrap();
        store.append(0, at(0), &slowdown(1)).unwrap();
        std::fs::remove_file(&file).unwrap();
        if is_replaced {
            std::fs::write(&file, "").unwrap();
        }
        let gone = |outcome| matches!(outcome, Err(StoreError::Gone { .. }));
        assert!(gone(store.append(1, at(1), &slowdown(2)).map(drop)));
        assert!(gone(store.save_checkpoint(ONLY, &checkpoint(1, 9), &[])));
        assert!(gone(store.settle()));
    }
}

#[test]
fn only_the_owner_can_read_the_files_of_a_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("serin.db")).unwrap();
    store.append(0, at(0), &slowdown(1)).unwrap();
    let mut modes = std::collections::BTreeMap::new();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        modes.insert(file.file_name(), file.metadata().unwrap().permissions().mode() & 0o777);
    }
    assert!(modes.len() >= 3 && modes.values().all(|mode| *mode == 0o600), "{modes:?}");
}

#[test]
fn a_store_that_was_never_written_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    drop(SqliteStore::open(&file).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // An existing file is never deleted, whatever it contains.
    std::fs::write(&file, "").unwrap();
    drop(SqliteStore::open(&file).unwrap());
    assert!(file.exists());
}

#[test]
fn a_store_is_read_while_a_serin_writes_to_it_and_is_never_created() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.db");
    let missing = SqliteStore::open_to_read(&file);
    assert!(matches!(missing.err(), Some(StoreError::Open { .. })));
    assert!(!file.exists());
    let writer = SqliteStore::open(&file).unwrap();
    writer.append(0, at(0), &slowdown(1)).unwrap();
    let reader = SqliteStore::open_to_read(&file).unwrap();
    assert_eq!(reader.newest_sequence().unwrap(), 1);
    writer.append(1, at(1), &slowdown(2)).unwrap();
    assert_eq!(reader.newest_sequence().unwrap(), 1, "it reads one moment");
    assert!(reader.append(2, at(2), &slowdown(3)).is_err());
    assert!(matches!(SqliteStore::open(&file).err(), Some(StoreError::InUse { .. })));
    drop(writer);
    assert_eq!(SqliteStore::open_to_read(&file).unwrap().newest_sequence().unwrap(), 2);
    let file = folder.path().join("other.db");
    std::fs::write(&file, "plain text, not a database. ".repeat(99)).unwrap();
    let foreign = SqliteStore::open_to_read(&file);
    assert!(matches!(foreign.err(), Some(StoreError::Foreign { .. })));
}
