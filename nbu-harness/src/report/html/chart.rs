//! Charts as inline SVG: when jobs ran, how fast data moved, what bptm waited for.

use super::markup::{duration, text};
use std::fmt::Write as _;

/// Width of every chart, in its own units.
const WIDTH: u64 = 960;
/// Space for names at the left and figures at the right.
const LEFT: u64 = 190;
const RIGHT: u64 = 60;
/// Height of one row of bars.
const ROW: u64 = 18;
/// Height of the plot of rates.
const PLOT: u64 = 140;
/// Intervals that rates are averaged over.
const INTERVALS: usize = 80;

/// One bar of a row.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    /// From here to there, in the unit of the axis.
    pub(super) from: u64,
    pub(super) to: u64,
    /// Its class.
    pub(super) class: &'static str,
    /// What it is, for people who point at it or cannot see it.
    pub(super) title: String,
}

/// One row of bars.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
    /// Behind the bars.
    pub(super) figure: String,
}

/// Rows of bars over a common axis in milliseconds.
pub(super) fn bars(label: &str, rows: &[Row]) -> String {
    let end = rows.iter().flat_map(|row| &row.bars).map(|bar| bar.to).max().unwrap_or(0).max(1);
    let x = |value: u64| LEFT + (WIDTH - LEFT - RIGHT) * value.min(end) / end;
    let height = ROW * rows.len() as u64 + 24;
    let mut out = opened(label, height);
    for (row, top) in rows.iter().zip((0u64..).step_by(usize::try_from(ROW).unwrap_or(1))) {
        let base = top + ROW - 5;
        let _ = writeln!(out, "<text x=\"0\" y=\"{base}\">{}</text>", text(&shortened(&row.name)));
        for bar in &row.bars {
            let (from, to) = (x(bar.from), x(bar.to));
            let _ = writeln!(
                out,
                "<rect class=\"{}\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>",
                bar.class,
                top + 2,
                to.saturating_sub(from).max(1),
                ROW - 5,
                text(&bar.title)
            );
        }
        let last = row.bars.iter().map(|bar| x(bar.to)).max().unwrap_or(LEFT);
        let _ = writeln!(
            out,
            "<text class=\"label\" x=\"{}\" y=\"{base}\">{}</text>",
            last + 5,
            text(&row.figure)
        );
    }
    time_axis(&mut out, height, end);
    out.push_str("</svg>\n");
    out
}

/// Bytes moved by some jobs: for each the pairs of time in milliseconds and bytes so far.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) jobs: Vec<Vec<(u64, u64)>>,
}

/// Rates over time up to `end`, all jobs of a series together; none when nothing moved.
pub(super) fn rates(label: &str, end: u64, series: &[Series]) -> Option<String> {
    let end = end.max(1);
    let lines: Vec<Vec<u64>> = series.iter().map(|series| rate_per_second(&series.jobs, end)).collect();
    let top = lines.iter().flatten().copied().max().filter(|top| *top > 0)?;
    let height = PLOT + 40;
    let mut out = opened(label, height);
    let x = |index: usize| LEFT + (WIDTH - LEFT - RIGHT) * (index as u64) / (INTERVALS as u64);
    let y = |rate: u64| {
        8 + PLOT - u64::try_from(u128::from(PLOT) * u128::from(rate) / u128::from(top)).unwrap_or(PLOT)
    };
    for part in 0..=4u128 {
        let rate = u64::try_from(u128::from(top) * part / 4).unwrap_or(top);
        let at = y(rate);
        let _ = writeln!(out, "<path class=\"axis\" d=\"M{LEFT} {at}H{}\"/>", WIDTH - RIGHT);
        let tenths = (u128::from(rate) * 10 + (1 << 19)) >> 20;
        let figure = format!("{}.{} MiB/s", tenths / 10, tenths % 10);
        let _ = writeln!(
            out,
            "<text class=\"label\" text-anchor=\"end\" x=\"{}\" y=\"{}\">{figure}</text>",
            LEFT - 6,
            at + 4
        );
    }
    for ((series, line), row) in series.iter().zip(&lines).zip(0u64..) {
        let points: Vec<String> = line
            .iter()
            .enumerate()
            .flat_map(|(index, rate)| [(x(index), y(*rate)), (x(index + 1), y(*rate))])
            .map(|(x, y)| format!("{x},{y}"))
            .collect();
        let most = line.iter().copied().max().unwrap_or_default() >> 20;
        let _ = writeln!(
            out,
            "<polyline class=\"line-{}\" points=\"{}\"><title>{}, at most {most} MiB/s</title></polyline>",
            series.class,
            points.join(" "),
            text(series.name)
        );
        let _ = writeln!(
            out,
            "<rect class=\"fill-{}\" x=\"0\" y=\"{}\" width=\"10\" height=\"10\"/><text x=\"16\" y=\"{}\">{}</text>",
            series.class,
            12 + 18 * row,
            21 + 18 * row,
            text(series.name)
        );
    }
    time_axis(&mut out, height - 8, end);
    out.push_str("</svg>\n");
    Some(out)
}

