//! A run to be shown again, as somebody has written it down: read, and held to what can be run.

use anyhow::{Context, Result, bail};
use protocol::wire::{FORMER_HOSTS_MAX, REGISTERS_LEN_MAX};
use serde_json::Value;
use world::Disrupted;

/// The longest a run may be as text: a hundred times what a storm prints.
const BYTES_MAX: usize = 64 * 1024;

/// A day, in nanoseconds: sums of some of them are still numbers.
const NS_MAX: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Of each field with a bound: the least and the most it may be.
const BOUNDS: [(&str, u64, u64); 13] = [
    ("pages", 1, 256),
    ("file-mapped-percent", 0, 100),
    ("initially-dirty-percent", 0, 100),
    ("noise-percent", 0, 100),
    ("write-percent", 0, 100),
    ("loss-percent", 0, 100),
    ("duplicate-percent", 0, 100),
    ("accesses-per-stay", 0, 100_000),
    ("registers-len", 0, REGISTERS_LEN_MAX as u64),
    ("bandwidth-bits-per-s", 1, 1_000_000_000_000_000),
    ("send-buffer-frames", 1, 1_000_000),
    ("outbox-messages-max", 1, 1_000_000),
    // Passes of pre-copy.
    ("passes", 1, 10_000),
];

/// The most disruptions of one run.
const DISRUPTIONS_MAX: usize = 1_000;

/// The run that is written there.
///
/// # Errors
/// It is none, or one that cannot be run: the field, and what it may be.
pub(super) fn read(json: &str) -> Result<Disrupted> {
    if json.len() > BYTES_MAX {
        bail!("larger than {BYTES_MAX} bytes, the most that a run may have");
    }
    let value: Value = serde_json::from_str(json).context("not a run")?;
    let run: Disrupted = serde_json::from_value(value.clone()).context("not a run")?;
    within_bounds("", "", &value)?;
    run.scenario.policy.clone().check().context("scenario.policy")?;
    let (stops, disruptions) = (run.scenario.route.len(), run.disruptions.len());
    if !(1..=FORMER_HOSTS_MAX).contains(&stops) {
        bail!("scenario.route has {stops} hosts: say 1 to {FORMER_HOSTS_MAX}");
    }
    if let Some(stop) = run.scenario.route.windows(2).find(|stops| stops[0] == stops[1]) {
        bail!("scenario.route leads from {} to where the process is", stop[0]);
    }
    if disruptions > DISRUPTIONS_MAX {
        bail!("there are {disruptions} disruptions: at most {DISRUPTIONS_MAX} strike a run");
    }
    Ok(run)
}

/// Every number is one that a run can have. Elements of a list have the name of the list.
fn within_bounds(place: &str, name: &str, value: &Value) -> Result<()> {
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            within_bounds(&place, name, value)
        }),
        Value::Array(elements) => elements.iter().try_for_each(|value| within_bounds(place, name, value)),
        Value::Number(number) => {
            let bounds =
                BOUNDS.iter().find(|(field, ..)| *field == name).map(|(_, least, most)| (*least, *most));
            let bounds = if name.ends_with("-ns") { Some((0, NS_MAX)) } else { bounds };
            match (bounds, number.as_u64()) {
                (Some((least, most)), Some(number)) if !(least..=most).contains(&number) => {
                    bail!("{place} is {number}: say {least} to {most}")
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::storm;

    fn refused(change: impl Fn(&mut Value)) -> String {
        let mut value = serde_json::to_value(storm::run(1)).unwrap();
        change(&mut value);
        format!("{:#}", read(&value.to_string()).unwrap_err())
    }

    #[test]
    fn what_a_storm_prints_is_read_again() {
        for number in 0..200 {
            let run = storm::run(number);
            assert_eq!(read(&serde_json::to_string(&run).unwrap()).unwrap(), run);
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name_and_bound() {
        let numbers = [
            (
                "/scenario/registers-len",
                1u64 << 63,
                "scenario.registers-len is 9223372036854775808: say 0 to 65536",
            ),
            ("/scenario/layout/pages", 1 << 24, "scenario.layout.pages is 16777216: say 1 to 256"),
            ("/scenario/layout/pages", 0, "scenario.layout.pages is 0: say 1 to 256"),
            ("/scenario/accesses-per-stay", u64::MAX, "scenario.accesses-per-stay"),
            ("/scenario/link/latency-ns", u64::MAX, "scenario.link.latency-ns"),
            ("/scenario/link/bandwidth-bits-per-s", 0, "say 1 to"),
            ("/scenario/link/send-buffer-frames", 0, "say 1 to"),
            ("/scenario/workload/write-percent", 101, "say 0 to 100"),
        ];
        for (field, number, message) in numbers {
            let error = refused(|value| *value.pointer_mut(field).expect("the field") = number.into());
            assert!(error.contains(message), "{field}: {error}");
        }
        let route = |stops: &[u16]| refused(|value| value["scenario"]["route"] = serde_json::json!(stops));
        assert!(route(&[]).contains("scenario.route has 0 hosts: say 1 to 64"));
        assert!(route(&[0; 65]).contains("scenario.route has 65 hosts"));
        assert!(route(&[1, 1]).contains("to where the process is"));
        assert!(refused(|value| value["surprise"] = 1.into()).contains("not a run"));
        let long = format!("{{\"x\":\"{}\"}}", "y".repeat(BYTES_MAX));
        assert!(read(&long).unwrap_err().to_string().contains("larger than 65536 bytes"));
    }

    #[test]
    fn passes_are_bounded_on_both_sides() {
        let pre_copy = (0..).map(storm::run).find(|run| run.scenario.policy.name == "pre-copy").expect("one");
        let mut value = serde_json::to_value(&pre_copy).unwrap();
        let cases = [
            (0, "passes: a pre-copy makes at least one pass".to_owned()),
            (u64::from(u32::MAX), format!("scenario.policy.passes is {}: say 1 to 10000", u32::MAX)),
        ];
        for (passes, message) in cases {
            value["scenario"]["policy"]["passes"] = passes.into();
            let error = format!("{:#}", read(&value.to_string()).unwrap_err());
            assert!(error.contains(&message), "{error}");
        }
    }
}
