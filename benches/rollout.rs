//! Whole rollouts over HTTP: how soon a harmful canary is rolled back, and whether a healthy one is promoted.
//! Several servers run at once, each with a client that sends 200 requests per second. A second part
//! measures how long a canary still answers after the decision to roll it back.
//!
//! ```text
//! cargo bench --bench rollout -- [--runs 10] [--at-once 10] [--only spike|slow|walk|shadow|removal]
//! ```
//!
//! Exit code 1 if a run ended wrongly, an answer to a user failed, or a limit was missed.

use std::process::ExitCode;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use program::Fallible;
use program::exit_code;
use program::tell;
use server::Folder;
use story::Lived;
use story::Story;

#[path = "shared/program.rs"]
mod program;

#[path = "rollout/server.rs"]
mod server;

#[path = "rollout/client.rs"]
mod client;

#[path = "rollout/customers.rs"]
mod customers;

#[path = "rollout/story.rs"]
mod story;

#[path = "rollout/removal.rs"]
mod removal;

const RUNS: usize = 10;
/// More would compete for the processors of a machine with two cores.
const AT_ONCE: usize = 10;
const REMOVAL: &str = "removal";

fn main() -> ExitCode {
    program::arguments().map_or(ExitCode::SUCCESS, |arguments| exit_code(measure(&arguments)))
}

/// Whether every run ended as it should and every limit was kept.
fn measure(arguments: &[String]) -> Fallible<bool> {
    let given = |flag: &str| {
        let place = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(place + 1).map(String::as_str)
    };
    let number = |flag: &str, default: usize| -> Fallible<usize> {
        given(flag).map_or(Ok(default), |text| {
            let number = text.parse().map_err(|_| format!("{flag} {text}: give a number"))?;
            if (1..=10_000).contains(&number) {
                Ok(number)
            } else {
                Err(format!("{flag} {text}: give 1 to 10000").into())
            }
        })
    };
    let (runs, at_once) = (number("--runs", RUNS)?, number("--at-once", AT_ONCE)?);
    let only = given("--only");
    let names = Story::ALL.map(Story::name);
    if only.is_some_and(|name| name != REMOVAL && !names.contains(&name)) {
        return Err(format!("--only: give one of {}, {REMOVAL}", names.join(", ")).into());
    }
    let folder = Folder::new()?;
    let mut is_fine = true;
    if only.is_none_or(|name| name == REMOVAL) {
        is_fine &= removal::measure(&folder)?;
    }
    let stories: Vec<Story> = Story::ALL
        .into_iter()
        .filter(|story| only.is_none_or(|name| name == story.name()))
        .collect();
    if !stories.is_empty() {
        tell(&format!(
            "\n{runs} runs of each story, {at_once} at once, 200 requests a second each"
        ));
        tell(
            "story                                     runs  wrong  failed of answers    seconds: median    p95    max  limit",
        );
    }
    for story in stories {
        is_fine &= report(story, &lived(story, runs, at_once, &folder)?);
    }
    Ok(is_fine)
}

/// Runs a story several times, some at once.
fn lived(story: Story, runs: usize, at_once: usize, folder: &Folder) -> Fallible<Vec<Lived>> {
    let next = AtomicUsize::new(0);
    let one_after_the_other = || -> Fallible<Vec<Lived>> {
        let mut lived = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < runs {
            lived.push(story.live(folder)?);
        }
        Ok(lived)
    };
    let each: Vec<Fallible<Vec<Lived>>> = thread::scope(|scope| {
        let side_by_side: Vec<_> =
            (0..at_once.min(runs)).map(|_| scope.spawn(one_after_the_other)).collect();
        side_by_side
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a run panicked".into())))
            .collect()
    });
    Ok(each.into_iter().collect::<Fallible<Vec<_>>>()?.concat())
}

fn report(story: Story, lived: &[Lived]) -> bool {
    let wrong = lived.iter().filter(|run| run.wrong.is_some()).count();
    let failed: u64 = lived.iter().map(|run| run.failed).sum();
    let answers: u64 = lived.iter().map(|run| run.answers).sum();
    let mut seconds: Vec<f64> =
        lived.iter().filter(|run| run.wrong.is_none()).map(|run| run.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let at = |share| quantile(&seconds, share);
    let (most, limit) = (at(1.0), story.limit_seconds());
    let within = limit.is_none_or(|limit| most <= limit);
    tell(&format!(
        "{:<40}  {:>4}  {wrong:>5}  {failed:>6} of {answers:<9}           {:>6.1} {:>6.1} {most:>6.1}  {}",
        story.title(),
        lived.len(),
        at(0.5),
        at(0.95),
        limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.0}")),
    ));
    for run in lived {
        if let Some(wrong) = &run.wrong {
            tell(&format!("  wrong: {wrong}"));
        }
    }
    wrong == 0 && failed == 0 && within
}

/// The quantile of ascending values; NaN if there are none.
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let place = (share * ascending.len() as f64).ceil() as usize;
    ascending.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]
fn now() -> Instant {
    Instant::now()
}
