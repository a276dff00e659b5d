//! Plots as SVG that stands inside a page: colours come from the page's style, so that they follow light and dark.
//!
//! Written by hand because crates that draw bake colours and fonts into every element and have no place for tooltips.
//! Two kinds: curves (each axis logarithmic or linear, each curve labelled at its end, each point with a tooltip), and
//! horizontal bars from zero, labelled with their values.

use std::fmt::Write as _;

use serde::Serialize;

/// Curves that have a colour of their own in the page's style: `s0`, Walkprint's, to `s7`.
const COLOURS: usize = 8;
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 440.0;
/// Where curves are drawn: left, right, top, bottom. On the right there is room for labels.
const FRAME: [f64; 4] = [70.0, 610.0, 14.0, 384.0];
/// Height of a row of a bar chart, and where bars begin and end.
const ROW: f64 = 30.0;
const BARS: [f64; 2] = [250.0, 690.0];
/// About the width of a letter and the height of a line of labels.
const LETTER: f64 = 6.8;
const LINE: f64 = 16.0;
/// A label that stands further than this from the end of its curve is joined to it by a line.
const MOVED: f64 = 9.0;
/// Labels that begin closer than this, one above the other, begin at the same place.
const COLUMN: f64 = 60.0;
/// A bar that is longer than this many times the next is cut: the others could not be told apart otherwise.
const LONGEST_BAR: f64 = 2.5;

/// A picture with its title and what to see in it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) picture: Picture,
}

/// What is drawn.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Picture {
    /// Points joined by lines.
    Curves { x: Axis, y: Axis, curves: Vec<Curve> },
    /// Bars of one unit.
    Bars { unit: &'static str, bars: Vec<Bar> },
}

/// An axis: its name with the unit, and its scale.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) logarithmic: bool,
}

/// Points of one method, in the order of their lines.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Which colour; the same method has the same in all plots.
    pub(crate) colour: usize,
    pub(crate) points: Vec<Point>,
}

/// A point and its tooltip.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) tooltip: String,
}

/// A bar.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) colour: usize,
    pub(crate) value: f64,
    /// What stands at its end.
    pub(crate) label: String,
}

impl Plot {
    /// The picture as an `svg` element. What an axis cannot show is left out: on a logarithmic one, zero and below.
    pub(crate) fn svg(&self) -> String {
        match &self.picture {
            Picture::Curves { x, y, curves } => curves_svg(&self.title, x, y, curves),
            Picture::Bars { unit, bars } => bars_svg(&self.title, unit, bars),
        }
    }
}

/// Text as it may stand in HTML and SVG.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// From values to places.
struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
    /// Places of `low` and `high`.
    ends: [f64; 2],
}

impl Scale {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>, ends: [f64; 2]) -> Scale {
        let (mut low, mut high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if high < low {
            (low, high) = (1.0, 10.0);
        }
        if axis.logarithmic {
            (low, high) = (low.log10(), high.log10());
            let room = 0.05 * (high - low).max(1.0);
            (low, high) = (low - room, high + room);
            // At least a decade, so that there is a number to read.
            let missing = (1.0 - (high - low)).max(0.0) / 2.0;
            (low, high) = (low - missing, high + missing);
        } else {
            let room = if low < high { 0.06 * (high - low) } else { 0.1 * high.abs().max(1e-9) };
            (low, high) = (low - room, high + room);
        }
        Scale { logarithmic: axis.logarithmic, low, high, ends }
    }

    fn shows(&self, value: f64) -> bool {
        value.is_finite() && (!self.logarithmic || 0.0 < value)
    }

    fn place(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        self.ends[0] + (value - self.low) / (self.high - self.low) * (self.ends[1] - self.ends[0])
    }

    /// Values that get a number.
    #[expect(clippy::cast_possible_truncation, reason = "exponents are small")]
    fn ticks(&self) -> Vec<f64> {
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        if !self.logarithmic {
            let span = self.high - self.low;
            let unit = 10f64.powf((span / 4.0).log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * unit).into_iter().find(|step| span / step <= 6.0);
            let step = step.unwrap_or(10.0 * unit);
            let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
            return (first..=last).map(|number| number as f64 * step).collect();
        }
        let between: &[f64] = if last - first < 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let every = ((last - first) / 7 + 1).max(1);
        let exponents = (first - 1..=last).filter(|exponent| exponent.rem_euclid(every) == 0);
        let all = exponents.flat_map(|exponent| between.iter().map(move |times| times * 10f64.powi(exponent)));
        all.filter(|tick| (self.low..=self.high).contains(&tick.log10())).collect()
    }
}

