//! The lines of a screen: verdict, traffic, metrics, what happened. A pure function of the answers and the size.

use anstyle::Style;
use textwrap::core::display_width;

use super::bars;
use super::bars::Glyphs;
use super::canvas::Canvas;
use super::canvas::cut;
use super::table;
use crate::cli::remote::page::Page;
use crate::cli::show;
use crate::cli::show::plain;
use crate::cli::show::styled;
use crate::service::status::Status;
use crate::service::status::history::HistoryEntry;
use crate::service::status::report::Report;
use crate::service::status::report::facts::facts;
use crate::service::status::report::words::Times;
use crate::service::status::report::words::duration;

/// The newest answers.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) status: Status,
    /// Oldest first.
    pub(super) history: Vec<HistoryEntry>,
    pub(super) times: Times,
}

/// The server sends no news.
#[derive(Clone, Debug)]
pub(super) struct Stale {
    /// The age of what is shown.
    pub(super) seconds: u64,
    /// Why there is no answer, if that is known.
    pub(super) why: Option<String>,
}

/// What is shown.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) seen: &'a Seen,
    /// Its address.
    pub(super) server: &'a str,
    pub(super) stale: Option<Stale>,
}

/// Parts of the screen, from the top. Each may be cut where there is no room.
struct Parts {
    strip: Vec<String>,
    verdict: Vec<String>,
    traffic: Vec<String>,
    metrics: Vec<String>,
    legend: Vec<String>,
    notes: Vec<String>,
    timeline: Vec<String>,
    foot: Vec<String>,
}

impl View<'_> {
    /// At most as many lines as there are rows, none wider than the columns.
    pub(super) fn lines(&self, canvas: &Canvas) -> Vec<String> {
        let Seen { status, history, times } = self.seen;
        let report = Report::new(status, times);
        let parts = Parts {
            strip: self.strip(canvas),
            verdict: verdict(status, &report, canvas),
            traffic: traffic(status, canvas),
            metrics: table::lines(&report.metrics, canvas),
            legend: legend(&report, canvas),
            notes: notes(&report, canvas),
            timeline: timeline(history, times, canvas),
            foot: foot(&report, canvas),
        };
        let heads = parts.strip.len();
        let lines = parts.fitted(canvas.rows);
        let line = |(row, line): (usize, String)| {
            let old = self.stale.is_some() && row >= heads;
            finished(&line, old, canvas)
        };
        lines.into_iter().enumerate().map(line).collect()
    }

    /// Which server, and from when this is.
    fn strip(&self, canvas: &Canvas) -> Vec<String> {
        let Seen { status, times, .. } = self.seen;
        let at = times.time(status.at);
        let (style, clock) = match &self.stale {
            None => (show::FAINT, at),
            Some(stale) => {
                let age = duration(stale.seconds as f64);
                (show::BAD, format!("STALE since {at} ({age})"))
            }
        };
        let server = cut(&plain(self.server), canvas.columns.saturating_sub(9 + clock.len()));
        let taken = "serin  ".len() + display_width(&server) + clock.len();
        let pad = " ".repeat(canvas.columns.saturating_sub(taken));
        let serin = styled(show::STRONG, "serin");
        let mut lines = vec![format!("{serin}  {server}{pad}{}", styled(style, &clock))];
        if let Some(stale) = &self.stale {
            let why = stale.why.as_deref().unwrap_or("no answer yet");
            let mut page = Page::new(canvas.columns);
            page.paragraph(&format!("The figures are old; trying again: {why}"));
            lines.extend(page.lines.into_iter().take(2).map(|line| styled(show::FAINT, line)));
        }
        lines
    }
}

