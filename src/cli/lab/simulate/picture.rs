//! SVG chart: the share of canaries rolled back or promoted over time.
//!
//! The background is transparent; every color has about the same contrast on white and on black. The
//! same report gives the same bytes.

use std::fmt::Write as _;

use super::report::Report;
use crate::simulation::Moment;
use crate::simulation::Outcome;
use crate::simulation::study;
use crate::text::numbers::percent;

const WIDTH: f64 = 840.0;
/// The plot's edges.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 816.0;
const HEIGHT: f64 = 300.0;

const TEXT: &str = "#767676";
const BAD: &str = "#d55e00";
const GOOD: &str = "#2e86de";

/// Characters of the small print in a line.
const COLUMNS: usize = 118;
const LINE: f64 = 17.0;

/// One curve: its name, its color, how it is dashed, and its points (second, hours so far).
struct Curve {
    name: String,
    color: &'static str,
    dashes: &'static str,
    points: Vec<(u32, usize)>,
    of: usize,
}

/// The report's picture.
pub fn svg(report: &Report) -> String {
    let small_print = report.small_print();
    let small_print: Vec<_> =
        small_print.iter().flat_map(|text| textwrap::wrap(text, COLUMNS)).collect();
    let curves = curves(report);
    let top = 46.0 + LINE * small_print.len() as f64;
    let bottom = top + HEIGHT;
    let legend = bottom + 64.0;
    // Two curves share a line of the legend.
    let height = legend + 20.0 * curves.len().div_ceil(2) as f64;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" font-family=\"system-ui, 'Segoe UI', \
         Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"{TEXT}\">\n"
    );
    let title = "Canaries rolled back and promoted over time";
    element(&mut svg, "title", "", title);
    text(&mut svg, (LEFT, 26.0), "font-size=\"17\" font-weight=\"600\"", title);
    for (line, y) in small_print.iter().zip(0_u16..) {
        text(&mut svg, (LEFT, 46.0 + LINE * f64::from(y)), "font-size=\"12\"", line);
    }
    axes(&mut svg, report, top, bottom);
    for (curve, place) in curves.iter().zip(0_u16..) {
        draw(&mut svg, curve, report.duration_seconds, bottom);
        let x = LEFT + f64::from(place % 2) * 390.0;
        let y = legend + 20.0 * f64::from(place / 2);
        let (from, to) = (x, x + 34.0);
        line(&mut svg, (from, y - 4.0), (to, y - 4.0), &curve.stroke());
        text(&mut svg, (to + 10.0, y), "", &curve.name);
    }
    svg.push_str("</svg>\n");
    svg
}

fn curves(report: &Report) -> Vec<Curve> {
    let curve = |name: &str, color, dashes, outcomes: &[Outcome], what: fn(&Outcome) -> _| {
        let points = study::cumulative(outcomes, what);
        let of = outcomes.len();
        let hours = points.last().map_or(0, |(_, hours)| *hours);
        let name = format!("{name}: {:.1} %", 100.0 * hours as f64 / of as f64);
        Curve { name, color, dashes, points, of }
    };
    let rollback: fn(&Outcome) -> Option<Moment> = |outcome| outcome.rollback;
    let promotion: fn(&Outcome) -> Option<Moment> = |outcome| outcome.promotion;
    let healthy = report.healthy.outcomes.as_slice();
    let mut curves = vec![
        curve("healthy, rolled back", BAD, "2 3", healthy, rollback),
        curve("healthy, promoted", GOOD, "2 3", healthy, promotion),
    ];
    if let Some(run) = &report.with_regression {
        let outcomes = run.outcomes.as_slice();
        curves.push(curve("regression, rolled back", BAD, "none", outcomes, rollback));
        curves.push(curve("regression, promoted", GOOD, "none", outcomes, promotion));
    }
    curves.push(curve("healthy, repeated Welch", TEXT, "7 4", healthy, |o| o.welch));
    curves
}

