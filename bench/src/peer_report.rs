//! What the suite `peers` found, as figures, tables and plots.

use crate::contenders::{Contender, System, Table};
use crate::figure::{Figure, Quantity, Target, mean_and_error, median, number, quantile, ratios};
use crate::graphs::Landmark;
use crate::metrics::{self, GOODNESS, NDCG, PRECISION, mean_precision};
use crate::peers::{Course, IndexFacts, targets};
use crate::plot::{Axis, Bar, Curve, Picture, Plot, Point};
use crate::protocol::Ready;
use crate::report::{Report, Sheet, SheetRow};

/// Quantities of the tables.
const TIME: Quantity = ("time, median of questions", "ms");
const SLOWEST: Quantity = ("time, slowest question", "ms");
const TIMES: Quantity = ("time / walkprint's, round by round", "ratio");
const MEAN_ERROR: Quantity = ("L1 error, mean", "");
const LARGEST_ERROR: Quantity = ("L1 error, largest", "");
const MEMORY: Quantity = ("peak memory", "MiB");

/// Largest L1 error and least precision that answers from an index should reach.
const ESTIMATE_ERROR: f64 = 1.1e-2;
const ESTIMATE_PRECISION: f64 = 0.99;

/// A process: its version, and what it took to hold the graph.
pub(crate) fn describe_system(report: &mut Report, system: System, table: Table, ready: &Ready) {
    let case = match (system, table) {
        (System::Walkprint, Table::Approximate) => "walkprint with an index".to_owned(),
        _ => system.name().to_owned(),
    };
    if system != System::Walkprint {
        report.versions.push((ready.system.clone(), format!("{}, {}", ready.version, ready.platform)));
    }
    report.figure(Figure::single(&case, "from arrays or store to ready", "s", ready.construction_seconds));
    if let Some(kib) = ready.resident_kib {
        report.figure(Figure::single(&case, "resident memory when ready", "MiB", kib as f64 / 1024.0));
    }
}

/// All contenders.
pub(crate) fn describe(
    report: &mut Report,
    courses: &[Course],
    index: &IndexFacts,
    landmark: Option<Landmark>,
    top: u32,
) {
    let mut points = Vec::new();
    for table in [Table::Exact, Table::Approximate] {
        let of_table: Vec<&Course> = courses.iter().filter(|course| course.contender.table == table).collect();
        let Some(ours) = of_table.first().copied() else { continue };
        for course in &of_table {
            figures(report, course, ours, landmark);
        }
        check(report, table, &of_table);
        report.sheets.push(sheet(table, &of_table, index, top));
        points = points.into_iter().chain(of_table.iter().filter(|course| !course.contender.main).map(row)).collect();
        let timed: Vec<&Course> = of_table.into_iter().filter(|course| !course.rounds.is_empty()).collect();
        plots(report, table, &timed);
    }
    if !points.is_empty() {
        let caption =
            "The same methods, told to go less or more far (the number behind \"at\"; igraph cannot be told).";
        let columns = vec![TIME, MEAN_ERROR, PRECISION, NDCG, GOODNESS];
        let title = "Points of the curves".to_owned();
        report.sheets.push(Sheet {
            title,
            caption: caption.to_owned(),
            rows: points,
            word_columns: Vec::new(),
            columns,
            folded: true,
        });
    }
    let case = "walkprint's index";
    report.figure(Figure::single(case, "size", "MB", index.bytes as f64 / 1e6));
    report.figure(Figure::single(case, "time to build, all cores", "s", index.seconds));
    report.note(
        "one thread each; a time is from a graph that is held to all scores; Walkprint's includes ranking the best",
    );
    report.note("scikit-network normalises and transposes the matrix in every call, networkx makes it anew: that is how they are called");
    report.note(
        "truth: power iteration in double precision to a residual of 1e-13; walks go on at the seeds at dangling nodes",
    );
}

/// The medians of rounds.
fn round_medians(course: &Course) -> Vec<f64> {
    course.rounds.iter().map(|round| median(round)).collect()
}

fn figures(report: &mut Report, course: &Course, ours: &Course, landmark: Option<Landmark>) {
    let Contender { system, table, main, .. } = course.contender;
    let case = course.contender.case();
    if !course.rounds.is_empty() {
        let times = round_medians(course);
        report.figure(Figure::trials(&case, TIME.0, TIME.1, times.clone()));
        let slowest = course.rounds.iter().map(|round| quantile(round, 1.0)).collect();
        report.figure(Figure::trials(&case, SLOWEST.0, SLOWEST.1, slowest));
        if main && !ours.rounds.is_empty() && !std::ptr::eq(course, ours) {
            let ratio = Figure::trials(&case, TIMES.0, TIMES.1, ratios(&times, &round_medians(ours)));
            let wanted = landmark.filter(|_| system == System::Igraph).map(|landmark| {
                let (exact, approximate) = targets(landmark);
                Target::AtLeast(if table == Table::Exact { exact } else { approximate })
            });
            report.figure(match wanted {
                Some(target) => ratio.with_target(target),
                None => ratio,
            });
        }
    }
    let judged = std::ptr::eq(course, ours) && table == Table::Approximate && landmark.is_some();
    let with = |figure: Figure, target: Target| if judged { figure.with_target(target) } else { figure };
    let (mean, error) = mean_and_error(&course.distances);
    let figure = Figure::single(&case, MEAN_ERROR.0, MEAN_ERROR.1, mean).with_std_error(error);
    report.figure(with(figure, Target::AtMost(ESTIMATE_ERROR)));
    report.figure(Figure::single(&case, LARGEST_ERROR.0, LARGEST_ERROR.1, quantile(&course.distances, 1.0)));
    let least_precision = judged.then_some(ESTIMATE_PRECISION);
    metrics::figures(&case, &course.qualities, least_precision).into_iter().for_each(|figure| report.figure(figure));
    if let Some(kib) = course.peak_kib {
        report.figure(Figure::single(&case, MEMORY.0, MEMORY.1, kib as f64 / 1024.0));
    }
}

