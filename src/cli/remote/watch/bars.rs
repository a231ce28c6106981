//! Bars of characters: the interval of a metric, and the shares of the traffic.

use anstyle::AnsiColor;
use anstyle::Style;

use crate::cli::show;
use crate::cli::show::styled;
use crate::service::status::report::axis::END;
use crate::service::status::report::axis::Multiples;

/// The color of stable, as on the page.
pub(super) const STABLE: Style = AnsiColor::Blue.on_default();
/// The color of the canary: yellow is the nearest to orange that every terminal has.
pub(super) const CANARY: Style = AnsiColor::Yellow.on_default();

/// The cells of an interval that is wholly beyond the axis.
const STUB: usize = 3;

/// The characters of bars.
#[derive(Debug)]
pub(super) struct Glyphs {
    /// The present step.
    pub(super) now: char,
    canary: char,
    stable: char,
    beyond: char,
    zero: char,
    harmful: char,
    bar: char,
    harmful_on_bar: char,
    caps: [char; 2],
    arrows: [char; 2],
    estimate: char,
}

const UTF8: Glyphs = Glyphs {
    now: '▲',
    canary: '█',
    stable: '▒',
    beyond: '░',
    zero: '│',
    harmful: '┃',
    bar: '━',
    harmful_on_bar: '╋',
    caps: ['┣', '┫'],
    arrows: ['◀', '▶'],
    estimate: '◆',
};

const ASCII: Glyphs = Glyphs {
    now: '^',
    canary: '#',
    stable: '.',
    beyond: ':',
    zero: '|',
    harmful: '!',
    bar: '=',
    harmful_on_bar: '!',
    caps: ['[', ']'],
    arrows: ['<', '>'],
    estimate: 'o',
};

impl Glyphs {
    pub(super) fn new(is_utf8: bool) -> &'static Glyphs {
        if is_utf8 { &UTF8 } else { &ASCII }
    }

    /// What the marks of an interval mean.
    pub(super) fn legend(&self) -> String {
        let Glyphs { harmful, beyond, .. } = self;
        format!("fails: whole bar right of {harmful}   passes: whole bar out of {beyond}")
    }

    /// The traffic as a bar of this width; the canary, in percent, comes from the left. Any share of it is seen, and any
    /// of stable.
    pub(super) fn shares(&self, canary: f64, width: usize) -> String {
        let cells = (canary / 100.0 * width as f64).round() as usize;
        let of_canary = match canary {
            share if share <= 0.0 => 0,
            share if share >= 100.0 => width,
            _ => cells.clamp(1, width.saturating_sub(1).max(1)),
        };
        let run = |glyph: char, count: usize| glyph.to_string().repeat(count);
        let of_stable = width.saturating_sub(of_canary);
        let parts = [(CANARY, run(self.canary, of_canary)), (STABLE, run(self.stable, of_stable))];
        let parts = parts.into_iter().filter(|(_, run)| !run.is_empty());
        parts.map(|(style, run)| styled(style, run)).collect()
    }

    /// The interval of a metric in this many cells, an odd number. An empty axis without a comparison.
    pub(super) fn interval(&self, multiples: Option<&Multiples>, cells: usize) -> String {
        let plain = Style::new();
        let Some(multiples) = multiples else { return " ".repeat(cells) };
        let scale = Scale::new(multiples, cells);
        let mut bar: Vec<(Style, char)> = vec![(plain, ' '); cells];
        let mut put = |cell: usize, style: Style, glyph: char| {
            if let Some(at) = bar.get_mut(cell) {
                *at = (style, glyph);
            }
        };
        for cell in scale.accepted..cells {
            put(cell, show::FAINT, self.beyond);
            if multiples.is_two_sided {
                put(cells - 1 - cell, show::FAINT, self.beyond);
            }
        }
        put(scale.middle, show::FAINT, self.zero);
        let red = AnsiColor::Red.on_default();
        let mut harmful = vec![scale.harmful];
        if multiples.is_two_sided {
            harmful.push(cells - 1 - scale.harmful);
        }
        harmful.iter().for_each(|cell| put(*cell, red, self.harmful));
        if let Some([low, high]) = multiples.interval {
            // What is wholly beyond the axis keeps a stub.
            let left = if low > END { cells.saturating_sub(STUB) } else { scale.cell(low) };
            let right = if high < -END { STUB - 1 } else { scale.cell(high) };
            for cell in left..=right {
                match harmful.contains(&cell) {
                    true => put(cell, red, self.harmful_on_bar),
                    false => put(cell, plain, self.bar),
                }
            }
            let left_end = if low < -END { self.arrows[0] } else { self.caps[0] };
            let right_end = if high > END { self.arrows[1] } else { self.caps[1] };
            put(left, plain, if low > END { self.bar } else { left_end });
            put(right, plain, if high < -END { self.bar } else { right_end });
        }
        if let Some(effect) = multiples.effect.filter(|effect| effect.abs() <= END) {
            put(scale.cell(effect), show::STRONG, self.estimate);
        }
        let mut text = String::new();
        let mut rest = bar.as_slice();
        while let Some((style, _)) = rest.first() {
            let run = rest.iter().take_while(|(other, _)| other == style).count();
            let (these, others) = rest.split_at(run);
            text += &styled(*style, these.iter().map(|(_, glyph)| *glyph).collect::<String>());
            rest = others;
        }
        text
    }
}

