//! A report as one page that needs nothing else: style and plots stand inside, nothing is fetched, nothing is run.

use std::fmt::Write as _;

use crate::figure::Figure;
use crate::plot::escaped;
use crate::report::{Report, Sheet};

const STYLE: &str = include_str!("page.css");

/// The page.
pub(crate) fn page(report: &Report) -> String {
    let title = format!("walkprint-bench {}", report.suite);
    let mut html = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    let graphs: Vec<String> = report.graphs.iter().map(|graph| escaped(&graph.to_string())).collect();
    _ = write!(html, "<title>{title}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n", graphs.join("; "));
    _ = writeln!(html, "<h1>{title}</h1>");
    graphs.iter().for_each(|graph| _ = writeln!(html, "<p class=\"lead\">{graph}</p>"));
    _ = writeln!(html, "<p class=\"lead\">{}</p>", escaped(&report.machine.to_string()));
    targets(&mut html, report);
    for sheet in report.sheets.iter().filter(|sheet| !sheet.folded) {
        _ = writeln!(html, "<h2>{}</h2>", escaped(&sheet.title));
        self::sheet(&mut html, report, sheet);
    }
    for plot in &report.plots {
        _ = writeln!(html, "<h2>{}</h2>\n<p class=\"caption\">{}</p>", escaped(&plot.title), escaped(&plot.caption));
        _ = writeln!(html, "<figure>{}</figure>", plot.svg());
    }
    checks(&mut html, report);
    again(&mut html, report);
    for sheet in report.sheets.iter().filter(|sheet| sheet.folded) {
        _ = writeln!(html, "<details><summary>{}</summary>", escaped(&sheet.title));
        self::sheet(&mut html, report, sheet);
        html.push_str("</details>\n");
    }
    everything(&mut html, report);
    html + "</body>\n</html>\n"
}

fn targets(html: &mut String, report: &Report) {
    let judged: Vec<(&Figure, (String, bool))> =
        report.figures.iter().filter_map(|figure| Some((figure, figure.judged()?))).collect();
    if judged.is_empty() {
        return;
    }
    let met = judged.iter().filter(|(_, (_, met))| *met).count();
    _ = writeln!(html, "<h2>Targets: {met} of {} met</h2>\n<div class=\"scroll\"><table>", judged.len());
    html.push_str("<tr><th>what</th><th>target</th><th>measured</th><th></th></tr>\n");
    for (figure, (target, met)) in judged {
        let (name, unit) = figure.quantity();
        let word = if met { "<span class=\"met\">✓ met</span>" } else { "<span class=\"missed\">✗ missed</span>" };
        let (case, name, unit) = (escaped(figure.case()), escaped(name), escaped(unit));
        _ = writeln!(
            html,
            "<tr><td>{case}<small>{name} {unit}</small></td><td>{target}</td><td>{}</td><td>{word}</td></tr>",
            value(figure)
        );
    }
    html.push_str("</table></div>\n");
}

