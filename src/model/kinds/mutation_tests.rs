//! Damaged files: every golden file, changed at random, is refused or read, without a panic.
//!
//! `MUTANTS=20000 cargo test --release mutant` runs longer; 60 for each file is the default.

use std::fs;

use super::golden_tests::folder;
use super::imported::Format;

/// A small generator, so that a failure can be repeated.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Random {
        Random(0x9E37_79B9_7F4A_7C15)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }
}

/// Texts that change the meaning of what they replace.
const WORDS: [&[u8]; 16] = [
    b"-1",
    b"0",
    b"99999999999",
    b"4294967295",
    b"nan",
    b"inf",
    b"1e308",
    b"null",
    b"[",
    b"{",
    b"\"",
    b"[[[[[[[[",
    b"-9223372036854775808",
    b"\n",
    b"=",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
];

pub(crate) fn mutant(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes.truncate(at),
            1 => {
                let end = (at + 1 + random.below(40)).min(bytes.len());
                bytes.drain(at..end);
            }
            2 => {
                let end = (at + 1 + random.below(200)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            3 => {
                let word = WORDS[random.below(WORDS.len())];
                let end = (at + word.len()).min(bytes.len());
                bytes.splice(at..end, word.iter().copied());
            }
            4 => {
                // Another digit: counts, positions and thresholds change, the form stays.
                let digit = bytes.iter().skip(at).position(u8::is_ascii_digit);
                if let Some(digit) = digit {
                    bytes[at + digit] = b'0' + random.below(10) as u8;
                }
            }
            5 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            _ if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            _ => {}
        }
    }
    bytes
}

#[test]
fn a_mutant_is_refused_or_answers_and_never_panics() {
    let mutants: usize = std::env::var("MUTANTS").ok().map_or(60, |text| text.parse().unwrap());
    let wanted = std::env::var("CASE").unwrap_or_default();
    let mut files: Vec<_> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".case.json") || name == "rows.json" || !name.contains(&wanted) {
            continue;
        }
        let original = fs::read(&path).unwrap();
        let mut random = Random::new();
        for _ in 0..mutants {
            let bytes = mutant(&original, &mut random);
            let Some(Ok(parsed)) = Format::detect(&bytes).map(|format| format.read(&bytes)) else {
                continue;
            };
            let mut answer = vec![0.0; parsed.answer.numbers()];
            let mut scratch = Vec::new();
            for value in [0.0, -1.0, 1e300, f64::NAN, f64::INFINITY, 3.0] {
                let row = vec![value; parsed.features.len()];
                parsed.predict(&row, &mut scratch, &mut answer).unwrap();
            }
        }
    }
}
