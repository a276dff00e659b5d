//! An explanation as a drawing.
//!
//! Seeds stand left as squares, results right of them as circles whose area goes by their score, with their rank inside;
//! edges are as wide as they are probable. One file, without scripts or fonts of its own; it follows the reader's light or
//! dark mode, and has every id in full as the title that shows when the pointer rests on it.

use std::fmt::Write as _;

use super::layout::{Layout, Sketch, layout};
use super::picture::{Picture, PictureNode};
use super::{number, shorten, visible};

const LONGEST_ID: usize = 26;
const LONGEST_KINDS: usize = 20;
/// The radius of the best result; areas go by the score.
const LARGEST_RADIUS: f64 = 26.0;
const SMALLEST_RADIUS: f64 = 9.0;
/// The radius of seeds that are no results.
const SEED_RADIUS: f64 = 10.0;
/// The radius of other nodes that are no results.
const BETWEEN_RADIUS: f64 = 5.0;
const WIDEST_EDGE: f64 = 6.0;
const THINNEST_EDGE: f64 = 1.0;
const MARGIN: f64 = 28.0;
/// From the lower edge of a circle to the first line below it, from line to line, and what is left free below.
const LINES: (f64, f64, f64) = (14.0, 14.0, 14.0);
const ARROW: f64 = 7.0;
/// Points on each piece of a curve by which texts notice that they cover it, and at which a text may stand.
const SAMPLES: usize = 24;
const PLACES: usize = 12;
/// With more edges, texts are placed without regard to them.
const MOST_COMPARED: usize = 300;
const CAPTION: &str = "squares: seeds · circles: results, area by score, number by rank · lines: width by probability";

const STYLE: &str = "\
.wp-paper{fill:#ffffff}\
.wp-explanation text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\
.wp-id{font-size:13px;fill:#1f2328;text-anchor:middle;paint-order:stroke;stroke:#ffffff;stroke-width:4px;stroke-linejoin:round}\
.wp-score{font-size:11px;fill:#59636e;text-anchor:middle}\
.wp-rank{font-size:12px;font-weight:600;fill:#ffffff;text-anchor:middle;dominant-baseline:central}\
.wp-kind{font-size:11px;fill:#424a53;text-anchor:middle;dominant-baseline:central;paint-order:stroke;stroke:#ffffff;\
stroke-width:4px;stroke-linejoin:round}\
.wp-caption{font-size:11px;fill:#59636e}\
.wp-edge{fill:none;stroke:#a9b6c9;stroke-linecap:butt}\
.wp-arrow{fill:#a9b6c9}\
.wp-seed{fill:#bc6c0a}\
.wp-result{fill:#2f6fd0}\
.wp-between{fill:#8b949e}\
@media (prefers-color-scheme:dark){\
.wp-paper{fill:#0d1117}\
.wp-id{fill:#e6edf3;stroke:#0d1117}\
.wp-score,.wp-caption{fill:#9198a1}\
.wp-kind{fill:#c3cad2;stroke:#0d1117}\
.wp-edge{stroke:#55617a}\
.wp-arrow{fill:#55617a}\
.wp-seed{fill:#c9781c}\
.wp-result{fill:#3f7fe0}\
.wp-between{fill:#6e7681}\
}";

