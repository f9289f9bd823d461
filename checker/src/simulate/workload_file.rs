//! Workloads as files: a measured curve of different pages against time, or a list of accesses.
//!
//! | what | how it is told |
//! |---|---|
//! | our own, from `sojourn profile` or by hand | TOML: `pages`, `page-size-bytes`, and `[[curve]]` with `after-ns`, `written`, `touched`, `place-permille` |
//! | QEMU's answer to `query-dirty-rate` | JSON with `dirty-rate` and `calc-time`, or the vectors `periods` and `n-dirty-pages` |
//! | a spreadsheet | CSV: a header `after_ms,written,touched` (or `after_s`, `after_us`, `after_ns`; `touched` may lack) |
//! | accesses | lines `SECONDS PAGE r` or `SECONDS PAGE w`, done over and over |
//!
//! A curve says how many different pages are written, and touched at all, within a time from any moment on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::SimulatedWorkload;

/// The most bytes that a workload file has.
pub const WORKLOAD_BYTES_MAX: u64 = 64 << 20;

/// Pages of QEMU's measurements where they do not say.
const QEMU_PAGE_BYTES: u64 = 4096;

/// A process as it was measured. What is not known is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// Pages of the address space; 0: as many as are simulated.
    #[serde(default)]
    pub pages: u64,
    /// Size of a page; 0: as simulated.
    #[serde(default)]
    pub page_size_bytes: u64,
    /// Pages of files that are mapped shared.
    #[serde(default)]
    pub file_mapped_pages: u64,
    /// Pages that are all zero.
    #[serde(default)]
    pub zero_pages: u64,
    /// Pages of the process's own that differ from where they were loaded from.
    #[serde(default)]
    pub modified_pages: u64,
    /// Those of the file-mapped pages that the file server does not have yet, or not as they are.
    #[serde(default)]
    pub unsaved_pages: u64,
    /// Bytes of the state without pages.
    #[serde(default)]
    pub state_bytes: u64,
    /// Different pages against time, in ascending order.
    pub curve: Vec<Measured>,
}

/// A point of the curve: within so long from any moment on, so many different pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Measured {
    /// Within so long.
    pub after_ns: u64,
    /// Pages written.
    pub written: u64,
    /// Pages read or written; 0 where that is not known.
    #[serde(default)]
    pub touched: u64,
    /// Where those that are written are on average, in order of address: 0 at the beginning, 1000 at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place_permille: Option<u16>,
}

/// Accesses with their times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccessList {
    /// In ascending order of time.
    pub accesses: Vec<ListedAccess>,
    /// From the first access to the same one in the next round.
    pub period_ns: u64,
}

/// One of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListedAccess {
    /// When.
    pub at_ns: u64,
    /// Which page.
    pub page: u64,
    /// Whether it writes.
    pub writes: bool,
}

/// Why a text is no workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// It is neither of the known forms, or not well formed.
    #[error("no workload: {0}")]
    Malformed(String),
    /// A line of it is wrong.
    #[error("line {line}: {what}")]
    Line {
        /// Which.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Times or counts go backwards.
    #[error("the curve falls at point {0}: times ascend, and counts never fall")]
    Falls(usize),
    /// There is nothing in it.
    #[error("there is no point in the curve, and no access in the list")]
    Empty,
    /// More pages are written or touched than there are.
    #[error("{counted} different pages, of {pages}")]
    TooMany {
        /// The most that the curve has.
        counted: u64,
        /// What there is.
        pages: u64,
    },
    /// More file-mapped pages are unsaved than there are.
    #[error("{counted} unsaved pages, of {pages} that are file-mapped")]
    TooManyUnsaved {
        /// Those that are unsaved.
        counted: u64,
        /// What there is.
        pages: u64,
    },
}

