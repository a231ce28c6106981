//! Mutants of a file, for the tests of its reader: those of ONNX, and `tests/fuzz.rs` for all other files.

/// A small generator, so that a failure can be repeated.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }
}

/// Texts that change the meaning of what they replace.
const WORDS: [&[u8]; 18] = [
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
    b"../",
    b": &a *a",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
];

/// The file with one to three changes.
pub(crate) fn mutant(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len());
        match random.below(8) {
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
            5 => {
                // Nesting without an end.
                let word = [&b"["[..], b"{\"a\":", b"[$[", b"{i\x01a"][random.below(4)];
                let deep = word.repeat(1 + random.below(20_000));
                bytes.splice(at..at, deep);
            }
            6 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            _ if !bytes.is_empty() => bytes[at] = random.below(256) as u8,
            _ => {}
        }
    }
    bytes
}
