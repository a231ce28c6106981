//! Which files of a models folder are the newest.

use std::fs;
use std::path::Path;

use super::*;
use crate::model::ensure_default_models;

const SECOND: Duration = Duration::from_secs(1);

fn named(list: &Newest) -> Vec<&str> {
    list.files.iter().map(|file| file.file.as_str()).collect()
}

fn age(path: &Path, seconds: u64) {
    let at = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

#[test]
fn the_newest_are_described_and_the_others_named() {
    let folder = tempfile::tempdir().unwrap();
    ensure_default_models(folder.path()).unwrap();
    let model = fs::read(folder.path().join("model_v1.bin")).unwrap();
    for n in 0..12 {
        let path = folder.path().join(format!("m{n:02}.bin"));
        fs::write(&path, if n == 11 { b"nothing" } else { model.as_slice() }).unwrap();
        age(&path, 100 - n);
    }
    for name in ["model_v1.bin", "model_v2.bin"] {
        age(&folder.path().join(name), 10);
    }
    let registry = Registry::new(folder.path());
    let list = registry.newest(SECOND);
    let expected: Vec<String> = (2..12).rev().map(|n| format!("m{n:02}.bin")).collect();
    let newest = ["model_v2.bin", "model_v1.bin"].into_iter();
    let expected: Vec<&str> =
        newest.chain(expected.iter().map(String::as_str)).take(MAX_FILES).collect();
    assert_eq!(named(&list), expected);
    assert_eq!(list.others.len(), 4);
    let Content::Model(card) = &list.files[0].content else { panic!("{:?}", list.files[0]) };
    assert!(card.kind == "logistic_regression" && card.auc.is_some() && card.digest.len() == 64);
    assert!(matches!(&list.files[2].content, Content::Other(why) if why.contains("m11.bin")));
}

#[test]
fn a_list_is_used_for_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new(folder.path());
    assert_eq!(*registry.newest(SECOND), Newest::default());
    fs::write(folder.path().join("new.bin"), b"nothing").unwrap();
    assert_eq!(named(&registry.newest(2 * SECOND)), [""; 0]);
    assert_eq!(named(&registry.newest(3 * SECOND)), ["new.bin"]);
}

#[test]
fn a_changed_file_is_read_again_and_an_equal_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    ensure_default_models(folder.path()).unwrap();
    let registry = Registry::new(folder.path());
    let digests = |list: &Newest| -> Vec<String> {
        let digest = |file: &Brief| match &file.content {
            Content::Model(card) => card.digest.clone(),
            Content::Other(_) | Content::Unread => String::new(),
        };
        list.files.iter().map(digest).collect()
    };
    let before = digests(&registry.newest(SECOND));
    let first = folder.path().join("model_v1.bin");
    fs::copy(folder.path().join("model_v2.bin"), &first).unwrap();
    let after = registry.newest(4 * SECOND);
    let digests = digests(&after);
    assert_eq!(digests[0], digests[1]);
    assert!(before[0] != before[1] && before.contains(&digests[0]));
    // The same files make the same list.
    assert_eq!(registry.newest(8 * SECOND), after);
}

#[test]
fn large_files_are_read_one_list_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..3 {
        let path = folder.path().join(format!("large{n}.bin"));
        fs::File::create(&path).unwrap().set_len(MAX_BYTES).unwrap();
    }
    let registry = Registry::new(folder.path());
    for unread in (0..3).rev() {
        let list = registry.newest(SECOND);
        let unread_now = list.files.iter().filter(|file| file.content == Content::Unread).count();
        assert_eq!(unread_now, unread);
    }
}