/// The workload that a text tells, whichever form it has.
///
/// # Errors
/// It is none.
pub fn parse(text: &str) -> Result<SimulatedWorkload, WorkloadError> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.ok_or(WorkloadError::Empty)?;
    let curve = |profile: Profile| Ok(SimulatedWorkload::Measured(Arc::new(checked(profile)?)));
    match first {
        _ if first.starts_with('{') => curve(qemu(text)?),
        _ if first.starts_with("after") && first.contains(',') => curve(csv(text)?),
        _ if first.contains('=') || first.starts_with('[') => {
            curve(toml::from_str(text).map_err(|error| WorkloadError::Malformed(error.to_string()))?)
        }
        _ => list(text),
    }
}

impl Profile {
    /// As a file.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}

fn checked(mut profile: Profile) -> Result<Profile, WorkloadError> {
    if profile.curve.is_empty() {
        return Err(WorkloadError::Empty);
    }
    for point in &mut profile.curve {
        point.touched = point.touched.max(point.written);
    }
    let falls = |pair: &[Measured]| {
        pair[1].after_ns <= pair[0].after_ns
            || pair[1].written < pair[0].written
            || pair[1].touched < pair[0].touched
    };
    if profile.curve[0].after_ns == 0 {
        return Err(WorkloadError::Falls(1));
    }
    if let Some(at) = profile.curve.windows(2).position(falls) {
        return Err(WorkloadError::Falls(at + 2));
    }
    if let Some(place) =
        profile.curve.iter().filter_map(|point| point.place_permille).find(|place| *place > 1000)
    {
        return Err(WorkloadError::Malformed(format!("place-permille is {place}: at most 1000")));
    }
    let counted = profile.curve.last().map_or(0, |point| point.touched);
    let counted = counted.max(profile.zero_pages).max(profile.file_mapped_pages).max(profile.modified_pages);
    if profile.unsaved_pages > profile.file_mapped_pages {
        let (counted, pages) = (profile.unsaved_pages, profile.file_mapped_pages);
        return Err(WorkloadError::TooManyUnsaved { counted, pages });
    }
    if profile.pages > 0 && counted > profile.pages {
        return Err(WorkloadError::TooMany { counted, pages: profile.pages });
    }
    Ok(profile)
}

/// What QEMU says of a measurement; unknown fields are newer ones.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DirtyRate {
    status: Option<String>,
    dirty_rate: Option<u64>,
    calc_time: Option<u64>,
    calc_time_unit: Option<String>,
    page_size: Option<u64>,
    periods: Option<Vec<u64>>,
    n_dirty_pages: Option<Vec<u64>>,
    n_sampled_pages: Option<u64>,
    n_zero_pages: Option<u64>,
    n_total_pages: Option<u64>,
}

fn qemu(text: &str) -> Result<Profile, WorkloadError> {
    let malformed = |what: &str| WorkloadError::Malformed(what.to_owned());
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
    let answer = value.get("return").cloned().unwrap_or(value);
    let rate: DirtyRate = serde_json::from_value(answer).map_err(|error| malformed(&error.to_string()))?;
    if let Some(status) = rate.status.filter(|status| status != "measured") {
        return Err(WorkloadError::Malformed(format!("the measurement of QEMU is {status}, not measured")));
    }
    let page_size_bytes = rate.page_size.unwrap_or(QEMU_PAGE_BYTES).max(1);
    let total = rate.n_total_pages.unwrap_or(0);
    let sampled = rate.n_sampled_pages.unwrap_or(total).max(1);
    let scaled = |count: u64| match total {
        0 => count,
        total => (u128::from(count) * u128::from(total) / u128::from(sampled)) as u64,
    };
    let curve = match (rate.periods, rate.n_dirty_pages) {
        (Some(periods), Some(counts)) if periods.len() == counts.len() => {
            let mut most = 0;
            let point = |(ms, count): (u64, u64)| {
                // Two samples may differ by chance; a curve of different pages cannot fall.
                most = most.max(scaled(count));
                Measured { after_ns: ms.saturating_mul(1_000_000), written: most, ..Measured::default() }
            };
            periods.into_iter().zip(counts).map(point).collect()
        }
        (Some(_), Some(_)) => return Err(malformed("`periods` and `n-dirty-pages` are not equally long")),
        _ => {
            let rate_mib = rate
                .dirty_rate
                .ok_or_else(|| malformed("it has neither `n-dirty-pages` nor `dirty-rate`"))?;
            let time =
                rate.calc_time.filter(|time| *time > 0).ok_or_else(|| malformed("it has no `calc-time`"))?;
            let unit_ns =
                if rate.calc_time_unit.as_deref() == Some("millisecond") { 1_000_000 } else { 1_000_000_000 };
            let after_ns = time.saturating_mul(unit_ns);
            // What is below a MiB a second is cut off: half of one, on average.
            let rate_bytes = (u128::from(rate_mib) << 20) + if rate_mib == 0 { 0 } else { 1 << 19 };
            let bytes = rate_bytes * u128::from(after_ns) / 1_000_000_000;
            let written = u64::try_from(bytes / u128::from(page_size_bytes)).unwrap_or(u64::MAX);
            vec![Measured { after_ns, written, ..Measured::default() }]
        }
    };
    let zero_pages = scaled(rate.n_zero_pages.unwrap_or(0));
    Ok(Profile { pages: total, page_size_bytes, zero_pages, curve, ..Profile::default() })
}

