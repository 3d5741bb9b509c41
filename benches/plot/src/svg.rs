//! Draws a chart as SVG. Its colours follow the reader's scheme, and it brings its own background, so
//! that it can be read wherever it is shown.

use crate::chart::{Chart, Scale, power};
use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 690.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 420.0;
const LEGEND: f64 = 712.0;

/// In the light and in the dark, all of about the same weight.
const COLOURS: [(&str, &str); 10] = [
    ("#d1242f", "#ff7b72"),
    ("#0969da", "#58a6ff"),
    ("#1a7f37", "#3fb950"),
    ("#8250df", "#bc8cff"),
    ("#9a6700", "#d29922"),
    ("#0e7490", "#39c5cf"),
    ("#bf3989", "#f778ba"),
    ("#57606a", "#8b949e"),
    ("#6e4b1f", "#c69a6d"),
    ("#3b5bdb", "#91a7ff"),
];
/// When all colours are taken, lines are broken.
const DASHES: [&str; 3] = ["none", "6 4", "2 3"];

/// The chart as SVG.
pub fn draw(chart: &Chart) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>{}</title>\n<style>\n{}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n",
        escape(&chart.title),
        style(),
    );
    text(&mut svg, (LEFT, 30.0), "start", "title", &chart.title);
    text(&mut svg, (LEFT, 50.0), "start", "quiet", &chart.subtitle);
    let scale = Scale::around(&chart.series);
    axes(&mut svg, chart, &scale);
    lines(&mut svg, chart, &scale);
    svg.push_str("</svg>\n");
    svg
}

/// The grid with its labels.
fn axes(svg: &mut String, chart: &Chart, scale: &Scale) {
    for exponent in scale.lowest..=scale.highest {
        let y = y(scale.place(10f64.powi(exponent)));
        line(svg, (LEFT, y), (RIGHT, y));
        text(svg, (LEFT - 8.0, y + 4.0), "end", "quiet", &power(exponent));
    }
    for (index, tick) in chart.x_ticks.iter().enumerate() {
        let x = x(index, chart.x_ticks.len());
        line(svg, (x, TOP), (x, BOTTOM));
        text(svg, (x, BOTTOM + 20.0), "middle", "quiet", tick);
    }
    let middle = (LEFT + RIGHT) / 2.0;
    text(
        svg,
        (middle, BOTTOM + 44.0),
        "middle",
        "label",
        chart.x_label,
    );
    let middle = (TOP + BOTTOM) / 2.0;
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<text transform=\"translate(18 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        escape(chart.y_label)
    );
}

/// The lines, and a legend in the order in which they end.
fn lines(svg: &mut String, chart: &Chart, scale: &Scale) {
    let mut styled: Vec<_> = chart
        .series
        .iter()
        .map(|it| {
            let dash = it.number / COLOURS.len() % DASHES.len();
            (it, it.number % COLOURS.len(), DASHES[dash])
        })
        .collect();
    styled.sort_by(|a, b| b.0.last().total_cmp(&a.0.last()));
    // What is ours lies on top of the others.
    let (ours, others): (Vec<_>, Vec<_>) = styled.iter().partition(|it| it.0.ours);
    for (series, colour, dash) in others.into_iter().chain(ours) {
        let points: Vec<_> = series
            .values
            .iter()
            .enumerate()
            .filter_map(|(index, value)| {
                Some((x(index, series.values.len()), y(scale.place((*value)?))))
            })
            .collect();
        let width = if series.ours { 3.5 } else { 1.8 };
        path(svg, &points, colour, dash, width);
        for (x, y) in points {
            let radius = width + 1.2;
            let _ = writeln!(
                svg,
                "<circle class=\"d{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
            );
        }
    }
    for (index, (series, colour, dash)) in styled.iter().enumerate() {
        let y = TOP + 8.0 + 20.0 * index as f64;
        let width = if series.ours { 3.5 } else { 1.8 };
        let ends = [(LEGEND, y), (LEGEND + 24.0, y)];
        path(svg, &ends, *colour, dash, width);
        let class = if series.ours { "ours" } else { "label" };
        text(svg, (LEGEND + 32.0, y + 4.0), "start", class, series.name);
    }
}

fn x(index: usize, ticks: usize) -> f64 {
    match ticks {
        0 | 1 => (LEFT + RIGHT) / 2.0,
        _ => LEFT + 20.0 + (RIGHT - LEFT - 40.0) * index as f64 / (ticks - 1) as f64,
    }
}

fn y(place: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * place
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn path(svg: &mut String, points: &[(f64, f64)], colour: usize, dash: &str, width: f64) {
    let points: Vec<_> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline class=\"c{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>",
        points.join(" ")
    );
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, class: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        at.0,
        at.1,
        escape(text)
    );
}

fn style() -> String {
    let light = scheme(["#ffffff", "#1f2328", "#59636e", "#e1e6eb"], |it| it.0);
    let dark = scheme(["#0d1117", "#f0f6fc", "#9198a1", "#2a313a"], |it| it.1);
    format!("{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n")
}

fn scheme(
    [page, ink, quiet, grid]: [&str; 4],
    pick: fn(&(&'static str, &'static str)) -> &'static str,
) -> String {
    let mut style = format!(
        ".page {{ fill: {page} }}\ntext {{ fill: {ink} }}\n.title {{ font-size: 16px; font-weight: 600 }}\n\
         .ours {{ font-weight: 700 }}\n.quiet {{ fill: {quiet} }}\n.grid {{ stroke: {grid} }}\n"
    );
    for (index, colours) in COLOURS.iter().enumerate() {
        let colour = pick(colours);
        let _ = writeln!(
            style,
            ".c{index} {{ stroke: {colour}; fill: none }} .d{index} {{ fill: {colour} }}"
        );
    }
    style
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::{Chart, draw};
    use crate::Series;

    #[test]
    fn a_chart_has_its_title_axes_lines_and_legend() {
        let series = |name, number, values| Series {
            name,
            number,
            ours: number == 0,
            values,
        };
        let svg = draw(&Chart {
            title: "fast & faster".to_owned(),
            subtitle: String::new(),
            x_label: "size",
            x_ticks: vec!["16 B".to_owned(), "1 KiB".to_owned()],
            y_label: "messages/s",
            series: vec![
                series("ours", 0, vec![Some(1e6), Some(1e5)]),
                series("theirs", 1, vec![Some(1e4), None]),
            ],
        });
        for part in [
            "fast &amp; faster",
            "size",
            "1 KiB",
            "messages/s",
            "1 M",
            "theirs",
            "ours",
        ] {
            assert!(svg.contains(&format!(">{part}</")), "{part}: {svg}");
        }
        // A line and its piece of the legend each.
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert_eq!(svg.matches("<circle").count(), 3);
    }
}
