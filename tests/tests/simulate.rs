//! `checker simulate`, end to end: the published tables, the figures of the README, documents, units, bad input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// The figures of the README, and how they are made. To make one again, run the command.
const FIGURES: [(&str, &[&str]); 4] = [
    ("docs/durations.svg", &["--paper"]),
    ("docs/dirty-rate.svg", &["--sweep", "dirty-rate=50/s..2400/s"]),
    ("docs/bandwidth.svg", &["--sweep", "bandwidth=10Mbit/s..10Gbit/s"]),
    ("docs/mapped-share.svg", &["--sweep", "mapped-share=0..1"]),
];

fn simulate(arguments: &[&str]) -> Output {
    static CHECKER: OnceLock<escargot::CargoRun> = OnceLock::new();
    let checker = CHECKER.get_or_init(|| {
        let build = escargot::CargoBuild::new().package("checker").bin("checker");
        build.run().expect("it builds")
    });
    let mut command: Command = checker.command();
    command.arg("simulate").args(arguments).output().expect("the checker runs")
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The exit code says so too: it is 1 if a finite cell is off by more than 2 %.
#[test]
fn the_published_tables_are_reproduced() {
    insta::assert_snapshot!(stdout(&simulate(&["--paper"])));
}

#[test]
fn every_cell_of_the_tables_is_in_the_documents() {
    let document: Value =
        serde_json::from_str(&stdout(&simulate(&["--paper", "--format", "json"]))).expect("JSON");
    assert_eq!((&document["version"], &document["runs"]), (&2.into(), &32.into()));
    let cells = document["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 36);
    let endless = |cell: &&Value| cell["simulated"] == "endless" && cell["published"] == "endless";
    assert_eq!(cells.iter().filter(endless).count(), 3);
    let csv = stdout(&simulate(&["--paper", "--format", "csv"]));
    assert_eq!(csv.lines().count(), 37);
    assert!(csv.contains("\nmigration,pre-copy,best,52.500000,52.3"), "{csv}");
}

#[test]
fn the_figures_of_the_documents_are_reproduced_byte_for_byte() {
    let document = fs::read_to_string(root().join("docs/cost.md")).expect("a document");
    let directory = tempfile::tempdir().expect("a directory");
    for (file, arguments) in FIGURES {
        let command = format!("checker simulate {} --plot {file}", arguments.join(" "));
        let link = format!("]({})", file.trim_start_matches("docs/"));
        assert!(document.contains(&command) && document.contains(&link), "{command}");
        let path = directory.path().join("figure.svg");
        let plot = ["--plot", path.to_str().expect("text")];
        stdout(&simulate(&[arguments, &plot].concat()));
        let (drawn, kept) =
            (fs::read(&path).expect("a figure"), fs::read(root().join(file)).expect("a figure"));
        assert!(drawn == kept, "{file} is not what `{command}` draws");
    }
}

/// A figure of post-copy over some sizes, with these options.
fn figure(options: &[&str], name: &str) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    let sweep = [
        "post-copy",
        "pre-copy-unbounded",
        "--sweep",
        "memory=1MiB..64MiB",
        "--plot",
        path.to_str().expect("text"),
    ];
    stdout(&simulate(&[&sweep, options].concat()));
    fs::read_to_string(&path).expect("a figure")
}

#[test]
fn a_figure_is_as_it_was_asked_for() {
    let usual = figure(&[], "figure.svg");
    let has = |text: &str, parts: &[&str]| {
        parts.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"))
    };
    has(
        &usual,
        &["width=\"1080\"", "Freeze in ms", "Total in ms", "Faults that wait", "Size of the address space"],
    );
    has(&usual, &["100 Mbit/s on the line", "pre-copy-unbounded", "font-family=\"sans-serif\""]);
    let options = ["--plot-size", "480x320", "--panels", "traffic", "--font", "serif", "--caption", "off"];
    let small = figure(&options, "figure.svg");
    has(&small, &["width=\"480\" height=\"320\"", "Sent in MB", "font-family=\"serif\""]);
    assert!(!small.contains("Freeze in ms") && !small.contains("Mbit/s on the line"), "{small}");
    // By equal factors, each power of ten is as far from the next.
    let panel = ["--panels", "total", "--y-axis"];
    let [linear, log] = ["linear", "log"].map(|axis| figure(&[&panel[..], &[axis]].concat(), "figure.svg"));
    assert!(linear != log && log.contains(">\n1000\n<") && !linear.contains(">\n10\n<"), "{linear}");
    let tikz = figure(&options, "figure.tex");
    has(&tikz, &["\\begin{tikzpicture}", "\\rmfamily", "{Sent in MB}", "\\end{tikzpicture}"]);
}

/// What is not said is not explained: a sign has its meaning below where it stands in the table, and nowhere else.
#[test]
fn legends_have_the_signs_that_occur() {
    let endless = "depends on the source as long as";
    let text = |arguments: &[&str]| stdout(&simulate(&[arguments, &["--runs", "1"]].concat()));
    assert!(!text(&["post-copy"]).contains('∞') && !text(&["post-copy"]).contains('±'));
    assert!(
        text(&["lazy-copy"]).contains(&format!("∞: {endless}"))
            && !text(&["lazy-copy"]).contains("copying never ends")
    );
    let never = text(&["pre-copy-unbounded", "--access-interval", "50us"]);
    assert!(
        never.contains("∞: copying never ends") && !never.contains(endless) && never.contains("–: "),
        "{never}"
    );
}

#[test]
fn tables_go_into_papers() {
    let markdown = stdout(&simulate(&["post-copy", "--runs", "1", "--format", "markdown"]));
    assert!(
        markdown.starts_with("| algorithm | pre |") && markdown.contains("\n| post-copy |"),
        "{markdown}"
    );
    let latex = stdout(&simulate(&["post-copy", "--runs", "1", "--format", "latex"]));
    assert!(latex.starts_with("\\begin{tabular}{lrrr") && latex.contains("$\\le$"), "{latex}");
    for arguments in [&["--published"][..], &["--paper"], &["post-copy", "--sweep", "memory=1MiB..2MiB"]] {
        let latex = stdout(&simulate(&[arguments, &["--format", "latex"]].concat()));
        assert!(latex.is_ascii() && latex.contains("\\hline"), "{latex}");
    }
}

#[test]
fn the_same_seed_prints_the_same_bytes_and_another_seed_others() {
    let run = |seed: &str, format: &str| {
        stdout(&simulate(&["post-copy", "generic", "--seed", seed, "--format", format]))
    };
    for format in ["text", "json", "csv"] {
        assert_eq!(run("7", format), run("7", format));
        assert_ne!(run("7", format), run("8", format));
    }
}

#[test]
fn documents_say_what_was_simulated_and_what_it_cost() {
    let arguments = [
        "pre-copy",
        "lazy-copy",
        "--memory",
        "64MiB",
        "--page-size",
        "16KiB",
        "--bandwidth",
        "1Gbit/s",
        "--latency",
        "50us",
        "--send-buffer",
        "1MB",
        "--workload",
        "zipf",
        "--access-interval",
        "20us",
        "--write-share",
        "25%",
        "--mapped-share",
        "0.75",
        "--dirty-share",
        "0.1",
        "--passes",
        "3",
        "--seed",
        "4",
        "--runs",
        "2",
    ];
    let document = stdout(&simulate(&[&arguments[..], &["--format", "json"]].concat()));
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let (setup, outcome) = (&document["runs"][0]["setup"], &document["runs"][0]["outcome"]);
    for (field, value) in [
        ("memory_bytes", Value::from(64 << 20)),
        ("page_size_bytes", (16 << 10).into()),
        ("workload", "zipf".into()),
        ("access_interval_ns", 20_000.into()),
        ("write_share", 0.25.into()),
        ("mapped_share", 0.75.into()),
        ("dirty_share", 0.1.into()),
        ("seed", 4.into()),
    ] {
        assert_eq!(setup[field], value, "{field}");
    }
    for (field, value) in [
        ("bandwidth_bits_per_s", Value::from(1_000_000_000)),
        ("latency_ns", 50_000.into()),
        ("send_buffer_bytes", 1_000_000.into()),
        ("request_pause_ns", 0.into()),
    ] {
        assert_eq!(setup["costs"][field], value, "{field}");
    }
    assert_eq!(document["runs"][0]["summary"]["runs"], 2);
    assert_eq!((&outcome["page_count"], &outcome["passes"]), (&4096.into(), &3.into()));
    assert_eq!(document["runs"][1]["outcome"]["post_migration_ns"], "endless");
    let sent = &document["runs"][0]["bounds"][0];
    assert_eq!(
        (&sent["cost"], &sent["least"], &sent["most"]),
        (&"sent".into(), &4096.into(), &16_384.into())
    );
    let csv = stdout(&simulate(&[&arguments[..], &["--format", "csv"]].concat()));
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 3);
    let column = rows[0].iter().position(|title| *title == "freeze_ns").expect("a column");
    assert_eq!(rows[1][column], outcome["freeze_ns"].to_string());
}

