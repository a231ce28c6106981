//! `serin status`: what a server is doing.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::client::ServerArgs;
use super::labels;
use crate::cli::show;
use crate::cli::show::styled;

/// The flags of `serin status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints the status.
///
/// # Errors
/// When the server cannot be asked.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let status = args.server.client().get("/admin/status")?.done()?;
    print(&status, args.server.json);
    Ok(ExitCode::SUCCESS)
}

/// Prints a status, however it was come by.
pub fn print(status: &Value, json: bool) {
    if json {
        anstream::println!("{}", show::json(status));
        return;
    }
    let stable = &status["stable"];
    anstream::println!(
        "{}  {} {}",
        styled(show::STRONG, "stable"),
        show::text(&stable["version"]),
        styled(show::FAINT, format!("since {}", show::text(&stable["since"]))),
    );
    if status["canary"].is_null() {
        anstream::println!("{}  none", styled(show::STRONG, "canary"));
        print_last(&status["last_rollout"]);
        print_quarantine(&status["quarantine"]);
        print_lines(&labels::post_promotion(status));
        print_lines(&labels::quality(&status["quality"]));
        print_slowdown(status);
        print_lines(&show::tracks(&status["tracks"]["stable"], None));
        return;
    }
    let rollout = &status["rollout"];
    anstream::println!(
        "{}  {} with {} % of the traffic, rollout {}, {} for {} of {}",
        styled(show::STRONG, "canary"),
        show::text(&status["canary"]["version"]),
        status["traffic_percent"].as_f64().unwrap_or_default(),
        rollout["id"],
        show::text(&status["state"]),
        show::duration(&rollout["elapsed_seconds"]),
        show::duration(&rollout["bake_seconds"]),
    );
    print_plan(&rollout["plan"]);
    print_slowdown(status);
    let tracks = &status["tracks"];
    print_lines(&show::tracks(&tracks["stable"], Some(&tracks["canary"])));
    print_lines(&labels::quality(&status["quality"]));
    print_lines(&labels::post_promotion(status));
    if let Some(message) = status["shadow"]["message"].as_str() {
        let percent = status["shadow"]["percent"].as_f64().unwrap_or_default();
        let said = format!("shadow  {percent} % of stable's requests; {message}");
        anstream::println!("{}", show::wrapped(&said, "        "));
    }
    let health = &status["health"];
    let word = show::health_word(&show::text(&health["status"]));
    anstream::println!("{}  {word}", styled(show::STRONG, "health"));
    for sentence in show::text(&health["message"]).split("; ") {
        anstream::println!("{}", show::wrapped(sentence, "        "));
    }
    print_lines(&show::watch(health, "        "));
    for item in status["checklist"].as_array().into_iter().flatten() {
        let mark = match item["done"].as_bool() {
            Some(true) => styled(show::GOOD, "done"),
            Some(false) | None => styled(show::WAIT, "open"),
        };
        anstream::println!("  {mark}  {}", show::text(&item["item"]));
    }
}

/// `1 % for 10 min > [5 %] for 10 min > 25 %`, and what it waits for.
fn print_plan(plan: &Value) {
    let (Some(steps), Some(position)) = (plan["steps"].as_array(), plan["position"].as_u64())
    else {
        return;
    };
    let steps: Vec<String> = steps
        .iter()
        .zip(1..)
        .map(|(step, place)| {
            let share = format!("{} %", step["percent"].as_f64().unwrap_or_default());
            let shadow = step["shadow_percent"].as_f64().filter(|percent| *percent > 0.0);
            let share = match shadow {
                Some(percent) => format!("{share} (shadow {percent} %)"),
                None => share,
            };
            let share = if place == position { format!("[{share}]") } else { share };
            match step["bake_seconds"].is_null() {
                true => format!("{share} until resumed"),
                false => format!("{share} for {}", show::duration(&step["bake_seconds"])),
            }
        })
        .collect();
    anstream::println!("{}", show::wrapped(&format!("plan  {}", steps.join(" > ")), "        "));
    let next = show::text(&plan["next"]).replace('_', " ");
    anstream::println!("        next  {next}");
    for reason in plan["reasons"].as_array().into_iter().flatten() {
        anstream::println!("{}", show::wrapped(&show::text(reason), "          "));
    }
}

fn print_slowdown(status: &Value) {
    if status["simulate_slowdown"] == Value::Bool(true) {
        let delay = format!("the canary is slowed down by {} ms on purpose", status["delay_ms"]);
        anstream::println!("        {}", styled(show::WAIT, delay));
    }
    let injection = &status["injection"];
    if injection.is_object() {
        let harm = format!(
            "broken on purpose: {} ms of delay, {} of its requests fail, scores shifted by {}",
            injection["delay_ms"], injection["error_rate"], injection["score_shift"],
        );
        anstream::println!("{}", show::wrapped(&styled(show::WAIT, harm), "        "));
    }
    if status["breaker"]["state"] == "open" {
        let open = format!(
            "not asked, but for probes: it has failed {} times in a row",
            status["breaker"]["failures_in_a_row"],
        );
        anstream::println!("        {}", styled(show::BAD, open));
    }
}

fn print_lines(lines: &[String]) {
    for line in lines {
        anstream::println!("{line}");
    }
}

fn print_last(last: &Value) {
    if last.is_null() {
        return;
    }
    let outcome = match &*show::text(&last["outcome"]) {
        "promoted" => styled(show::GOOD, "promoted"),
        "reverted" => styled(show::BAD, "promoted and reverted"),
        _ => styled(show::BAD, "rolled back"),
    };
    anstream::println!(
        "{}    rollout {} of {} was {outcome}",
        styled(show::STRONG, "last"),
        last["rollout"],
        show::text(&last["canary"]["version"]),
    );
    anstream::println!("{}", show::wrapped(&show::text(&last["reason"]), "        "));
    if let Some(until) = last["cool_down_until"].as_str() {
        let until = format!("until {until} nothing is deployed by plan");
        anstream::println!("        {}", styled(show::WAIT, until));
    }
}

/// What may not be deployed, and why.
fn print_quarantine(quarantine: &Value) {
    for (digest, reason) in quarantine.as_object().into_iter().flatten() {
        let digest: String = digest.chars().take(12).collect();
        let said = format!("quarantine  {digest}: {}", show::text(reason));
        anstream::println!("{}", show::wrapped(&said, "        "));
    }
}