/// A picture as an SVG document. Cost: that of the layout; placing the texts is quadratic in the number of edges.
#[must_use]
pub fn svg(picture: &Picture) -> String {
    let marks: Vec<Mark> = {
        let largest = picture.largest_score();
        picture.nodes.iter().map(|node| Mark::new(node, largest)).collect()
    };
    let labels: Vec<String> =
        picture.edges.iter().map(|edge| shorten(&visible(&edge.label()), LONGEST_KINDS)).collect();
    let plan = layout(&Sketch {
        sizes: marks.iter().map(Mark::size).collect(),
        first: picture.nodes.iter().map(|node| node.seed).collect(),
        edges: picture.edges.iter().map(|edge| (edge.source, edge.target)).collect(),
        flows: picture.edges.iter().map(|edge| edge.flow).collect(),
        texts: labels.iter().map(|label| width(label, 11.0)).collect(),
    });
    let curves: Vec<Curve> = (0..picture.edges.len()).map(|edge| Curve::new(picture, &plan, &marks, edge)).collect();
    let (wide, high) =
        ((plan.width + 2.0 * MARGIN).max(width(CAPTION, 11.0) + 2.0 * MARGIN), plan.height + 2.0 * MARGIN + 20.0);
    let left = (wide - plan.width) / 2.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"wp-explanation\" role=\"img\" width=\"{wide:.0}\" \
         height=\"{high:.0}\" viewBox=\"0 0 {wide:.0} {high:.0}\" style=\"max-width:100%;height:auto\">\n<title>Paths from the seeds to the results</title>\n\
         <style>{STYLE}</style>\n<rect class=\"wp-paper\" width=\"100%\" height=\"100%\"/>\n\
         <g transform=\"translate({left:.1} {MARGIN:.1})\">\n"
    );
    draw_edges(&mut out, picture, &curves);
    draw_labels(&mut out, &plan, &marks, &curves, &labels);
    for ((node, mark), &(x, y)) in picture.nodes.iter().zip(&marks).zip(&plan.centres) {
        mark.draw(&mut out, node, x, y - mark.lift());
    }
    let (x, y) = (MARGIN, high - 14.0);
    let _ = writeln!(out, "</g>\n<text class=\"wp-caption\" x=\"{x}\" y=\"{y:.0}\">{CAPTION}</text>\n</svg>");
    out
}

/// How a node is drawn.
struct Mark {
    id: String,
    score: Option<String>,
    radius: f64,
}

impl Mark {
    fn new(node: &PictureNode, largest: f64) -> Mark {
        let radius = |score: f64| (LARGEST_RADIUS * (score / largest).sqrt()).max(SMALLEST_RADIUS);
        Mark {
            id: shorten(&visible(&node.id), LONGEST_ID),
            score: node.result.map(|(_, score)| number(score)),
            radius: node
                .result
                .map_or(if node.seed { SEED_RADIUS } else { BETWEEN_RADIUS }, |(_, score)| radius(score)),
        }
    }

    fn lines(&self) -> f64 {
        1.0 + f64::from(u8::from(self.score.is_some()))
    }

    /// Width and height with the text below.
    fn size(&self) -> (f64, f64) {
        let text = LINES.0 + LINES.1 * (self.lines() - 1.0) + LINES.2;
        ((2.0 * self.radius).max(width(&self.id, 13.0)), 2.0 * self.radius + text)
    }

    /// How far the circle's centre lies above the middle of all.
    fn lift(&self) -> f64 {
        self.size().1 / 2.0 - self.radius
    }

    fn draw(&self, out: &mut String, node: &PictureNode, x: f64, y: f64) {
        let radius = self.radius;
        let _ = write!(out, "<g><title>{}", escape(&visible(&node.id)));
        if let Some((rank, score)) = node.result {
            let _ = write!(out, " (result {rank}, score {})", number(score));
        }
        let _ = write!(out, "</title>");
        let class = match (node.seed, node.result) {
            (true, _) => "wp-seed",
            (false, Some(_)) => "wp-result",
            (false, None) => "wp-between",
        };
        if node.seed {
            // A square of the circle's area.
            let side = radius * std::f64::consts::PI.sqrt();
            let (left, top) = (x - side / 2.0, y - side / 2.0);
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" \
                 rx=\"{:.1}\"/>",
                side / 8.0
            );
        } else {
            let _ = write!(out, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>");
        }
        if let Some((rank, _)) = node.result.filter(|(rank, _)| width(&rank.to_string(), 12.0) < 2.0 * radius) {
            let _ = write!(out, "<text class=\"wp-rank\" x=\"{x:.1}\" y=\"{y:.1}\">{rank}</text>");
        }
        let line = y + radius + LINES.0;
        let _ = write!(out, "<text class=\"wp-id\" x=\"{x:.1}\" y=\"{line:.1}\">{}</text>", escape(&self.id));
        if let Some(score) = &self.score {
            let line = line + LINES.1;
            let _ = write!(out, "<text class=\"wp-score\" x=\"{x:.1}\" y=\"{line:.1}\">{score}</text>");
        }
        *out += "</g>\n";
    }
}

