//! The page stays up to date: the parts that change are rendered once, and sent to all viewers as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web;
use actix_web::web::Bytes;
use tokio::time::MissedTickBehavior;

use super::parts;
use super::parts::Rendered;
use super::protection::protect;
use super::viewers::MOST;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::shared::Shared;
use crate::service::Service;

/// How often changes are looked for.
const EVERY: Duration = Duration::from_millis(500);

/// After this many looks without a change, viewers hear that the server is there.
const BEAT: u32 = 10;

/// `GET /live`: the parts of the page as they change.
pub async fn live(call: Call) -> Answer {
    super::check(&call)?;
    if !call.shared.service.serving.is_ready() {
        return Err(Problem::new(Kind::Draining, "the server is about to stop; try again"));
    }
    let events = call.shared.viewers.add().ok_or_else(|| {
        Problem::new(
            Kind::TooManyPages,
            format_args!(
                "{MOST} pages are open; close one, or reload this one to see the present state"
            ),
        )
    })?;
    let mut answer = HttpResponse::Ok();
    protect(&mut answer)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies must not wait for the end.
        .insert_header(("x-accel-buffering", "no"));
    Ok(answer.content_type("text/event-stream").body(events))
}

/// Looks for changes while pages are open, until the server drains.
pub async fn keep_up_to_date(service: Arc<Service>, shared: Shared) {
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listens = shared.listens;
    let (mut before, mut quiet): (Vec<String>, u32) = (Vec::new(), 0);
    loop {
        looks.tick().await;
        if !service.serving.is_ready() {
            return shared.viewers.end();
        }
        if shared.viewers.are_none() {
            continue;
        }
        let service = service.clone();
        // Fails while no thread is available, or the page cannot be rendered; the next look may do better.
        let rendered = web::block(move || parts::rendered(&service, listens, None)).await;
        let Ok(Ok(Rendered { parts: now, .. })) = rendered else { continue };
        let is_new = |(place, part): &(usize, &String)| before.get(*place) != Some(part);
        let changed: Vec<&str> =
            now.iter().enumerate().filter(is_new).map(|(_, part)| part.as_str()).collect();
        quiet = if changed.is_empty() { quiet + 1 } else { 0 };
        let changes = match (changed.is_empty(), quiet.is_multiple_of(BEAT)) {
            (false, _) => Some(event(&changed)),
            (true, true) => Some(Bytes::from_static(b"event: beat\ndata:\n\n")),
            (true, false) => None,
        };
        let all: Vec<&str> = now.iter().map(String::as_str).collect();
        shared.viewers.send(&event(&all), changes.as_ref());
        before = now;
    }
}

/// HTML as an event. A line feed ends a line of data.
fn event(parts: &[&str]) -> Bytes {
    let mut event = String::new();
    for line in parts.iter().flat_map(|part| part.lines()) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_html_is_a_line_of_data() {
        assert_eq!(event(&["<p>a\nb</p>", "<i/>"]), "data: <p>a\ndata: b</p>\ndata: <i/>\n\n");
    }
}
