//! `bounds`: the least and the most that one migration can cost, as a table, a document, or two runs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use checker::bounds::{Bounds as Found, Cost, Migrations, Way, observed};
use checker::narrative::Story;
use checker::observed::{Population, Writes};
use checker::report::{Conclusion, counted};
use checker::setting::{Pages, Setting};
use checker::sheet::{Layout, Sheet, SheetTable};
use engine::state_graph::TooLarge;
use model::page::Kind;
use model::{Defect, Hosts, Link, algorithms};
use serde::Serialize;
use serde_json::json;

use super::args::{BoundsArgs, TableFormat};
use super::output::{remark, say, say_sheet};
use super::patience::Patience;
use super::progress::Teller;
use super::{End, refuse_idle_defect, setting};

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

pub(super) fn run(args: &BoundsArgs) -> Result<End> {
    match compute(args) {
        Ok(end) => Ok(end),
        Err(error) if error.downcast_ref::<TooLarge>().is_some() => {
            remark(format_args!("inconclusive: {error:#}"));
            Ok(End::Concluded(Conclusion::Inconclusive))
        }
        Err(error) => Err(error),
    }
}

fn compute(args: &BoundsArgs) -> Result<End> {
    let subjects = args.subjects.asked_or(algorithms::BUILT_IN)?;
    let settings = subjects.into_iter().map(|subject| setting(subject.strategy, &args.world));
    let settings: Vec<Setting> = settings.collect::<Result<_>>()?;
    let patience = Patience::start(args.timeout.timeout)?;
    for setting in &settings {
        refuse_idle_defect(setting, Pages::Exactly(args.pages))?;
    }
    let teller = Teller::new();
    let mut complete = true;
    match (args.show, settings.as_slice()) {
        (Some(cost), [setting]) => {
            teller.begin(setting.strategy.name.to_string());
            complete = show(args, setting, cost, &patience, &teller)?;
        }
        (Some(_), _) => bail!("--show tells the runs of one algorithm: name one"),
        (None, settings) => {
            let mut rows = Vec::new();
            for setting in settings {
                teller.begin(setting.strategy.name.to_string());
                for (way, kind) in parts(setting) {
                    match row(args, setting, (way, kind), &patience, &teller) {
                        Ok(found) => rows.extend(found),
                        Err(error) if is_given_up(&error) => complete = false,
                        Err(error) => return Err(error),
                    }
                }
            }
            teller.end();
            let document = || json!({ "version": 1, "pages": args.pages, "migrations": rows });
            say_sheet(args.format, || sheet(args, &rows), || numbers(args, &rows), document)?;
        }
    }
    Ok(patience.end(Conclusion::AsExpected, complete))
}

fn is_given_up(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TooLarge::GivenUp(_)))
}

