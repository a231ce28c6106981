//! Slack: `{"text": "..."}`, as its incoming webhooks take it.

use serde_json::json;

use crate::canary::Version;
use crate::service::notify::message::Kind;
use crate::service::notify::message::Message;
use crate::service::notify::message::Notice;

/// The longest text in characters; Slack folds longer ones.
const MAX_TEXT: usize = 3000;

/// Renders Slack messages.
pub(crate) struct Slack;

impl Kind for Slack {
    fn render(&self, notice: &Notice<'_>) -> Message {
        let version = |it: &Version| format!("{} ({:.12})", it.name, it.digest);
        let canary = notice.canary.map(|canary| format!("canary {}, ", version(canary)));
        let (canary, stable) = (canary.unwrap_or_default(), version(notice.stable));
        let sentence = notice.entry.event.sentence();
        let context = format!("{canary}stable {stable}, {}", notice.server);
        let text = format!("{}\n{}", escaped(&sentence), escaped(&context));
        Message::new("application/json", json!({ "text": text }).to_string())
    }
}

/// Escapes the three characters that Slack reads as markup: a reason with `<!channel>` must not notify
/// the whole channel.
fn escaped(text: &str) -> String {
    let mut out: String = text.chars().take(MAX_TEXT).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_reason_is_escaped() {
        assert_eq!(escaped("<!channel> a & b"), "&lt;!channel&gt; a &amp; b");
    }

    #[test]
    fn a_long_text_is_shortened() {
        let text = escaped(&"ä".repeat(9000));
        assert_eq!(text.chars().count(), MAX_TEXT + 1);
        assert!(text.ends_with('…'));
    }
}
