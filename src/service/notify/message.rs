//! Notification message: the trait of a message kind, and the signature.

use std::fmt::Write as _;

use ring::hmac;

use crate::canary::Entry;
use crate::canary::Version;

/// A journal entry with the context that identifies it to a receiver.
pub(crate) struct Notice<'a> {
    /// The entry.
    pub(crate) entry: &'a Entry,
    /// The journal's name, to tell the entries of two servers apart.
    pub(crate) journal: &'a str,
    /// The rollout the entry belongs to; `None` before the first.
    pub(crate) rollout: Option<u64>,
    /// The stable version after the entry.
    pub(crate) stable: &'a Version,
    /// The canary of the rollout that the entry is about; `None` for an entry about no rollout.
    pub(crate) canary: Option<&'a Version>,
    /// The server's URL.
    pub(crate) server: &'a str,
}

/// What is sent to a target.
pub(crate) struct Message {
    /// The media type of the body.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: String,
    /// The signature, if the target has a secret.
    pub(crate) signature: Option<String>,
}

/// A kind of notification. Each has a file in `kinds`.
pub(crate) trait Kind {
    /// Renders a journal entry, unsigned.
    fn render(&self, notice: &Notice<'_>) -> Message;
}

impl Message {
    /// An unsigned message.
    pub(crate) fn new(content_type: &'static str, body: String) -> Message {
        Message { content_type, body, signature: None }
    }

    /// The same message, signed with HMAC-SHA256 in hexadecimal (RFC 2104).
    pub(crate) fn signed(self, secret: &[u8]) -> Message {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut text = "sha256=".to_owned();
        for byte in hmac::sign(&key, self.body.as_bytes()).as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Message { signature: Some(text), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second test case of RFC 4231.
    #[test]
    fn a_signature_matches_the_standard() {
        let message = Message::new("text/plain", "what do ya want for nothing?".to_owned());
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(message.signed(b"Jefe").signature.as_deref(), Some(expected));
    }
}