/// Goes on while there is patience, and says how far it is.
fn goes_on<'a>(patience: &'a Patience, teller: &'a Teller) -> impl Fn(usize) -> bool + 'a {
    |states| {
        teller.note(format_args!("{states} states"));
        !patience.is_out()
    }
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

fn row(
    args: &BoundsArgs,
    setting: &Setting,
    (way, kind): (Way, Option<Kind>),
    patience: &Patience,
    teller: &Teller,
) -> Result<Option<Row>> {
    let population = Population { kind, writes: Writes::Any };
    let concrete = observed(setting.migration(), population, args.pages);
    let name = || setting.strategy.name.clone().into_owned();
    let goes_on = goes_on(patience, teller);
    let explored = Migrations::explore_while(&concrete, way, args.max_states, &goes_on, |_| true);
    let mut migrations = explored.with_context(name)?;
    let bounds = Cost::ALL.into_iter().filter_map(|cost| Some((cost, migrations.bounds(cost)?))).collect();
    let Setting { hosts, link, defect, .. } = *setting;
    Ok(migrations.any().then(|| Row { algorithm: name(), way, kind, hosts, link, defect, bounds }))
}

/// Whose costs they are.
fn name(row: &Row) -> String {
    match (row.way, row.kind) {
        (Way::Return, _) => format!("{}, return", row.algorithm),
        (Way::Forth, Some(Kind::Private)) => format!("{}, private", row.algorithm),
        (Way::Forth, Some(Kind::FileMapped)) => format!("{}, file-mapped", row.algorithm),
        (Way::Forth, None) => row.algorithm.clone(),
    }
}

fn sheet(args: &BoundsArgs, rows: &[Row]) -> Sheet {
    let titles = ["algorithm".to_owned()].into_iter().chain(Cost::ALL.map(|cost| cost.to_string()));
    let mut table = SheetTable::new(titles).laid_out(Layout::Ruled(2));
    for row in rows {
        let cells =
            Cost::ALL.map(|cost| row.bounds.get(&cost).map_or("–".to_owned(), |found| range(*found)));
        table.add([name(row)].into_iter().chain(cells));
    }
    let found = || rows.iter().flat_map(|row| row.bounds.values());
    let pages = counted(args.pages.get(), "page");
    let mut legend = format!(
        "one migration of {pages}, from the operator's start to the next: least–most over all interleavings"
    );
    if found().any(|found| found.maximum.is_none()) {
        legend += "; ∞ without bound";
    }
    if table.shows("–") {
        legend += "; – of no migration";
    }
    let resends =
        rows.iter().find(|row| row.bounds.get(&Cost::Resent).is_some_and(|found| found.maximum != Some(0)));
    let shown = match (resends, rows.first()) {
        (Some(row), _) => format!("{} --show resent", row.algorithm),
        (None, Some(row)) => format!("{} --show sent", row.algorithm),
        (None, None) => "--show".to_owned(),
    };
    Sheet::from(table).text(format!(
        "{legend}\nSee the runs: checker bounds {shown} · what is counted: checker bounds --help"
    ))
}

/// A row for each of them, for programs: the least and the most of each cost.
fn numbers(args: &BoundsArgs, rows: &[Row]) -> SheetTable {
    let costs = Cost::ALL.map(|cost| cost.to_string().replace('-', "_"));
    let costs = costs.iter().flat_map(|cost| [format!("{cost}_least"), format!("{cost}_most")]);
    let mut table = SheetTable::new(["algorithm".to_owned(), "pages".to_owned()].into_iter().chain(costs));
    for row in rows {
        let cells = Cost::ALL.into_iter().flat_map(|cost| match row.bounds.get(&cost) {
            Some(Found { minimum, maximum }) => {
                [minimum.to_string(), maximum.map_or("unbounded".to_owned(), |most| most.to_string())]
            }
            None => [String::new(), String::new()],
        });
        table.add([name(row), args.pages.to_string()].into_iter().chain(cells));
    }
    table
}

fn range(found: Found) -> String {
    match found.maximum {
        Some(maximum) if maximum == found.minimum => maximum.to_string(),
        Some(maximum) => format!("{}–{maximum}", found.minimum),
        None => format!("{}–∞", found.minimum),
    }
}

/// `false` if it was given up.
fn show(
    args: &BoundsArgs,
    setting: &Setting,
    cost: Cost,
    patience: &Patience,
    teller: &Teller,
) -> Result<bool> {
    let concrete = observed(setting.migration(), Population::default(), args.pages);
    let goes_on = goes_on(patience, teller);
    let mut migrations =
        match Migrations::explore_while(&concrete, Way::Forth, args.max_states, &goes_on, |_| true) {
            Ok(migrations) => migrations,
            Err(TooLarge::GivenUp(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
    teller.end();
    let Some((least, most)) = migrations.witnesses(cost) else {
        bail!("{} never completes a migration", setting.strategy.name)
    };
    match args.format {
        TableFormat::Text => say(format_args!("{}\n{}", least.to_text(), most.to_text().trim_end()))?,
        TableFormat::Markdown | TableFormat::Latex | TableFormat::Csv => {
            bail!("--show tells two runs, which are no table: as text or json")
        }
        TableFormat::Json => {
            let run = |story: &Story| json!({ "title": story.title, "steps": story.lines(), "loop_from": story.loop_from });
            let document = json!({ "version": 1, "least": run(&least), "most": run(&most) });
            say(serde_json::to_string_pretty(&document)?)?
        }
    }
    Ok(true)
}