fn sheet(html: &mut String, report: &Report, sheet: &Sheet) {
    _ = writeln!(html, "<p class=\"caption\">{}</p>", escaped(&sheet.caption));
    html.push_str("<div class=\"scroll\"><table>\n<tr><th></th>");
    sheet.word_columns.iter().for_each(|head| _ = write!(html, "<th>{}</th>", escaped(head)));
    for (name, unit) in &sheet.columns {
        _ = write!(html, "<th>{}<small>{}</small></th>", escaped(name), escaped(unit));
    }
    html.push_str("</tr>\n");
    for row in &sheet.rows {
        let class = if row.ours { " class=\"ours\"" } else { "" };
        _ = write!(html, "<tr{class}><td>{}</td>", escaped(&row.name));
        row.words.iter().for_each(|word| _ = write!(html, "<td>{}</td>", escaped(word)));
        for quantity in &sheet.columns {
            let cell = report.find(&row.case, *quantity).map(value).unwrap_or_default();
            _ = write!(html, "<td>{cell}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

/// A value, and small what it varies by.
fn value(figure: &Figure) -> String {
    let spread = figure.spread();
    let spread = if spread.is_empty() { spread } else { format!("<small>{}</small>", escaped(&spread)) };
    let noisy = if figure.is_noisy() { " title=\"noisy: trials differ by more than 30 %\"" } else { "" };
    format!("<span{noisy}>{}{}</span>{spread}", figure.shown(), if noisy.is_empty() { "" } else { " ~" })
}

fn checks(html: &mut String, report: &Report) {
    if !report.checks.is_empty() {
        html.push_str("<h2>Checks</h2>\n<div class=\"scroll\"><table class=\"text\">\n");
        for check in &report.checks {
            let word = if check.passed {
                "<span class=\"met\">✓</span>"
            } else {
                "<span class=\"missed\">✗ failed</span>"
            };
            let (what, evidence) = (escaped(check.what), escaped(&check.evidence));
            _ = writeln!(html, "<tr><td>{word}</td><td>{what}</td><td>{evidence}</td></tr>");
        }
        html.push_str("</table></div>\n");
    }
    if !report.notes.is_empty() {
        html.push_str("<h2>Notes</h2>\n<ul class=\"notes\">\n");
        report.notes.iter().for_each(|note| _ = writeln!(html, "<li>{}</li>", escaped(note)));
        html.push_str("</ul>\n");
    }
}

fn again(html: &mut String, report: &Report) {
    _ = writeln!(html, "<h2>Run it again</h2>\n<pre>{}</pre>\n<dl>", escaped(&report.command));
    for (name, version) in &report.versions {
        _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(version));
    }
    if let Some(parameters) = report.parameters.as_object() {
        for (name, value) in parameters {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(&text));
        }
    }
    html.push_str("</dl>\n");
}

fn everything(html: &mut String, report: &Report) {
    let open = if report.sheets.is_empty() { " open" } else { "" };
    _ = write!(html, "<details{open}><summary>All figures</summary>\n<div class=\"scroll\"><table>\n");
    html.push_str("<tr><th>case</th><th>figure</th><th>unit</th><th>value</th></tr>\n");
    for figure in &report.figures {
        let (name, unit) = figure.quantity();
        let (case, name, unit) = (escaped(figure.case()), escaped(name), escaped(unit));
        _ = writeln!(html, "<tr><td>{case}</td><td>{name}</td><td>{unit}</td><td>{}</td></tr>", value(figure));
    }
    html.push_str("</table></div></details>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Target;
    use crate::graphs::tests::facts;
    use crate::plot::{Bar, Picture, Plot};
    use crate::report::SheetRow;

    #[test]
    fn a_page_holds_everything_and_fetches_nothing() {
        let mut report = Report::new("peers", facts());
        let time = ("time", "ms");
        report
            .figure(Figure::trials("fast <one>", time.0, time.1, vec![1.0, 1.5, 2.0]).with_target(Target::AtMost(1.0)));
        report.figure(Figure::single("slow", time.0, time.1, 77.0));
        let row = |case: &str, ours| SheetRow {
            case: case.to_owned(),
            name: format!("row {case}"),
            words: vec!["a <word>".to_owned()],
            ours,
        };
        let rows = vec![row("fast <one>", true), row("slow", false), row("absent", false)];
        report.sheets.push(Sheet {
            title: "Times".to_owned(),
            caption: String::new(),
            rows,
            word_columns: vec!["in words"],
            columns: vec![time],
            folded: false,
        });
        let bars = vec![Bar { name: "slow".to_owned(), colour: 1, value: 77.0, label: "77 ms".to_owned() }];
        let picture = Picture::Bars { unit: "ms", bars };
        report.plots.push(Plot { title: "Bars".to_owned(), caption: "Longer is slower.".to_owned(), picture });
        report.check("it holds", false, "evidence & more");
        let html = page(&report);
        for part in [
            "row fast &lt;one&gt;",
            "<td>a &lt;word&gt;</td>",
            "<th>in words</th>",
            "77 ms",
            "✗ missed",
            "0 of 1 met",
            "evidence &amp; more",
            "1.5",
            "class=\"ours\"",
        ] {
            assert!(html.contains(part), "{part}");
        }
        for foreign in ["http:", "https:", "<script", "url(", "@import", "<one>"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
        assert_eq!(html.matches("<table").count(), html.matches("</table>").count());
    }
}