type Point = (f64, f64);

/// An edge: Bézier curves, one after the other, and which way it comes in.
struct Curve {
    start: Point,
    pieces: Vec<[Point; 3]>,
    rightward: bool,
    width: f64,
}

impl Curve {
    fn new(picture: &Picture, plan: &Layout, marks: &[Mark], edge: usize) -> Curve {
        let one = &picture.edges[edge];
        let centre = |node: usize| (plan.centres[node].0, plan.centres[node].1 - marks[node].lift());
        let (from, to) = (centre(one.source), centre(one.target));
        let width = THINNEST_EDGE + (WIDEST_EDGE - THINNEST_EDGE) * one.flow / picture.largest_flow();
        let (start_column, end_column) = (plan.columns[one.source], plan.columns[one.target]);
        let reach = marks[one.target].radius + 1.5 + ARROW;
        if start_column == end_column {
            // Out to the right and back to the same column.
            let end = (to.0 + reach, to.1);
            let out = 30.0 + 0.25 * (to.1 - from.1).abs();
            let piece = [(from.0.max(end.0) + out, from.1), (from.0.max(end.0) + out, to.1), end];
            return Curve { start: from, pieces: vec![piece], rightward: false, width };
        }
        let rightward = start_column < end_column;
        let end = (if rightward { to.0 - reach } else { to.0 + reach }, to.1);
        // Within a column edges run level, so that they meet no text there; between columns they swing.
        let (mut pieces, mut at) = (Vec::new(), from);
        let mut go = |to: Point| {
            let half = (to.0 - at.0) / 2.0;
            pieces.push([(at.0 + half, at.1), (to.0 - half, to.1), to]);
            at = to;
        };
        let sides = |column: usize| {
            let (left, right) = plan.borders[column];
            if rightward { (left, right) } else { (right, left) }
        };
        go((sides(start_column).1, from.1));
        for (passed, &(_, y)) in plan.bends[edge].iter().enumerate() {
            let (enter, leave) = sides(if rightward { start_column + 1 + passed } else { start_column - 1 - passed });
            go((enter, y));
            go((leave, y));
        }
        go((sides(end_column).0, to.1));
        go(end);
        Curve { start: from, pieces, rightward, width }
    }

    /// Points along the curve, so many on each piece.
    fn samples(&self, each: usize) -> Vec<Point> {
        let starts = [self.start].into_iter().chain(self.pieces.iter().map(|piece| piece[2]));
        let blend = |t: f64, [a, b, c, d]: [f64; 4]| {
            let s = 1.0 - t;
            s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d
        };
        let sample = |(start, &[one, two, end]): (Point, &[Point; 3])| {
            (0..each).map(move |place| {
                let t = (place as f64 + 0.5) / each as f64;
                (blend(t, [start.0, one.0, two.0, end.0]), blend(t, [start.1, one.1, two.1, end.1]))
            })
        };
        starts.zip(&self.pieces).flat_map(sample).collect()
    }
}