/// A number of an axis: plain where it is short, else a power of ten.
pub(crate) fn tick_text(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if (1e-3..1e5).contains(&value.abs()) {
        let text = format!("{value:.4}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let text = format!("{value:.0e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, ""));
    let raised = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' => '⁰',
        '4'..='9' => char::from_u32(0x2070 + u32::from(digit) - u32::from('0')).unwrap_or(digit),
        other => other,
    };
    let exponent: String = exponent.chars().map(raised).collect();
    if digits == "1" { format!("10{exponent}") } else { format!("{digits}·10{exponent}") }
}

/// A label that looks for room: the end of its curve, where it stands, and its width.
struct Label<'c> {
    curve: &'c Curve,
    end: [f64; 2],
    x: f64,
    y: f64,
    width: f64,
}

fn curves_svg(title: &str, x_axis: &Axis, y_axis: &Axis, curves: &[Curve]) -> String {
    let [left, right, top, bottom] = FRAME;
    let usable = |value: f64, axis: &Axis| value.is_finite() && (!axis.logarithmic || 0.0 < value);
    let points = || {
        let all = curves.iter().flat_map(|curve| &curve.points);
        all.filter(|point| usable(point.x, x_axis) && usable(point.y, y_axis))
    };
    let x = Scale::new(x_axis, points().map(|point| point.x), [left, right]);
    let y = Scale::new(y_axis, points().map(|point| point.y), [bottom, top]);
    let mut svg = opening(title, HEIGHT);
    for tick in x.ticks() {
        let at = x.place(tick);
        _ = write!(svg, r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{bottom}"/>"#);
        let text = tick_text(tick);
        _ = write!(
            svg,
            r#"<text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
            bottom + 20.0
        );
    }
    for tick in y.ticks() {
        let at = y.place(tick);
        _ = write!(svg, r#"<line class="grid" x1="{left}" x2="{right}" y1="{at:.1}" y2="{at:.1}"/>"#);
        let (place, text) = (left - 10.0, tick_text(tick));
        _ = write!(svg, r#"<text class="tick" x="{place:.1}" y="{:.1}" text-anchor="end">{text}</text>"#, at + 4.0);
    }
    let middle = f64::midpoint(left, right);
    _ = write!(svg, r#"<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>"#);
    _ = write!(
        svg,
        r#"<text class="name" x="{middle}" y="{:.1}" text-anchor="middle">{}</text>"#,
        HEIGHT - 12.0,
        escaped(x_axis.name)
    );
    let middle = f64::midpoint(top, bottom);
    let turned = format!("translate(18 {middle}) rotate(-90)");
    _ = write!(svg, r#"<text class="name" transform="{turned}" text-anchor="middle">{}</text>"#, escaped(y_axis.name));
    let mut labels = Vec::new();
    // Walkprint's curve, the first colour, is drawn last and lies on top.
    for curve in curves.iter().rev() {
        let shown: Vec<&Point> = curve.points.iter().filter(|point| x.shows(point.x) && y.shows(point.y)).collect();
        let colour = curve.colour % COLOURS;
        let places: Vec<[f64; 2]> = shown.iter().map(|point| [x.place(point.x), y.place(point.y)]).collect();
        let line: Vec<String> = places.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        if 1 < line.len() {
            _ = write!(svg, r#"<polyline class="curve s{colour}" points="{}"/>"#, line.join(" "));
        }
        for (point, [x, y]) in shown.iter().zip(&places) {
            let tooltip = escaped(&point.tooltip);
            _ = write!(
                svg,
                r#"<circle class="s{colour}" cx="{x:.1}" cy="{y:.1}" r="4.5"><title>{tooltip}</title></circle>"#
            );
        }
        let end = places.iter().copied().max_by(|a, b| a[0].total_cmp(&b[0]));
        if let Some([x, y]) = end {
            labels.push(Label {
                curve,
                end: [x, y],
                x: x + 10.0,
                y: y + 4.0,
                width: LETTER * curve.name.chars().count() as f64,
            });
        }
    }
    spread_out(&mut labels);
    for label in labels {
        let (colour, name) = (label.curve.colour % COLOURS, escaped(&label.curve.name));
        let [x, y] = label.end;
        if MOVED < (label.y - 4.0 - y).abs() {
            let (left, middle) = (label.x - 3.0, label.y - 4.0);
            _ = write!(svg, r#"<line class="leader" x1="{x:.1}" y1="{y:.1}" x2="{left:.1}" y2="{middle:.1}"/>"#);
        }
        _ = write!(svg, r#"<text class="label s{colour}" x="{:.1}" y="{:.1}">{name}</text>"#, label.x, label.y);
    }
    svg + "</svg>"
}

/// Moves labels down until none lies on another, and up where they would leave the picture.
fn spread_out(labels: &mut [Label<'_>]) {
    for label in labels.iter_mut() {
        label.x = label.x.min(WIDTH - label.width - 4.0);
    }
    // Ends that lie close make a column, or lines would cross names.
    let mut by_place: Vec<usize> = (0..labels.len()).collect();
    by_place.sort_by(|&a, &b| labels[b].x.total_cmp(&labels[a].x));
    for pair in by_place.windows(2) {
        let (right, left) = (&labels[pair[0]], &labels[pair[1]]);
        if right.x - left.x < COLUMN && (right.y - left.y).abs() < 2.0 * LINE {
            labels[pair[1]].x = right.x.min(WIDTH - left.width - 4.0);
        }
    }
    labels.sort_by(|a, b| a.y.total_cmp(&b.y));
    let meets =
        |a: &Label<'_>, b: &Label<'_>| a.x < b.x + b.width && b.x < a.x + a.width && (a.y - b.y).abs() < LINE - 0.01;
    for place in 1..labels.len() {
        while let Some(other) = (0..place).find(|&other| meets(&labels[other], &labels[place])) {
            labels[place].y = labels[other].y + LINE;
        }
    }
    // A column that runs out of the picture moves up as a whole.
    let Some(lowest) = labels.iter().max_by(|a, b| a.y.total_cmp(&b.y)) else { return };
    let (start, end, over) = (lowest.x, lowest.x + lowest.width, lowest.y - FRAME[3] - 4.0);
    if 0.0 < over {
        let column = labels.iter_mut().filter(|label| label.x < end && start < label.x + label.width);
        column.filter(|label| FRAME[3] - over - 6.0 * LINE < label.y).for_each(|label| label.y -= over);
    }
}

fn bars_svg(title: &str, unit: &str, bars: &[Bar]) -> String {
    let height = ROW * bars.len() as f64 + 44.0;
    let mut sorted: Vec<f64> = bars.iter().map(|bar| bar.value).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let whole = match sorted[..] {
        [first, second, ..] if LONGEST_BAR * second < first => LONGEST_BAR * second,
        [first, ..] if 0.0 < first => first,
        _ => 1.0,
    };
    let [left, right] = BARS;
    let axis = Axis { name: "", logarithmic: false };
    let scale = Scale { low: 0.0, high: whole, ..Scale::new(&axis, [0.0, whole].into_iter(), BARS) };
    let mut svg = opening(title, height);
    let foot = height - 40.0;
    for tick in scale.ticks() {
        let at = scale.place(tick);
        _ = write!(svg, r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="4" y2="{foot:.1}"/>"#);
        let text = tick_text(tick);
        _ = write!(svg, r#"<text class="tick" x="{at:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#, foot + 18.0);
    }
    _ = write!(
        svg,
        r#"<text class="name" x="{right}" y="{:.1}" text-anchor="end">{}</text>"#,
        height - 4.0,
        escaped(unit)
    );
    for (row, bar) in bars.iter().enumerate() {
        let y = 6.0 + ROW * row as f64;
        let (name, colour, label) = (escaped(&bar.name), bar.colour % COLOURS, escaped(&bar.label));
        let end = scale.place(bar.value.min(whole));
        _ = write!(
            svg,
            r#"<text class="bar-name" x="{:.1}" y="{:.1}" text-anchor="end">{name}</text>"#,
            left - 12.0,
            y + 16.0
        );
        _ = write!(
            svg,
            r#"<rect class="s{colour}" x="{left}" y="{:.1}" width="{:.1}" height="20" rx="2">"#,
            y + 1.0,
            (end - left).max(1.0)
        );
        _ = write!(svg, "<title>{name}: {label}</title></rect>");
        if whole < bar.value {
            // The bar goes on where it cannot be seen.
            let cut = end - 26.0;
            _ = write!(svg, r#"<path class="cut" d="M{cut:.1} {:.1} l8 -26 h7 l-8 26 z"/>"#, y + 24.0);
        }
        _ = write!(svg, r#"<text class="value" x="{:.1}" y="{:.1}">{label}</text>"#, end + 8.0, y + 16.0);
    }
    svg + "</svg>"
}

fn opening(title: &str, height: f64) -> String {
    format!(r#"<svg viewBox="0 0 {WIDTH} {height:.0}" role="img" aria-label="{}">"#, escaped(title))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: &[(f64, f64)]) -> String {
        let axis = |name| Axis { name, logarithmic: true };
        let points = points.iter().map(|&(x, y)| Point { x, y, tooltip: format!("{x} <ms>") }).collect();
        let curves = vec![Curve { name: "a & b".to_owned(), colour: 0, points }];
        let picture = Picture::Curves { x: axis("time, ms"), y: axis("L1"), curves };
        Plot { title: "t".to_owned(), caption: String::new(), picture }.svg()
    }

    #[test]
    fn curves_show_every_point_that_their_axes_can_show() {
        let svg = plot(&[(1.0, 1e-2), (10.0, 1e-4), (100.0, 0.0)]);
        assert_eq!(svg.matches("<circle").count(), 2, "zero has no place on a logarithmic axis");
        assert!(svg.contains("1 &lt;ms&gt;") && svg.contains("a &amp; b") && svg.contains("10⁻⁴"), "{svg}");
        assert!(!plot(&[]).contains("NaN"));
        assert!(!plot(&[(5.0, 5.0)]).contains("NaN"));
    }

    #[test]
    fn larger_values_lie_further_along_an_axis() {
        for logarithmic in [true, false] {
            let scale = Scale::new(&Axis { name: "", logarithmic }, [0.5, 300.0].into_iter(), [10.0, 90.0]);
            let places = [0.5, 2.0, 50.0, 300.0].map(|value| scale.place(value));
            assert!(places.is_sorted() && 10.0 < places[0] && places[3] < 90.0, "{places:?}");
            let ticks = scale.ticks();
            assert!(2 <= ticks.len() && ticks.len() <= 8 && ticks.is_sorted(), "{ticks:?}");
        }
    }

    #[test]
    fn numbers_on_axes_are_short() {
        let shown = [0.0, 0.5, 100.0, 0.001, 1e-8, 2e6].map(tick_text);
        assert_eq!(shown, ["0", "0.5", "100", "0.001", "10⁻⁸", "2·10⁶"]);
    }

    #[test]
    fn labels_never_lie_on_one_another() {
        let curve = Curve { name: "name".to_owned(), colour: 0, points: Vec::new() };
        let label = |y| Label { curve: &curve, end: [690.0, y], x: 700.0, y, width: 30.0 };
        let mut labels = [100.0, 102.0, 101.0, 380.0, 381.0, 382.0].map(label);
        spread_out(&mut labels);
        assert!(labels.is_sorted_by(|a, b| a.y + LINE - 0.1 <= b.y));
        assert!(labels.iter().all(|label| label.y <= FRAME[3] + 5.0));
    }

    #[test]
    fn a_bar_far_longer_than_the_others_is_cut_and_says_so() {
        let bar = |value| Bar { name: "n".to_owned(), colour: 1, value, label: format!("{value} ms") };
        let picture =
            |bars| Plot { title: String::new(), caption: String::new(), picture: Picture::Bars { unit: "ms", bars } };
        let svg = picture(vec![bar(1.0), bar(2.0), bar(500.0)]).svg();
        assert_eq!(svg.matches(r#"class="cut""#).count(), 1);
        assert!(svg.contains("500 ms"));
        assert!(!picture(vec![bar(1.0), bar(2.0)]).svg().contains("cut"));
        assert!(!picture(vec![bar(0.0)]).svg().contains("NaN"));
    }
}
