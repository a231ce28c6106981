//! Files of skops: what is read, and what is refused with its place.

use super::npy::Array;
use super::*;

/// A stored zip archive.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let (size, length) = (content.len() as u32, name.len() as u16);
        let offset = bytes.len() as u32;
        let mut common = vec![0_u8; 12];
        common.extend(size.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(length.to_le_bytes());
        common.extend([0, 0]);
        bytes.extend(b"PK\x03\x04\x14\0");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(*content);
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (bytes.len() as u32, entries.len() as u16);
    let size = directory.len() as u32;
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn refusal(entries: &[(&str, &[u8])]) -> String {
    read(&archive(entries)).unwrap_err().to_string()
}

fn schema(package: &str, class: &str) -> String {
    format!(
        r#"{{"__class__":"{class}","__module__":"{package}.x","__loader__":"ObjectNode","content":
        {{"__class__":"dict","__loader__":"DictNode","content":{{
        "n_features_in_":{{"__loader__":"JsonNode","content":"2"}}}}}}}}"#
    )
}

#[test]
fn classes_off_the_list_are_refused_by_name() {
    let cases = [
        ("sklearn", "KNeighborsClassifier", "the class KNeighborsClassifier of sklearn is not"),
        ("os", "system", "system: the class system of os is not supported"),
        ("evil", "RandomForestClassifier", "the class RandomForestClassifier of evil is not"),
        (
            "sklearn",
            "RandomForestClassifier",
            "RandomForestClassifier has no attribute estimators_",
        ),
    ];
    for (package, class, expected) in cases {
        let message = refusal(&[("schema.json", schema(package, class).as_bytes())]);
        assert!(message.contains(expected), "{message} should contain {expected}");
    }
}

#[test]
fn archives_that_skops_does_not_write_are_refused() {
    assert!(refusal(&[("../a.npy", b"")]).contains("a name that skops does not write"));
    assert!(refusal(&[("1.npy", b"")]).contains("schema.json is missing"));
    assert!(refusal(&[("1.npy", b""), ("1.npy", b"")]).contains("two entries named 1.npy"));
    let mut packed = archive(&[("schema.json", b"{}")]);
    let entry = packed.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    packed[entry + 10] = 8;
    assert!(read(&packed).unwrap_err().to_string().contains("schema.json is compressed"));
    let whole = archive(&[("schema.json", b"{}")]);
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "{end}");
    }
}

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn arrays_are_read_by_type_and_order() {
    let cases: [(&str, &[u8], &[f64]); 5] = [
        (
            "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }",
            &[1, 0, 255, 255],
            &[1.0, -1.0],
        ),
        (
            "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }",
            &[1, 3, 2, 4],
            &[1., 2., 3., 4.],
        ),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", &[1], &[1.0]),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", &[0, 0, 128, 63], &[1.0]),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }", &[], &[]),
    ];
    for (header, data, expected) in cases {
        let bytes = npy(header, data);
        assert_eq!(Array::read(&bytes, "a").unwrap().numbers().unwrap(), expected, "{header}");
    }
    let header = "{'descr': [('a', '|u1'), ('', '|V1'), ('b', '<u2')], 'fortran_order': False, 'shape': (2,)}";
    let bytes = npy(header, &[1, 0, 2, 0, 3, 0, 4, 1]);
    let array = Array::read(&bytes, "a").unwrap();
    assert_eq!(array.column("b").unwrap(), [2.0, 260.0]);
    assert!(array.column("c").unwrap_err().to_string().contains("no numbers `c`"));
}

#[test]
fn arrays_of_objects_and_of_another_length_are_refused() {
    let headers = [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '>f8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (18446744073709551615, 8)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': [], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False}",
        "{'descr': '<f8', 'shape': (1,), 'fortran_order': __import__('os')}",
    ];
    for header in headers {
        assert!(Array::read(&npy(header, &[0; 8]), "a").is_err(), "{header}");
    }
}

#[test]
fn a_document_of_too_many_values_is_refused() {
    let document = format!("[{}0]", "0,".repeat(1_000_001));
    assert!(Json::read(document.as_bytes()).unwrap_err().to_string().contains("more than 1000000"));
}

/// The places of a list's items begin with it, so a name of a megabyte would take gigabytes.
#[test]
fn a_long_class_name_is_cut_in_every_place() {
    let message = refusal(&[("schema.json", schema("sklearn", &"x".repeat(1 << 20)).as_bytes())]);
    assert!(message.len() < 400, "{} bytes", message.len());
}

/// A budget of bytes for all arrays, so that many objects that name one array do not take hours.
#[test]
fn arrays_are_read_a_bounded_number_of_times() {
    let bytes = archive(&[("schema.json", b"{}")]);
    let archive = Archive::read(&bytes).unwrap();
    let reads = (0..100).take_while(|_| archive.spend(bytes.len()).is_ok()).count();
    assert_eq!(reads, 16);
}