impl Parts {
    /// All parts in this many rows. The journal gives way first, then notes, gaps and metrics; the verdict stays.
    fn fitted(mut self, rows: usize) -> Vec<String> {
        let parts = |it: &Parts| {
            [&it.verdict, &it.traffic, &it.metrics, &it.notes, &it.timeline].map(Vec::len)
        };
        let legend = self.legend.clone();
        let mut gaps = parts(&self).iter().filter(|length| **length > 0).count() + 1;
        let fixed = self.strip.len() + self.legend.len() + self.foot.len();
        let mut excess = (parts(&self).iter().sum::<usize>() + fixed + gaps).saturating_sub(rows);
        shrink(&mut self.timeline, 3, &mut excess);
        shrink_text(&mut self.notes, 1, &mut excess);
        shrink(&mut self.legend, 0, &mut excess);
        let is_cut = !legend.is_empty() && self.legend.is_empty();
        if let (true, Some(foot)) = (is_cut, self.foot.last_mut()) {
            *foot = format!("{}   {}", styled(show::FAINT, "q quits"), legend.concat());
        }
        let without = gaps.min(excess);
        (gaps, excess) = (gaps - without, excess - without);
        shrink(&mut self.timeline, 2, &mut excess);
        let metrics = self.metrics.len();
        shrink(&mut self.metrics, 5, &mut excess);
        let hidden = metrics - self.metrics.len();
        if let (1.., Some(last)) = (hidden, self.metrics.last_mut()) {
            *last = styled(show::FAINT, format!("and {} more: serin status", hidden + 1));
        }
        for (part, least) in [(&mut self.timeline, 0), (&mut self.notes, 0), (&mut self.metrics, 0)]
        {
            shrink(part, least, &mut excess);
        }
        shrink_text(&mut self.verdict, 2, &mut excess);
        shrink(&mut self.traffic, 0, &mut excess);
        shrink(&mut self.foot, 0, &mut excess);
        let mut lines = self.strip;
        let middle = [
            (self.verdict, Vec::new()),
            (self.traffic, Vec::new()),
            (self.metrics, self.legend),
            (self.notes, Vec::new()),
            (self.timeline, Vec::new()),
        ];
        for (part, below) in middle {
            if part.is_empty() {
                continue;
            }
            if gaps > 0 {
                lines.push(String::new());
                gaps -= 1;
            }
            lines.extend(part);
            lines.extend(below);
        }
        // The last line is at the bottom.
        let above = rows.saturating_sub(self.foot.len());
        lines.resize(lines.len().max(above), String::new());
        lines.extend(self.foot);
        lines.truncate(rows);
        lines
    }
}

/// Cuts lines at the end, but leaves this many.
fn shrink(lines: &mut Vec<String>, least: usize, excess: &mut usize) {
    let without = lines.len().saturating_sub(least).min(*excess);
    lines.truncate(lines.len() - without);
    *excess -= without;
}

/// The same for a text, which shows that it goes on.
fn shrink_text(lines: &mut Vec<String>, least: usize, excess: &mut usize) {
    let before = lines.len();
    shrink(lines, least, excess);
    let is_cut = lines.len() < before;
    if let Some(last) = lines.last_mut().filter(|_| is_cut) {
        // The last word makes room, whatever the width.
        let end = last.trim_end().rfind(' ').unwrap_or(last.len());
        last.truncate(end);
        last.push_str(" …");
    }
}

/// Condition, reason, what happens next, and what is missing.
fn verdict(status: &Status, report: &Report, canvas: &Canvas) -> Vec<String> {
    let mut page = Page::new(canvas.columns);
    page.headline(status, report);
    let missing = report.missing.as_ref().map(|missing| format!(" {missing}"));
    let next = format!("{}{}", report.next, missing.unwrap_or_default());
    page.labelled("Next", show::STRONG, &next);
    // Without a rollout, what happens next says it.
    if let Some(start) = report.start.filter(|_| status.rollout.is_some()) {
        page.labelled("", Style::new(), &format!("{}: {}", start.words, start.command));
    }
    page.lines
}

/// Who gets what as a bar, with the steps of the plan and what was measured.
fn traffic(status: &Status, canvas: &Canvas) -> Vec<String> {
    let glyphs = Glyphs::new(canvas.is_utf8);
    let share = status.share_now();
    let half = (canvas.columns / 2).saturating_sub(8);
    let name = |name: &str| cut(&plain(name), half);
    let canary = status.canary.as_ref().map(|canary| name(&canary.name));
    let instead = match status.traffic_percent {
        usual if usual > share => format!(" instead of {usual} %"),
        _ => String::new(),
    };
    let canary = canary.map_or_else(String::new, |name| format!("{name} {share} %{instead}"));
    let stable = format!("{} {} %", name(&status.stable.version.name), 100.0 - share);
    let taken = display_width(&canary) + display_width(&stable);
    let pad = " ".repeat(canvas.columns.saturating_sub(taken));
    let (canary, stable) = (styled(bars::CANARY, canary), styled(bars::STABLE, stable));
    let mut lines = vec![format!("{canary}{pad}{stable}"), glyphs.shares(share, canvas.columns)];
    let plan = status.rollout.as_ref().and_then(|rollout| rollout.plan.as_ref());
    if let Some(plan) = plan {
        let steps: Vec<f64> = plan.plan.steps.iter().map(|step| step.weight.percent()).collect();
        lines.push(steps_line(&steps, status.traffic_percent, glyphs.now, canvas.columns));
    }
    let mut facts = facts(status);
    if let Some(shadow) = status.shadow.as_ref().filter(|shadow| shadow.percent > 0.0) {
        facts.push(("Shadow", format!("{} %", shadow.percent)));
    }
    if !facts.is_empty() {
        let facts: Vec<String> =
            facts.iter().map(|(label, value)| format!("{label} {value}")).collect();
        lines.push(styled(show::FAINT, cut(&facts.join("   "), canvas.columns)));
    }
    lines
}