/// Which cell a multiple is in. Rounding never moves it to the other side of a margin, so that the picture does not
/// contradict the state.
struct Scale {
    cells: usize,
    middle: usize,
    /// The first cell beyond the accepted margin.
    accepted: usize,
    /// The cell of the harm margin.
    harmful: usize,
    margins: [f64; 2],
    is_two_sided: bool,
}

impl Scale {
    fn new(multiples: &Multiples, cells: usize) -> Scale {
        let Multiples { accepted, harmful, is_two_sided, .. } = *multiples;
        let margins = [accepted, harmful];
        let middle = cells / 2;
        let mut scale = Scale { cells, middle, accepted: 0, harmful: 0, margins, is_two_sided };
        scale.accepted = scale.rounded(accepted).max(middle + 1);
        scale.harmful = scale.rounded(harmful).max(middle);
        if harmful < accepted {
            scale.harmful = scale.harmful.min(scale.accepted.saturating_sub(1));
        }
        scale
    }

    fn rounded(&self, multiple: f64) -> usize {
        let on_axis = (multiple.clamp(-END, END) + END) / (2.0 * END);
        (on_axis * (self.cells.saturating_sub(1)) as f64).round() as usize
    }

    fn cell(&self, multiple: f64) -> usize {
        match multiple < 0.0 {
            true if self.is_two_sided => self.cells - 1 - self.on_side_of_margins(-multiple),
            true => self.rounded(multiple),
            false => self.on_side_of_margins(multiple),
        }
    }

    fn on_side_of_margins(&self, multiple: f64) -> usize {
        let [accepted, harmful] = self.margins;
        let rounded = self.rounded(multiple);
        let cell = match multiple > accepted {
            true => rounded.max(self.accepted),
            false => rounded.min(self.accepted.saturating_sub(1)),
        };
        match multiple > harmful {
            true => cell.max(self.harmful + 1),
            false => cell.min(self.harmful),
        }
        .min(self.cells.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(effect: f64, interval: [f64; 2], is_two_sided: bool) -> String {
        let (accepted, harmful) = (1.0, 0.5);
        let interval = Some(interval);
        let effect = Some(effect);
        let multiples = Multiples { effect, interval, accepted, harmful, is_two_sided };
        let bar = Glyphs::new(false).interval(Some(&multiples), 21);
        anstream::adapter::strip_str(&bar).to_string()
    }

    #[test]
    fn an_interval_stands_where_its_state_says() {
        // Stable is in the middle, the harm margin at `!`, the accepted one where the shade begins.
        assert_eq!(drawn(0.1, [-0.5, 0.8], false), "        [==o=!]::::::");
        assert_eq!(drawn(0.1, [-0.5, 0.999], false), "        [==o=!]::::::");
        assert_eq!(drawn(0.1, [-0.5, 1.001], false), "        [==o=!=]:::::");
        assert_eq!(drawn(0.7, [0.499, 1.0], false), "          | [!o::::::");
        assert_eq!(drawn(0.7, [0.501, 1.5], false), "          |  !o===]::");
        assert_eq!(drawn(-1.01, [-1.2, 0.1], true), "::::[o=!===] ! ::::::");
    }

    #[test]
    fn what_leaves_the_axis_has_an_arrow() {
        assert_eq!(drawn(0.0, [-9.0, 9.0], false), "<=========o==!======>");
        assert_eq!(drawn(5.0, [4.0, 6.0], false), "          |  ! :::==>");
        assert_eq!(drawn(-5.0, [-6.0, -4.0], false), "<==       |  ! ::::::");
    }

    #[test]
    fn nothing_tolerated_is_the_line_of_stable() {
        let interval = Some([0.001, 0.4]);
        let multiples = Multiples {
            effect: Some(0.2),
            interval,
            accepted: 1.0,
            harmful: 0.0,
            is_two_sided: false,
        };
        let bar = Glyphs::new(false).interval(Some(&multiples), 21);
        assert_eq!(anstream::adapter::strip_str(&bar).to_string(), "          !o]  ::::::");
        assert_eq!(Glyphs::new(true).interval(None, 9), "         ");
    }

    #[test]
    fn any_share_is_seen() {
        let bar =
            |share| anstream::adapter::strip_str(&Glyphs::new(false).shares(share, 20)).to_string();
        assert_eq!(bar(0.0), "....................");
        assert_eq!(bar(0.1), "#...................");
        assert_eq!(bar(50.0), "##########..........");
        assert_eq!(bar(99.9), "###################.");
        assert_eq!(bar(100.0), "####################");
    }
}