fn draw_edges(out: &mut String, picture: &Picture, curves: &[Curve]) {
    for (edge, curve) in picture.edges.iter().zip(curves) {
        let (source, target) = (&picture.nodes[edge.source].id, &picture.nodes[edge.target].id);
        let kinds = if edge.kinds.is_empty() { String::new() } else { format!(" [{}]", edge.kinds.join(", ")) };
        let title = format!("{source} → {target}{kinds}, weight {}", number(edge.weight));
        let title = format!("{}, probability {}", visible(&title), number(edge.flow));
        let mut path = format!("M{:.1} {:.1}", curve.start.0, curve.start.1);
        for [one, two, end] in &curve.pieces {
            let _ = write!(path, "C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", one.0, one.1, two.0, two.1, end.0, end.1);
        }
        let width = curve.width;
        let (x, y) = curve.pieces[curve.pieces.len() - 1][2];
        let (tip, half) = (if curve.rightward { x + ARROW } else { x - ARROW }, (width / 2.0 + 2.0).max(ARROW / 2.0));
        let _ = writeln!(
            out,
            "<g><title>{}</title><path class=\"wp-edge\" stroke-width=\"{width:.2}\" d=\"{path}\"/>\
             <path class=\"wp-arrow\" d=\"M{tip:.1} {y:.1}L{x:.1} {:.1}L{x:.1} {:.1}Z\"/></g>",
            escape(&title),
            y - half,
            y + half
        );
    }
}

/// Left, top, right, bottom.
type Rectangle = [f64; 4];

/// Writes the types at the edges, each where it covers least of what is there already, other edges included.
fn draw_labels(out: &mut String, plan: &Layout, marks: &[Mark], curves: &[Curve], labels: &[String]) {
    let mut taken: Vec<Rectangle> = Vec::new();
    for (mark, &(x, y)) in marks.iter().zip(&plan.centres) {
        let ((wide, high), radius) = (mark.size(), mark.radius);
        let top = y - high / 2.0;
        taken.push([x - radius - ARROW, top, x + radius + ARROW, top + 2.0 * radius]);
        taken.push([x - wide / 2.0, top + 2.0 * radius, x + wide / 2.0, y + high / 2.0 - LINES.2 / 2.0]);
    }
    let samples: Vec<Vec<Point>> = curves.iter().map(|curve| curve.samples(SAMPLES)).collect();
    for (edge, (curve, label)) in curves.iter().zip(labels).enumerate().filter(|(_, (_, label))| !label.is_empty()) {
        let (wide, high) = (width(label, 11.0) + 4.0, 14.0);
        let around = |(x, y): Point| [x - wide / 2.0, y - high / 2.0, x + wide / 2.0, y + high / 2.0];
        let inside = |area: &Rectangle, &(x, y): &Point| area[0] < x && x < area[2] && area[1] < y && y < area[3];
        let crossed = |area: &Rectangle| {
            let others =
                samples.iter().enumerate().filter(|&(other, _)| other != edge && curves.len() <= MOST_COMPARED);
            others.flat_map(|(_, points)| points).filter(|point| inside(area, point)).count()
        };
        let points = curve.samples(PLACES);
        let middle = (points.len() as f64 - 1.0) / 2.0;
        let cost = |at: usize, point: Point| -> f64 {
            let area = around(point);
            let covered: f64 = taken.iter().map(|other| overlap(&area, other)).sum();
            4.0 * covered + 12.0 * crossed(&area) as f64 + (at as f64 - middle).abs()
        };
        let costs = points.iter().enumerate().map(|(at, &point)| (cost(at, point), point));
        let Some((_, (x, y))) = costs.min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
        taken.push(around((x, y)));
        let _ = writeln!(out, "<text class=\"wp-kind\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(label));
    }
}

fn overlap(one: &Rectangle, other: &Rectangle) -> f64 {
    let wide = one[2].min(other[2]) - one[0].max(other[0]);
    let high = one[3].min(other[3]) - one[1].max(other[1]);
    wide.max(0.0) * high.max(0.0)
}

/// About how wide a text is in a font of this size: letters of a usual sans serif, ideographs square.
fn width(text: &str, size: f64) -> f64 {
    let letter = |letter: char| match letter {
        'i' | 'j' | 'l' | '.' | ',' | '\'' | '|' | ':' | ';' | '!' => 0.28,
        'm' | 'w' | 'M' | 'W' | '@' => 0.88,
        'A'..='Z' => 0.68,
        '\u{1100}'.. => 1.0,
        _ => 0.56,
    };
    text.chars().map(letter).sum::<f64>() * size
}

/// A visible text inside an element of XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
