//! `list`: what there is.

use anstream::println;
use anyhow::{Result, bail};
use checker::report::Conclusion;
use enumset::EnumSet;
use model::defects::DEFECTS;
use model::{Property, Strategy, algorithms};
use serde::Serialize;

use super::End;
use super::args::{List, ListFormat};

#[derive(Serialize)]
struct Listing {
    version: u32,
    algorithms: Vec<Strategy>,
    variants: Vec<Strategy>,
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
            println!("{}", strategy.to_toml().trim_end())
        }
        (Some(strategy), ListFormat::Json) => println!("{}", serde_json::to_string_pretty(&strategy)?),
        (None, ListFormat::Json) => println!("{}", serde_json::to_string_pretty(&listing())?),
        (None, ListFormat::Text) => print(&listing()),
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

fn print(listing: &Listing) {
    println!("Algorithms");
    for strategy in listing.algorithms.iter().chain(&listing.variants) {
        println!("  {}", strategy.name);
    }
    println!("\nProperties");
    for property in &listing.properties {
        println!("  {:4}{:26}{}", property.id.to_string(), property.title, property.meaning);
    }
    println!("\nDefects, with the property that must catch each");
    for defect in &listing.defects {
        println!("  {:24}{:4}{}", defect.name, defect.caught_by.to_string(), defect.meaning);
    }
    println!("\nAn algorithm as a strategy file: checker list --algorithm NAME --format toml");
}