#[test]
fn copying_that_never_ends_is_said_to_with_what_would_end_it() {
    let arguments = ["--access-interval", "50us", "--runs", "1"];
    let text = stdout(&simulate(&[&["pre-copy-unbounded"][..], &arguments].concat()));
    for part in [
        "∞",
        "copying never ends",
        "10000 times a second",
        "the link carries",
        "It ends with a downtime target of",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let target =
        text.split("downtime target of ").nth(1).and_then(|rest| rest.split(".\n").next()).expect("a target");
    let ends = stdout(&simulate(&[&["pre-copy", "--downtime", target][..], &arguments].concat()));
    assert!(!ends.contains("It ends with"), "{ends}");
    let forced = stdout(&simulate(&[&["pre-copy", "--passes", "unbounded"][..], &arguments].concat()));
    assert!(forced.contains("It ends with"), "{forced}");
}

#[test]
fn workloads_are_read_from_files_and_what_is_wrong_with_them_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let rate = r#"{"return": {"status": "measured", "dirty-rate": 2, "calc-time": 1}}"#;
    for (path, words) in [
        (file("rate.json", rate), "640 pages written"),
        (
            file("curve.csv", "after_ms,written,touched\n100,50,90\n1000,200,300\n"),
            "200 pages written and 300 touched in 1s",
        ),
        (file("list.txt", "0 3 w\n0.001 4 r\n"), "2 listed accesses"),
        (file("own.toml", "pages = 1000\n[[curve]]\nafter-ns = 1000000\nwritten = 5\n"), "5 pages written"),
    ] {
        let text = stdout(&simulate(&[
            "pre-copy",
            "post-copy",
            "--workload",
            &path,
            "--runs",
            "1",
            "--accesses",
            "100",
        ]));
        assert!(text.contains(words), "{words}: {text}");
    }
    let output = simulate(&["--workload", &file("wrong.csv", "after_ms,written\nsoon,2\n")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && error.contains("line 2") && error.contains("wrong.csv"),
        "{error}"
    );
}

#[test]
fn time_that_runs_out_is_no_result() {
    let output =
        simulate(&["total-copy", "--memory", "64GiB", "--bandwidth", "10Gbit/s", "--timeout", "1ms"]);
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("total-copy: given up") && error.contains("inconclusive"), "{error}");
}