/// Nobody's time counts who is not right; that Walkprint is right is a check.
fn check(report: &mut Report, table: Table, courses: &[&Course]) {
    let (ours, peers): (Vec<&Course>, Vec<&Course>) =
        courses.iter().copied().partition(|course| course.contender.system == System::Walkprint);
    for peer in peers.iter().filter(|course| !course.is_right()) {
        let off = quantile(&peer.distances, 1.0);
        report.note(format!("{} is off by {off:.1e} in L1: its times do not count", peer.contender.case()));
    }
    let what = match table {
        Table::Exact => "walkprint's exact scores are the truth",
        Table::Approximate => "walkprint's approximate scores are near the truth",
    };
    let evidence: Vec<String> = ours
        .iter()
        .filter(|course| course.contender.main)
        .map(|course| {
            let (mean, _) = mean_and_error(&course.distances);
            format!("{}: L1 {mean:.1e} on average, bound {:.0e}", course.contender.method, course.contender.bound)
        })
        .collect();
    report.check(what, ours.iter().all(|course| course.is_right()), evidence.join("; "));
    let right = peers.iter().filter(|course| course.contender.main && course.is_right()).count();
    let all = peers.iter().filter(|course| course.contender.main).count();
    report.note(format!("{right} of {all} methods of peers are right in the {table} comparison"));
}

fn row(course: &&Course) -> SheetRow {
    let case = course.contender.case();
    SheetRow { name: case.clone(), case, words: Vec::new(), ours: course.contender.system == System::Walkprint }
}

fn sheet(table: Table, courses: &[&Course], index: &IndexFacts, top: u32) -> Sheet {
    let main = courses.iter().filter(|course| course.contender.main);
    let rows = main.map(|course| SheetRow { name: course.contender.method.to_owned(), ..row(course) });
    let (title, caption, columns) = match table {
        Table::Exact => (
            "One exact question",
            "Everybody keeps an L1 error of 10⁻⁸. Medians of questions; small: the range of rounds; ~: rounds differ by more than 30 %.".to_owned(),
            vec![TIME, SLOWEST, TIMES, LARGEST_ERROR, MEMORY],
        ),
        Table::Approximate => (
            "One approximate question",
            format!(
                "Walkprint's combine reads an index of {} MB. Everybody who can be told is told an L1 error of 0.01. K = {top}.",
                number(index.bytes as f64 / 1e6)
            ),
            vec![TIME, TIMES, MEAN_ERROR, PRECISION, NDCG, GOODNESS, MEMORY],
        ),
    };
    Sheet { title: title.to_owned(), caption, rows: rows.collect(), word_columns: Vec::new(), columns, folded: false }
}

fn time(course: &Course) -> f64 {
    median(&round_medians(course))
}

fn plots(report: &mut Report, table: Table, courses: &[&Course]) {
    let bars: Vec<Bar> = courses
        .iter()
        .filter(|course| course.contender.main)
        .map(|course| {
            let Contender { method, colour, .. } = course.contender;
            let value = time(course);
            Bar { name: method.to_owned(), colour, value, label: format!("{} ms", number(value)) }
        })
        .collect();
    report.plots.push(Plot {
        title: format!("Time of one {table} question"),
        caption: "The median of questions, the median of rounds.".to_owned(),
        picture: Picture::Bars { unit: "milliseconds", bars },
    });
    let time_axis = || Axis { name: "time of one question, milliseconds", logarithmic: true };
    report.plots.push(Plot {
        title: format!("Error against time, {table}"),
        caption: "Down and to the left is better. A curve is one method that is told to go less or more far."
            .to_owned(),
        picture: Picture::Curves {
            x: time_axis(),
            y: Axis { name: "L1 distance from the truth, mean of questions", logarithmic: true },
            curves: curves(courses, |course| mean_and_error(&course.distances).0),
        },
    });
    if table == Table::Approximate {
        report.plots.push(Plot {
            title: "Precision against time".to_owned(),
            caption: "The share of the best K that are right; up and to the left is better.".to_owned(),
            picture: Picture::Curves {
                x: time_axis(),
                y: Axis { name: "precision@K, mean of questions", logarithmic: false },
                curves: curves(courses, |course| mean_precision(&course.qualities)),
            },
        });
    }
}

/// One curve a method, its points in the order of time.
fn curves(courses: &[&Course], height: impl Fn(&Course) -> f64) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for course in courses {
        let Contender { method, colour, ref setting, .. } = course.contender;
        let (x, y) = (time(course), height(course));
        let told = match setting.precision {
            Some(precision) => format!(", told {precision:.1e}"),
            None if setting.tolerance == 0.0 => String::new(),
            None => format!(", told {:.1e}", setting.tolerance),
        };
        let point = Point { x, y, tooltip: format!("{method}{told}: {} ms, {}", number(x), number(y)) };
        match curves.iter_mut().find(|curve| curve.name == method) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve { name: method.to_owned(), colour, points: vec![point] }),
        }
    }
    for curve in &mut curves {
        curve.points.sort_by(|a, b| a.x.total_cmp(&b.x));
    }
    curves
}
