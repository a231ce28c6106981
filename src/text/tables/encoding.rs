//! Bytes of any usual encoding, packed or not, as UTF-8 text.

use std::io;
use std::io::Cursor;
use std::io::Read;

use encoding_rs::UTF_16BE;
use encoding_rs::UTF_16LE;
use encoding_rs::WINDOWS_1252;
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::read::MultiGzDecoder;

/// How text is encoded that has no byte order mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// Windows-1252, which contains Latin-1.
    Latin1,
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const UTF_8_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const UTF_16LE_MARK: [u8; 2] = [0xff, 0xfe];
const UTF_16BE_MARK: [u8; 2] = [0xfe, 0xff];

/// Size of the head that a separator is looked for in.
const HEAD_BYTES: u64 = 64 << 10;

/// Text to read: its first part, and everything.
pub struct Text {
    /// The first part, without what is not UTF-8 at its end.
    pub head: String,
    /// The whole text, without a byte order mark. It may still contain bytes that are not UTF-8.
    pub reader: Box<dyn Read>,
}

/// Unpacks and decodes. gzip and byte order marks are recognized; everything else is in the given encoding.
///
/// # Errors
///
/// When the source cannot be read, or gzip data are damaged.
pub fn decoded(source: impl Read + 'static, encoding: Encoding) -> io::Result<Text> {
    let (head, reader) = peeked(source)?;
    let (mut head, mut reader) =
        if head.starts_with(&GZIP) { peeked(MultiGzDecoder::new(reader))? } else { (head, reader) };
    let marked = [
        (&UTF_8_MARK[..], None),
        (&UTF_16LE_MARK[..], Some(UTF_16LE)),
        (&UTF_16BE_MARK[..], Some(UTF_16BE)),
    ];
    let found = marked.into_iter().find(|(mark, _)| head.starts_with(mark));
    let unmarked: (&[u8], _) = match encoding {
        Encoding::Utf8 => (&[], None),
        Encoding::Latin1 => (&[], Some(WINDOWS_1252)),
    };
    let (mark, decoder) = found.unwrap_or(unmarked);
    head.drain(..mark.len());
    io::copy(&mut reader.by_ref().take(mark.len() as u64), &mut io::sink())?;
    if let Some(decoder) = decoder {
        let mut decoding = DecodeReaderBytesBuilder::new();
        decoding.encoding(Some(decoder)).bom_sniffing(false);
        (head, reader) = peeked(decoding.build(reader))?;
    }
    Ok(Text { head: valid_part(head), reader })
}

/// The first part of a source, and the whole of it.
fn peeked(mut source: impl Read + 'static) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut head = Vec::new();
    source.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let whole = Cursor::new(head.clone()).chain(source);
    Ok((head, Box::new(whole)))
}

fn valid_part(mut bytes: Vec<u8>) -> String {
    if let Err(error) = std::str::from_utf8(&bytes) {
        bytes.truncate(error.valid_up_to());
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn text(bytes: &[u8], encoding: Encoding) -> String {
        let mut text = decoded(Cursor::new(bytes.to_vec()), encoding).unwrap();
        let mut whole = String::new();
        text.reader.read_to_string(&mut whole).unwrap();
        assert!(whole.starts_with(&text.head));
        whole
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn marks_and_gzip_are_recognized() {
        let plain = "größe;y\n1,5;ja\n";
        let utf_16 = |to_bytes: fn(u16) -> [u8; 2], mark: &[u8]| {
            [mark.to_vec(), plain.encode_utf16().flat_map(to_bytes).collect()].concat()
        };
        let marked = [&UTF_8_MARK[..], plain.as_bytes()].concat();
        for bytes in [
            plain.as_bytes().to_vec(),
            marked.clone(),
            utf_16(u16::to_le_bytes, &UTF_16LE_MARK),
            utf_16(u16::to_be_bytes, &UTF_16BE_MARK),
        ] {
            assert_eq!(text(&bytes, Encoding::Utf8), plain);
            assert_eq!(text(&packed(&bytes), Encoding::Utf8), plain);
        }
        assert_eq!(text(&marked, Encoding::Latin1), plain, "a mark outweighs the setting");
        assert_eq!(text(b"gr\xf6\xdfe", Encoding::Latin1), "größe");
    }

    #[test]
    fn text_without_an_end_is_decoded_as_it_is_read() {
        let text = decoded(io::repeat(b'\xf6'), Encoding::Latin1).unwrap();
        assert!(text.head.len() as u64 >= HEAD_BYTES - 1 && text.head.starts_with("öö"));
    }

    #[test]
    fn damaged_gzip_is_an_error() {
        let mut bytes = packed(b"x,y\n1,2\n");
        bytes.truncate(bytes.len() - 6);
        assert!(decoded(Cursor::new(bytes), Encoding::Utf8).is_err());
    }
}
