//! `bounds`: the least and the most that one migration can cost, as a table, a document, or two runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context, Result, bail};
use checker::bounds::{Bounds as Found, Cost, Migrations, Way, observed};
use checker::narrative::Story;
use checker::observed::{Population, Writes};
use checker::report::Conclusion;
use checker::setting::Setting;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table, TableComponent};
use engine::state_graph::TooLarge;
use model::page::Kind;
use model::{Defect, Hosts, Link, Strategy, algorithms};
use serde::Serialize;
use serde_json::json;

use super::args::{Bounds, Format};
use super::check::stop_on_interrupt;
use super::output::{remark, say};
use super::{End, algorithm, setting};

/// The migrations of one algorithm, or some of them.
#[derive(Serialize)]
struct Row {
    algorithm: String,
    way: Way,
    /// All pages are of this kind; any where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    hosts: Hosts,
    link: Link,
    defect: Option<Defect>,
    bounds: BTreeMap<Cost, Found>,
}

pub(super) fn run(args: &Bounds) -> Result<End> {
    match compute(args) {
        Ok(end) => Ok(end),
        Err(error) if error.downcast_ref::<TooLarge>().is_some() => {
            remark(format_args!("inconclusive: {error:#}"));
            Ok(End::Concluded(Conclusion::Inconclusive))
        }
        Err(error) => Err(error),
    }
}

fn compute(args: &Bounds) -> Result<End> {
    let strategies: Vec<Strategy> = match args.algorithms.is_empty() {
        true => algorithms::BUILT_IN.to_vec(),
        false => args.algorithms.iter().map(|name| algorithm(name)).collect::<Result<_>>()?,
    };
    let settings = strategies.into_iter().map(|strategy| setting(strategy, &args.world));
    let settings: Vec<Setting> = settings.collect::<Result<_>>()?;
    let interrupted = Arc::default();
    stop_on_interrupt(&interrupted)?;
    match (args.show, settings.as_slice()) {
        (Some(cost), [setting]) => show(args, setting, cost)?,
        (Some(_), _) => bail!("--show tells the runs of one algorithm: name one"),
        (None, settings) => {
            let mut rows = Vec::new();
            for setting in settings {
                for (way, kind) in parts(setting).into_iter().filter(|_| !interrupted.load(Relaxed)) {
                    rows.extend(row(args, setting, way, kind)?);
                }
            }
            match args.format {
                Format::Json => say(serde_json::to_string_pretty(
                    &json!({ "version": 1, "pages": args.pages, "migrations": rows }),
                )?)?,
                Format::Text => say(text(args, &rows))?,
            }
        }
    }
    Ok(match interrupted.load(Relaxed) {
        true => End::Interrupted,
        false => End::Concluded(Conclusion::AsExpected),
    })
}

/// Which of an algorithm's migrations have a row of their own.
fn parts(setting: &Setting) -> Vec<(Way, Option<Kind>)> {
    let mut parts = vec![(Way::Forth, None)];
    if setting.strategy.is_lazy() {
        parts.push((Way::Return, None));
    }
    if setting.strategy.tells_kinds_apart() {
        parts.extend([Kind::Private, Kind::FileMapped].map(|kind| (Way::Forth, Some(kind))));
    }
    parts
}

fn row(args: &Bounds, setting: &Setting, way: Way, kind: Option<Kind>) -> Result<Option<Row>> {
    let population = Population { kind, writes: Writes::Any };
    let concrete = observed(setting.migration(), population, args.pages);
    let name = || setting.strategy.name.clone().into_owned();
    let mut migrations = Migrations::explore(&concrete, way, args.max_states, |_| true).with_context(name)?;
    let bounds = Cost::ALL.into_iter().filter_map(|cost| Some((cost, migrations.bounds(cost)?))).collect();
    let Setting { hosts, link, defect, .. } = *setting;
    Ok(migrations.any().then(|| Row { algorithm: name(), way, kind, hosts, link, defect, bounds }))
}

fn text(args: &Bounds, rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(["algorithm".to_owned()].into_iter().chain(Cost::ALL.map(|cost| cost.to_string())));
    for row in rows {
        let name = match (row.way, row.kind) {
            (Way::Return, _) => format!("{}, return", row.algorithm),
            (Way::Forth, Some(Kind::Private)) => format!("{}, private", row.algorithm),
            (Way::Forth, Some(Kind::FileMapped)) => format!("{}, file-mapped", row.algorithm),
            (Way::Forth, None) => row.algorithm.clone(),
        };
        let cells = Cost::ALL.map(|cost| {
            let text = row.bounds.get(&cost).map_or("–".to_owned(), |found| range(*found));
            Cell::new(text).set_alignment(CellAlignment::Right)
        });
        table.add_row([Cell::new(name)].into_iter().chain(cells));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!(
        "{table}\none migration of {} pages, from the operator's start to the next: least–most over all \
         interleavings; ∞ without bound\nSee the runs: checker bounds pre-copy --show resent · what is counted: \
         checker bounds --help",
        args.pages
    )
}

fn range(found: Found) -> String {
    match found.maximum {
        Some(maximum) if maximum == found.minimum => maximum.to_string(),
        Some(maximum) => format!("{}–{maximum}", found.minimum),
        None => format!("{}–∞", found.minimum),
    }
}

fn show(args: &Bounds, setting: &Setting, cost: Cost) -> Result<()> {
    let concrete = observed(setting.migration(), Population::default(), args.pages);
    let mut migrations = Migrations::explore(&concrete, Way::Forth, args.max_states, |_| true)?;
    let Some((least, most)) = migrations.witnesses(cost) else {
        bail!("{} never completes a migration", setting.strategy.name)
    };
    match args.format {
        Format::Text => say(format_args!("{}\n{}", least.to_text(), most.to_text().trim_end())),
        Format::Json => {
            let run = |story: &Story| json!({ "title": story.title, "steps": story.lines(), "loop_from": story.loop_from });
            let document = json!({ "version": 1, "least": run(&least), "most": run(&most) });
            say(serde_json::to_string_pretty(&document)?)
        }
    }
}
