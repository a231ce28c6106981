//! The pages of the past: all rollouts in a table, and one as it ended, also as a file of its own.

mod frame;
mod policy;
mod replay;
mod rollout;
mod table;

use actix_web::HttpResponse;
use actix_web::http::header;
use askama::Template;

use self::frame::Frame;
use self::frame::full;
use self::rollout::RolloutPage;
use self::table::RolloutsPage;
use super::check;
use super::parts::not_rendered;
use super::protection::protect;
use crate::http::access::Access;
use crate::http::answer::Answer;
use crate::http::answer::Call;
use crate::http::past;
use crate::http::past::FIELDS;
use crate::http::past::question;
use crate::http::problem::Kind;
use crate::http::problem::Problem;
use crate::http::query::Fields;
use crate::http::query::invalid;
use crate::http::shared::Asker;
use crate::service::control::audit::Question;

/// Rollouts on a page.
const ROWS: usize = 100;

/// `GET /rollouts`: all rollouts.
pub async fn rollouts(call: Call) -> Answer {
    check(&call)?;
    let page = list(&call).await;
    answered(&call, page)
}

/// `GET /rollouts/{id}`: one of them, or the newest as `latest`.
pub async fn rollout(call: Call) -> Answer {
    check(&call)?;
    let page = one(&call).await;
    answered(&call, page)
}

async fn list(call: &Call) -> Answer {
    let before = Fields::of(call.request.query_string(), &["before"])?.whole("before")?;
    let _turn = call.shared.documents.acquire().await;
    let page = call.ask(move |service| {
        let found = service.rollouts(before, ROWS)?;
        RolloutsPage::new(found, service.status().at).render().map_err(not_rendered)
    });
    Ok(html(page.await?))
}

async fn one(call: &Call) -> Answer {
    let allowed: Vec<&str> = FIELDS.iter().copied().chain(["form"]).collect();
    let fields = Fields::of(call.request.query_string(), &allowed)?.of_form();
    let is_file = match fields.text("form") {
        None => false,
        Some("file") => true,
        Some(other) => return Err(invalid(format!("form: {other:?} is unknown; use file"))),
    };
    let page = match question(call, &fields) {
        Ok(question) => rendered(call, question, &fields, None, is_file).await,
        Err(problem) => Err(problem),
    };
    let (id, page) = match page {
        // A form shows what is wrong with its fields beside them.
        Err(problem) if problem.kind() == Kind::InvalidQuery => {
            let question = question(call, &Fields::default())?;
            rendered(call, question, &fields, Some(problem.to_string()), is_file).await?
        }
        page => page?,
    };
    let mut answer = html(page);
    if is_file {
        let name = format!("attachment; filename=\"rollout-{id}.html\"");
        if let Ok(name) = header::HeaderValue::from_str(&name) {
            answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        }
    }
    Ok(answer)
}

/// The page of a rollout, and its number.
async fn rendered(
    call: &Call,
    question: Question,
    fields: &Fields,
    refused: Option<String>,
    is_file: bool,
) -> Result<(u64, String), Problem> {
    let is_open = matches!(call.shared.settings.access, Access::Open);
    let _turn = match question.is_heavy() {
        // It has a queue of its own.
        true => None,
        false => call.shared.documents.acquire().await.ok(),
    };
    let (fields, changes) = (fields.clone(), question.changes.clone());
    past::answered(call, Asker::Page, question, move |past| {
        let id = past.outline.id;
        let page = RolloutPage::new(past, &fields, changes, refused, is_file, is_open)?;
        Ok((id, page.render().map_err(not_rendered)?))
    })
    .await
}

fn html(page: String) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    protect(&mut answer).insert_header((header::CACHE_CONTROL, "no-store"));
    answer.content_type("text/html; charset=utf-8").body(page)
}

/// Why there is no page.
#[derive(Debug, Template)]
#[template(path = "refused.html")]
struct Refused {
    frame: Frame,
    title: &'static str,
    detail: String,
}

/// The answer, of which browsers get a problem as a page.
fn answered(call: &Call, answer: Answer) -> Answer {
    let problem = match answer {
        Ok(answer) => return Ok(answer),
        Err(problem) => problem,
    };
    let accepted = call.request.headers().get(header::ACCEPT);
    if !accepted.is_some_and(|types| types.as_bytes().starts_with(b"text/html")) {
        return Err(problem);
    }
    let is_list = call.request.match_info().get("id").is_none();
    let frame = Frame {
        root: if is_list { "" } else { "../" },
        is_list,
        is_file: false,
        written: full(call.shared.service.serving.clock.wall()),
    };
    let page = Refused { frame, title: problem.kind().title(), detail: sentence(&problem) };
    let page = page.render().map_err(not_rendered)?;
    let status = problem.response(call.request.path()).status();
    let mut answer = html(page);
    *answer.status_mut() = status;
    Ok(answer)
}

/// The problem as a sentence, which begins with a capital unless it begins with the name of a field.
fn sentence(problem: &Problem) -> String {
    let text = problem.to_string();
    let is_field =
        text.split([' ', ':']).next().is_some_and(|word| text[word.len()..].starts_with(':'));
    let mut rest = text.chars();
    match rest.next() {
        Some(first) if !is_field => first.to_uppercase().chain(rest).chain(['.']).collect(),
        Some(_) | None => text + ".",
    }
}