fn csv(text: &str) -> Result<Profile, WorkloadError> {
    let mut reader =
        csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
    let malformed = |error: csv::Error| WorkloadError::Malformed(error.to_string());
    let titles = reader.headers().map_err(malformed)?.clone();
    let unit_ns = match titles.get(0) {
        Some("after_s") => 1e9,
        Some("after_ms") => 1e6,
        Some("after_us") => 1e3,
        Some("after_ns") => 1.0,
        _ => {
            return Err(WorkloadError::Malformed(
                "the first column is after_s, after_ms, after_us or after_ns".to_owned(),
            ));
        }
    };
    let column = |name: &str| titles.iter().position(|title| title == name);
    let written = column("written")
        .ok_or_else(|| WorkloadError::Malformed("there is no column 'written'".to_owned()))?;
    let touched = column("touched");
    let mut curve = Vec::new();
    for record in reader.records() {
        let record = record.map_err(malformed)?;
        let line = record.position().map_or(0, |position| position.line() as usize);
        let number = |at: usize| {
            let text = record.get(at).unwrap_or_default();
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
            number.ok_or_else(|| WorkloadError::Line { line, what: format!("{text:?} is no number from 0") })
        };
        curve.push(Measured {
            after_ns: (number(0)? * unit_ns) as u64,
            written: number(written)? as u64,
            touched: touched.map_or(Ok(0.0), number)? as u64,
            place_permille: None,
        });
    }
    Ok(Profile { curve, ..Profile::default() })
}