/// Ticks of the time axis, which is logarithmic: a rollback takes seconds, a promotion minutes.
const TIMES: [(u32, &str); 14] = [
    (1, "1 s"),
    (3, "3 s"),
    (10, "10 s"),
    (30, "30 s"),
    (60, "1 min"),
    (180, "3 min"),
    (600, "10 min"),
    (1800, "30 min"),
    (3600, "1 h"),
    (3 * 3600, "3 h"),
    (10 * 3600, "10 h"),
    (24 * 3600, "1 d"),
    (3 * 24 * 3600, "3 d"),
    (7 * 24 * 3600, "7 d"),
];

fn axes(svg: &mut String, report: &Report, top: f64, bottom: f64) {
    let grid = format!("stroke=\"{TEXT}\" stroke-opacity=\"0.25\"");
    for percent in [0_u8, 20, 40, 60, 80, 100] {
        let y = height_of(f64::from(percent) / 100.0, bottom);
        line(svg, (LEFT, y), (RIGHT, y), &grid);
        text(svg, (LEFT - 8.0, y + 4.0), "text-anchor=\"end\"", &format!("{percent} %"));
    }
    for (seconds, name) in TIMES.iter().filter(|(seconds, _)| *seconds <= report.duration_seconds) {
        let x = place_of(*seconds, report.duration_seconds);
        line(svg, (x, top), (x, bottom), &grid);
        text(svg, (x, bottom + 18.0), "text-anchor=\"middle\"", name);
    }
    let y = height_of(report.alpha, bottom);
    line(svg, (LEFT, y), (RIGHT, y), &format!("stroke=\"{BAD}\" stroke-opacity=\"0.6\""));
    let alpha = format!("alpha {} %", percent(report.alpha));
    text(svg, (RIGHT - 4.0, y - 5.0), "text-anchor=\"end\" font-size=\"11\"", &alpha);
    let middle = (LEFT + RIGHT) / 2.0;
    let time = "time since the deployment (logarithmic)";
    text(svg, (middle, bottom + 38.0), "text-anchor=\"middle\"", time);
    let y = (top + bottom) / 2.0;
    let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 16 {y:.1})\"");
    text(svg, (16.0, y), &turned, "share of canaries");
}

fn draw(svg: &mut String, curve: &Curve, seconds: u32, bottom: f64) {
    let mut path = format!("M{LEFT:.1} {bottom:.1}");
    let mut drawn = LEFT;
    for (index, (second, hours)) in curve.points.iter().enumerate() {
        let x = place_of(*second, seconds);
        // Points within half a pixel become one step, so that the file stays small.
        if x - drawn < 0.5 && index > 0 && index + 1 < curve.points.len() {
            continue;
        }
        drawn = x;
        let y = height_of(*hours as f64 / curve.of as f64, bottom);
        let _ = write!(path, "H{x:.1}V{y:.1}");
    }
    let _ = write!(path, "H{RIGHT:.1}");
    let stroke = curve.stroke();
    let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" {stroke}/>");
}

impl Curve {
    fn stroke(&self) -> String {
        let Curve { color, dashes, .. } = self;
        format!("stroke=\"{color}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"")
    }
}

/// The position of a second: 1 at the left edge, the last at the right edge.
fn place_of(second: u32, seconds: u32) -> f64 {
    let position = f64::from(second.max(1)).ln() / f64::from(seconds.max(2)).ln();
    LEFT + (RIGHT - LEFT) * position
}

fn height_of(share: f64, bottom: f64) -> f64 {
    bottom - HEIGHT * share
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), stroke: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {stroke}/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, place: (f64, f64), attributes: &str, content: &str) {
    let place = format!("x=\"{:.1}\" y=\"{:.1}\" {attributes}", place.0, place.1);
    element(svg, "text", place.trim_end(), content);
}

fn element(svg: &mut String, name: &str, attributes: &str, content: &str) {
    let gap = if attributes.is_empty() { "" } else { " " };
    let _ = writeln!(svg, "<{name}{gap}{attributes}>{}</{name}>", escaped(content));
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML does not allow these, escaped or not.
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("a<b & \"c\">\u{1}"), "a&lt;b &amp; &quot;c&quot;&gt;\u{fffd}");
    }

    #[test]
    fn the_time_axis_begins_at_a_second_and_ends_with_the_hour() {
        assert_eq!(place_of(1, 3600), LEFT);
        assert_eq!(place_of(3600, 3600), RIGHT);
        assert!(place_of(60, 3600) < place_of(61, 3600));
    }
}
