//! `list`: what there is.

use anyhow::{Result, bail};
use checker::expectations::Expectations;
use checker::report::Conclusion;
use enumset::EnumSet;
use model::defects::DEFECTS;
use model::{Property, Strategy, algorithms};
use serde::Serialize;

use super::End;
use super::args::{List, ListFormat};
use super::output::say;

#[derive(Serialize)]
struct Listing {
    version: u32,
    algorithms: Vec<Strategy>,
    variants: Vec<Strategy>,
    choices: Vec<Strategy>,
    precautions: Vec<Strategy>,
    profiles: Vec<Strategy>,
    properties: Vec<PropertyEntry>,
    defects: Vec<DefectEntry>,
}

#[derive(Serialize)]
struct PropertyEntry {
    id: Property,
    title: &'static str,
    meaning: &'static str,
}

#[derive(Serialize)]
struct DefectEntry {
    name: String,
    meaning: &'static str,
    caught_by: Property,
    algorithm: &'static str,
    link: model::Link,
    migration: u8,
}

pub(super) fn run(args: &List) -> Result<End> {
    match (args.algorithm.as_deref().and_then(algorithms::built_in), args.format) {
        (Some(strategy), ListFormat::Toml | ListFormat::Text) => {
            say((strategy.to_toml() + &Expectations::to_toml(&strategy)).trim_end())?
        }
        (Some(strategy), ListFormat::Json) => say(serde_json::to_string_pretty(&strategy)?)?,
        (None, ListFormat::Json) => say(serde_json::to_string_pretty(&listing())?)?,
        (None, ListFormat::Text) => say(text(&listing()))?,
        (None, ListFormat::Toml) => {
            bail!("a strategy file describes one algorithm: name it with --algorithm")
        }
    }
    Ok(End::Concluded(Conclusion::AsExpected))
}

fn listing() -> Listing {
    Listing {
        version: 1,
        algorithms: algorithms::BUILT_IN.to_vec(),
        variants: algorithms::VARIANTS.to_vec(),
        choices: algorithms::CHOICES.to_vec(),
        precautions: algorithms::PRECAUTIONS.to_vec(),
        profiles: algorithms::PROFILES.to_vec(),
        properties: EnumSet::<Property>::all()
            .iter()
            .map(|id| PropertyEntry { id, title: id.title(), meaning: id.meaning() })
            .collect(),
        defects: DEFECTS
            .iter()
            .map(|entry| DefectEntry {
                name: entry.defect.to_string(),
                meaning: entry.meaning,
                caught_by: entry.caught_by,
                algorithm: entry.algorithm,
                link: entry.link,
                migration: entry.hop,
            })
            .collect(),
    }
}

fn text(listing: &Listing) -> String {
    let mut lines = vec!["Algorithms".to_owned()];
    let algorithms = listing.algorithms.iter().chain(&listing.variants);
    lines.extend(algorithms.map(|strategy| format!("  {}", strategy.name)));
    lines.push("\nAlgorithms with a choice about pages, threads or connections".to_owned());
    lines.extend(listing.choices.iter().map(|strategy| format!("  {}", strategy.name)));
    lines.push("\nAlgorithms with a precaution".to_owned());
    lines.extend(listing.precautions.iter().map(|strategy| format!("  {}", strategy.name)));
    lines.push("\nProfiles of real systems".to_owned());
    lines.extend(listing.profiles.iter().map(|strategy| format!("  {}", strategy.name)));
    lines.push("\nProperties".to_owned());
    let properties = listing.properties.iter();
    lines.extend(
        properties.map(|property| {
            format!("  {:4}{:26}{}", property.id.to_string(), property.title, property.meaning)
        }),
    );
    lines.push("\nDefects, with the property that must catch each".to_owned());
    let defects = listing.defects.iter();
    lines.extend(
        defects.map(|defect| {
            format!("  {:28}{:4}{}", defect.name, defect.caught_by.to_string(), defect.meaning)
        }),
    );
    lines.push("\nAn algorithm as a strategy file: checker list --algorithm NAME --format toml".to_owned());
    lines.join("\n")
}