#[test]
fn a_sweep_has_a_column_for_each_value() {
    insta::assert_snapshot!(stdout(&simulate(&["total-copy", "post-copy", "--sweep", "memory=1MiB..16MiB"])));
    let csv = stdout(&simulate(&["generic", "--sweep", "dirty-share=0..1", "--format", "csv"]));
    assert!(csv.starts_with("dirty-share,algorithm,") && csv.lines().count() == 10, "{csv}");
    let json = stdout(&simulate(&["generic", "--sweep", "passes=1..3", "--format", "json"]));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["sweep"]["parameter"], "passes");
    assert_eq!(json["curves"][0].as_array().map(Vec::len), Some(3));
}

#[test]
fn bad_input_is_refused_by_name() {
    for (arguments, culprit) in [
        (&["no-such-algorithm"][..], "no-such-algorithm"),
        (&["--memory", "ten"], "--memory"),
        (&["--memory", "0"], "has no page"),
        (&["--memory", "65GiB"], "at most 16777216"),
        (&["--page-size", "0"], "has no page"),
        (&["--bandwidth", "100"], "write 100Mbit/s"),
        (&["--bandwidth", "0bit/s"], "bandwidth of 0"),
        (&["--latency", "soon"], "--latency"),
        (&["--access-interval", "0s"], "access interval of 0"),
        (&["--write-share", "1.5"], "not a share from 0 to 1"),
        (&["--passes", "0"], "passes are a number from 1"),
        (&["--workload", "idle"], "--workload"),
        (&["--plot", "figure.png"], "FILE.svg or FILE.tex"),
        (&["--plot", "-"], "FILE.svg or FILE.tex"),
        (&["--plot-size", "300x200"], "--plot"),
        (&["--plot", "figure.svg", "--plot-size", "wide"], "WIDTHxHEIGHT"),
        (
            &["post-copy", "--runs", "1", "--plot", "figure.svg", "--plot-size", "120x120"],
            "too few for this figure",
        ),
        (&["--plot", "figure.svg", "--y-axis", "log"], "--sweep"),
        (
            &["--plot", "figure.svg", "--sweep", "memory=1MiB..2MiB", "--panels", "colour"],
            "no measure 'colour'",
        ),
        (
            &["post-copy", "--plot", "figure.svg", "--sweep", "mapped-share=0..1", "--x-axis", "log"],
            "no axis of equal factors",
        ),
        (&["--plot", "/no/such/directory/figure.svg"], "/no/such/directory/figure.svg"),
        (&["--sweep", "colour=1..2"], "there is no parameter 'colour'"),
        (&["--sweep", "memory=1MiB"], "PARAMETER=FROM..TO"),
        (&["--sweep", "memory=1MiB..much"], "much"),
        (&["--paper", "--memory", "1GiB"], "--paper"),
        (&["--bandwidth", "1bit/s"], "years"),
        (&["--latency", "2h"], "a latency"),
        (&["--threads", "5000"], "a number of threads"),
        (&["--dirty-rate", "5000/s"], "never writes 5000 different pages"),
        (&["--workload", "/no/such/file"], "nor a file"),
        (&["--runs", "0"], "--runs"),
        (&["--preset", "xen"], "--preset"),
    ] {
        let output = simulate(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(culprit), "{arguments:?}: {error}");
    }
}