fn list(text: &str) -> Result<SimulatedWorkload, WorkloadError> {
    let mut accesses: Vec<ListedAccess> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: String| WorkloadError::Line { line: number, what };
        let form = || wrong(format!("{line:?} is not SECONDS PAGE r or SECONDS PAGE w"));
        let words: Vec<&str> = line.split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
        let (seconds, page, writes) = match words.as_slice() {
            [seconds, page] => (seconds, page, true),
            [seconds, page, "r"] => (seconds, page, false),
            [seconds, page, "w"] => (seconds, page, true),
            _ => return Err(form()),
        };
        let seconds = seconds.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let at_ns = (seconds.ok_or_else(form)? * 1e9) as u64;
        let page = page.parse::<u64>().map_err(|_| form())?;
        if accesses.last().is_some_and(|last| last.at_ns > at_ns) {
            return Err(wrong("it is earlier than the line before".to_owned()));
        }
        accesses.push(ListedAccess { at_ns, page, writes });
    }
    let (Some(first), Some(last)) = (accesses.first(), accesses.last()) else {
        return Err(WorkloadError::Empty);
    };
    // The next round begins a mean interval after the last access.
    let length_ns = last.at_ns - first.at_ns;
    let period_ns = length_ns + length_ns / (accesses.len() as u64 - 1).max(1);
    let period_ns = period_ns.max(1) + first.at_ns;
    Ok(SimulatedWorkload::Listed(Arc::new(AccessList { accesses, period_ns })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(text: &str) -> Profile {
        match parse(text) {
            Ok(SimulatedWorkload::Measured(profile)) => (*profile).clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let curve = vec![
            Measured { after_ns: 1_000_000, written: 5, touched: 9, ..Measured::default() },
            Measured { after_ns: 10_000_000, written: 20, touched: 30, ..Measured::default() },
        ];
        let profile =
            Profile { pages: 100, page_size_bytes: 4096, zero_pages: 40, curve, ..Profile::default() };
        assert_eq!(measured(&profile.to_toml()), profile);
        let unsaved = Profile { file_mapped_pages: 7, unsaved_pages: 8, ..profile };
        let refused = parse(&unsaved.to_toml()).unwrap_err().to_string();
        assert_eq!(refused, "8 unsaved pages, of 7 that are file-mapped");
    }

    #[test]
    fn qemu_measures_a_rate_or_a_vector() {
        let rate = measured(
            r#"{"return": {"status": "measured", "dirty-rate": 98, "calc-time": 2, "start-time": 7}}"#,
        );
        assert_eq!(
            rate.curve,
            [Measured {
                after_ns: 2_000_000_000,
                written: 197 * 256,
                touched: 197 * 256,
                ..Measured::default()
            }],
            "98 and a half MiB a second"
        );
        let vector = measured(
            r#"{"page-size": 4096, "periods": [125, 250, 500], "n-dirty-pages": [33, 30, 78], "n-sampled-pages": 100,
                "n-zero-pages": 10, "n-total-pages": 1000, "status": "measured", "mode": "page-sampling"}"#,
        );
        assert_eq!((vector.pages, vector.zero_pages), (1000, 100));
        assert_eq!(vector.curve.iter().map(|point| point.written).collect::<Vec<_>>(), [330, 330, 780]);
    }

    #[test]
    fn spreadsheets_and_lists_are_read() {
        let sheet = measured("# from a tool\nafter_ms,written,touched\n10,5,7\n20.5,6,9\n");
        assert_eq!(
            sheet.curve[1],
            Measured { after_ns: 20_500_000, written: 6, touched: 9, ..Measured::default() }
        );
        assert_eq!(measured("after_s, written\n1, 5\n").curve[0].touched, 5);
        let Ok(SimulatedWorkload::Listed(list)) = parse("0 3 w\n0.001 4 r\n0.002 5\n") else {
            panic!("a list")
        };
        assert_eq!(list.accesses[1], ListedAccess { at_ns: 1_000_000, page: 4, writes: false });
        assert_eq!((list.accesses.len(), list.period_ns), (3, 3_000_000));
    }

    #[test]
    fn what_is_no_workload_is_refused_with_its_place() {
        for (text, culprit) in [
            ("", "no point"),
            ("# nothing\n", "no point"),
            ("pages = 3\n", "curve"),
            ("pages = 3\n[[curve]]\nafter-ns = 5\nwritten = 2\nplace-permille = 1001\n", "1001"),
            ("pages = 3\ncurve = []\n", "no point"),
            ("colour = 3\n", "colour"),
            ("pages = 3\n[[curve]]\nafter-ns = 5\nwritten = 4\n", "4 different pages, of 3"),
            ("[[curve]]\nafter-ns = 0\nwritten = 4\n", "point 1"),
            ("[[curve]]\nafter-ns = 5\nwritten = 4\n[[curve]]\nafter-ns = 9\nwritten = 3\n", "point 2"),
            ("{\"status\": \"measuring\"}", "measuring"),
            ("{\"status\": \"measured\"}", "dirty-rate"),
            ("{\"dirty-rate\": 3}", "calc-time"),
            ("{\"periods\": [1], \"n-dirty-pages\": [1, 2]}", "equally long"),
            ("{", "no workload"),
            ("after_h,written\n1,2\n", "after_s"),
            ("after_s,read\n1,2\n", "'written'"),
            ("after_s,written\n1,many\n", "line 2"),
            ("0 1 w\nlater 2 w\n", "line 2"),
            ("0 1 x\n", "line 1"),
            ("1 1 w\n0 2 w\n", "earlier"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(culprit), "{text:?}: {error}");
        }
    }
}