/// The steps under the bar. The present step and the next ones are written first; the others where there is room.
fn steps_line(steps: &[f64], now: f64, mark: char, width: usize) -> String {
    let mut ends = steps.to_vec();
    if ends.last().is_none_or(|last| *last < 100.0) {
        ends.push(100.0);
    }
    let (later, earlier): (Vec<f64>, Vec<f64>) = ends.iter().partition(|end| **end >= now);
    let mut line: Vec<(char, Style)> = vec![(' ', show::FAINT); width];
    for end in later.into_iter().chain(earlier.into_iter().rev()) {
        let is_now = end == now;
        let label = if is_now { format!("{mark}{end} %") } else { format!("{end} %") };
        let length = label.chars().count();
        // The mark is below the end of the canary's part.
        let at = (end / 100.0 * width as f64).round() as usize;
        let at = at.saturating_sub(if is_now { 1 } else { length / 2 });
        let at = at.min(width.saturating_sub(length));
        let around = at.saturating_sub(1)..(at + length + 1).min(width);
        let is_free = line.get(around).is_some_and(|there| there.iter().all(|it| it.0 == ' '));
        if is_free && at + length <= width {
            let style = if is_now { show::STRONG } else { show::FAINT };
            line.splice(at..at + length, label.chars().map(|one| (one, style)));
        }
    }
    let mut text = String::new();
    let mut rest = line.as_slice();
    while let Some((_, style)) = rest.first() {
        let run = rest.iter().take_while(|(_, other)| other == style).count();
        let (these, others) = rest.split_at(run);
        text += &styled(*style, these.iter().map(|(one, _)| *one).collect::<String>());
        rest = others;
    }
    text
}

/// What the marks in the table mean.
fn legend(report: &Report, canvas: &Canvas) -> Vec<String> {
    let has_bars = report.metrics.iter().any(|row| row.numbers.is_some());
    let text = || styled(show::FAINT, cut(&Glyphs::new(canvas.is_utf8).legend(), canvas.columns));
    has_bars.then(text).into_iter().collect()
}

fn notes(report: &Report, canvas: &Canvas) -> Vec<String> {
    let mut page = Page::new(canvas.columns);
    report.notes.iter().for_each(|note| page.paragraph(note));
    page.lines
}

/// What happened, newest first.
fn timeline(history: &[HistoryEntry], times: &Times, canvas: &Canvas) -> Vec<String> {
    let entries: Vec<(String, &str)> =
        history.iter().rev().map(|it| (times.time(it.entry.at), it.sentence.as_str())).collect();
    let width = entries.iter().take(canvas.rows).map(|(at, _)| at.len()).max().unwrap_or(0);
    let line = |(at, sentence): &(String, &str)| {
        let room = canvas.columns.saturating_sub(width + 2);
        format!("{}  {}", styled(show::FAINT, format!("{at:>width$}")), cut(&plain(sentence), room))
    };
    let head = (!entries.is_empty()).then(|| styled(show::STRONG, "Timeline"));
    head.into_iter().chain(entries.iter().map(line)).collect()
}

/// Keys and other commands.
fn foot(report: &Report, canvas: &Canvas) -> Vec<String> {
    let open = report.metrics.iter().find(|row| row.is_open());
    let metric = open.map_or("METRIC", |row| row.metric.as_str());
    let text = format!("q quits   more: serin status -v, serin explain {metric}, serin history");
    vec![styled(show::FAINT, cut(&plain(&text), canvas.columns))]
}

/// A line that fits, gray if it is old.
fn finished(line: &str, is_old: bool, canvas: &Canvas) -> String {
    let bare = || anstream::adapter::strip_str(line).to_string();
    let line = match display_width(line) > canvas.columns {
        // Only where not even the smallest form fits.
        true => cut(&bare(), canvas.columns),
        false if is_old => styled(show::FAINT, bare()),
        false => line.to_owned(),
    };
    if canvas.is_utf8 { line } else { line.chars().map(ascii).collect() }
}

/// The nearest character that every terminal shows.
fn ascii(one: char) -> char {
    match one {
        _ if one.is_ascii() => one,
        '…' => '~',
        '–' | '−' => '-',
        '±' => '~',
        '\u{a0}' => ' ',
        _ => '?',
    }
}