/// Bytes per second in each interval: what each job moved between two samples is spread evenly between them.
fn rate_per_second(jobs: &[Vec<(u64, u64)>], end: u64) -> Vec<u64> {
    let intervals = INTERVALS as u64;
    let edge = |index: u64| end * index / intervals;
    let mut bytes = vec![0u128; INTERVALS];
    for job in jobs {
        for pair in job.windows(2) {
            let [(from, had), (to, has)] = *pair else { continue };
            let moved = u128::from(has.saturating_sub(had));
            let length = u128::from(to.saturating_sub(from)).max(1);
            for (index, sum) in (0u64..).zip(&mut bytes) {
                let overlap = edge(index + 1).min(to.max(from + 1)).saturating_sub(edge(index).max(from));
                *sum += moved * u128::from(overlap) / length;
            }
        }
    }
    let rate = |(index, bytes): (u64, u128)| {
        let length = u128::from((edge(index + 1) - edge(index)).max(1));
        u64::try_from(bytes * 1000 / length).unwrap_or(u64::MAX)
    };
    (0u64..).zip(bytes).map(rate).collect()
}

fn opened(label: &str, height: u64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n<title>{}</title>\n",
        text(label),
        text(label)
    )
}

fn time_axis(out: &mut String, bottom: u64, end: u64) {
    let _ = writeln!(out, "<path class=\"axis\" d=\"M{LEFT} {}H{}\"/>", bottom - 20, WIDTH - RIGHT);
    for part in 0..=5u64 {
        let at = LEFT + (WIDTH - LEFT - RIGHT) * part / 5;
        let time = duration(end * part / 5);
        let _ = writeln!(
            out,
            "<text class=\"label\" text-anchor=\"middle\" x=\"{at}\" y=\"{}\">{time}</text>",
            bottom - 6
        );
    }
}

/// Cut to what fits into the space for names.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(30) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spread_over_the_time_in_which_they_moved_and_none_is_lost() {
        let job = vec![(0, 0), (400, 4000), (800, 4000)];
        let rates = rate_per_second(std::slice::from_ref(&job), 800);
        assert_eq!(rates.len(), INTERVALS);
        assert!(rates[..40].iter().all(|rate| *rate == 10_000), "{rates:?}");
        assert!(rates[40..].iter().all(|rate| *rate == 0), "{rates:?}");
        let both = rate_per_second(&[job.clone(), job], 800);
        assert_eq!(both[0], 20_000);
    }

    #[test]
    fn a_chart_is_well_formed_whatever_the_names_are() {
        let bar = Bar { from: 5, to: 100, class: "fill-good", title: "<b>".into() };
        let rows = [Row {
            name: "job <1> with a very, very long name indeed".into(),
            bars: vec![bar],
            figure: "&".into(),
        }];
        let svg = bars("jobs \"of\" x", &rows);
        assert!(svg.contains("&lt;1&gt;") && svg.contains("&amp;") && !svg.contains("<b>"), "{svg}");
        assert!(svg.contains("…"));
        let none = Series { name: "written", class: "one", jobs: vec![vec![(0, 0), (10, 0)]] };
        assert!(rates("nothing", 1000, &[none]).is_none(), "a chart of nothing is none");
        let some = Series { name: "written", class: "one", jobs: vec![vec![(0, 0), (1000, 1 << 20)]] };
        assert!(rates("something", 1000, &[some]).is_some_and(|svg| svg.contains("1.0 MiB/s")));
    }
}
