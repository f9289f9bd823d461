//! Advice and comparisons for people.

use super::{in_words, ms};
use crate::sheet::{Sheet, SheetTable};
use crate::simulate::advise::{Advice, DowntimeTable, Miss, Remedy, Wish};
use crate::simulate::published::{Figure, PublishedComparison, TOLERANCE_PERCENT};
use crate::simulate::sweep::Unit;

/// A row for each algorithm: whether it does what is asked for, its figures, the bounds, and what would help.
pub fn advice_table(wish: &Wish, advice: &[Advice]) -> Sheet {
    let titles = [
        "algorithm",
        "meets it",
        "margin",
        "freeze ms",
        "least",
        "most",
        "slowdown",
        "total s",
        "it would with",
    ];
    let mut table = SheetTable::new(titles);
    for each in advice {
        let missed = |miss: Miss| if each.misses.contains(&miss) { " !" } else { "" };
        let bound = |ns: Option<u64>, none: &str| ns.map_or(none.to_owned(), |ns| ms(ns as f64 / 1e6));
        let freeze = each.summary.freeze_ns.map_or("∞".to_owned(), |spread| ms(spread.most / 1e6));
        let total =
            each.summary.total_ns.map_or("∞".to_owned(), |spread| format!("{:.2}", spread.most / 1e9));
        let unknown = if each.freeze_least_ns.is_some() { "∞" } else { "–" };
        table.add([
            each.setup.policy.name.to_string(),
            if each.misses.is_empty() { "yes" } else { "no" }.to_owned(),
            each.margin.map_or(String::new(), |margin| format!("{:.0} %", margin * 100.0)),
            format!("{freeze}{}", missed(Miss::Freeze)),
            bound(each.freeze_least_ns, "–"),
            bound(each.freeze_most_ns, unknown),
            format!("{:.1} %{}", each.summary.slowdown.most * 100.0, missed(Miss::Slowdown)),
            format!("{total}{}", missed(Miss::Total)),
            remedies(&each.remedies),
        ]);
    }
    let mut wishes = Vec::new();
    wishes
        .extend(wish.freeze_ns.map(|ns| format!("frozen for {} at most", Unit::Nanoseconds.show(ns as f64))));
    wishes.extend(wish.slowdown.map(|share| format!("slowed down by {:.0} % at most", share * 100.0)));
    wishes.extend(wish.total_ns.map(|ns| format!("over in {} at most", Unit::Nanoseconds.show(ns as f64))));
    let runs = advice.first().map_or(0, |each| each.summary.runs);
    let setup = advice.first().map_or(String::new(), |each| in_words(&each.setup));
    let mut signs = Vec::new();
    if advice.iter().any(|each| !each.misses.is_empty()) {
        signs.push("!: that is too much");
    }
    if table.shows("∞") {
        signs.push("∞: without bound");
    }
    if table.shows("–") {
        signs.push("–: the model does not have this setting");
    }
    let signs = (!signs.is_empty()).then(|| format!("{}.", signs.join("; ")));
    let meaning = [
        format!(
            "{}; in the worst of {runs} runs. least, most: what a freeze of any run takes, with the fewest and the most \
             pages that the model allows.",
            wishes.join(", ")
        ),
        "slowdown: the share of its time that the process waits for pages or is slowed down, until it is back at rest."
            .to_owned(),
    ];
    Sheet::from(table).lines(meaning.into_iter().chain(signs).chain([setup]))
}

fn remedies(remedies: &[Remedy]) -> String {
    let remedy = |remedy: &Remedy| match remedy {
        Remedy::Bandwidth(rate) => Unit::BitsPerSecond.show(*rate as f64),
        Remedy::AccessIntervalNs(ns) => format!("an access every {:.2} ms", *ns as f64 / 1e6),
        Remedy::None => "nothing that was tried".to_owned(),
    };
    remedies.iter().map(remedy).collect::<Vec<_>>().join(" or ")
}

/// Rates against downtime targets.
pub fn downtime_table(table: &DowntimeTable) -> Sheet {
    let DowntimeTable { downtimes_ns, rows } = table;
    let titles = downtimes_ns.iter().map(|ns| Unit::Nanoseconds.show(*ns as f64));
    let mut shown = SheetTable::new(std::iter::once("downtime".to_owned()).chain(titles));
    for (rate, totals) in rows {
        let totals = totals
            .iter()
            .map(|total| total.map_or("–".to_owned(), |ns| format!("{:.1} s", ns as f64 / 1e9)));
        shown.add(std::iter::once(Unit::BitsPerSecond.show(*rate as f64)).chain(totals));
    }
    let never = if shown.shows("–") { "; –: it is never met" } else { "" };
    Sheet::from(shown)
        .text(format!("total of pre-copy with this downtime target, as many passes as it takes{never}"))
}

/// What was published, what is simulated, and why they differ where they do.
pub fn comparison_table(comparisons: &[PublishedComparison]) -> Sheet {
    let mut table = SheetTable::new(["what", "of", "published", "here", "%", ""]);
    for each in comparisons {
        let deviation = each.deviation_percent().map_or(String::new(), |percent| format!("{percent:+.1}"));
        let mark = match (each.is_as_said(), each.reason) {
            (false, _) => "!",
            (true, Some(_)) => "*",
            (true, None) => "",
        };
        let row =
            [each.what.to_owned(), each.source.to_owned(), figure(each.published), figure(each.simulated)];
        table.add(row.into_iter().chain([deviation, mark.to_owned()]));
    }
    let reasons = comparisons.iter().filter_map(|each| Some(format!("* {}: {}.", each.what, each.reason?)));
    let reasons: Vec<String> = reasons.collect();
    let mut legend = "Nothing is fitted.".to_owned();
    if !reasons.is_empty() {
        legend += &format!(" * more than {TOLERANCE_PERCENT} % off:");
    }
    let wrong = table.shows("!").then(|| "! not as it is said to be".to_owned());
    Sheet::from(table).lines([legend].into_iter().chain(reasons).chain(wrong))
}

fn figure(figure: Figure) -> String {
    match figure {
        Figure::Ns(ns) if ns >= 1e9 => format!("{:.2} s", ns / 1e9),
        Figure::Ns(ns) => format!("{:.2} ms", ns / 1e6),
        Figure::Share(share) => format!("{:.1} %", share * 100.0),
        Figure::Never => "never".to_owned(),
    }
}
