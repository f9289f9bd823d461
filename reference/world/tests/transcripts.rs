//! One small migration per algorithm, told step by step. Read them in the order of [`Policy::ALL`]: they are the
//! shortest introduction to what the algorithms do.

use protocol::policy::Policy;
use protocol::transcript::transcript;
use steplog::event::Event;
use steplog::place::HostId;
use world::net::LinkConfig;
use world::workload::{PageLayout, Pattern, Workload};
use world::{Disrupted, Disruption, Ending, Moment, Scenario, Scheduled, World};

const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn scenario(policy: &Policy, route: &[HostId], accesses_per_stay: u64) -> Scenario {
    Scenario {
        policy: policy.clone(),
        layout: PageLayout {
            pages: 8,
            file_mapped_percent: 50,
            initially_dirty_percent: 50,
            noise_percent: 100,
        },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 250_000 },
        link: LinkConfig { send_buffer_frames: 1, ..LinkConfig::FAST_ETHERNET },
        route: route.to_vec(),
        accesses_per_stay,
        registers_len: 32,
        ending: Ending::Idle,
        seed: 1899,
    }
}

fn told(policy: &Policy, route: &[HostId], accesses_per_stay: u64) -> String {
    transcript(&World::run(&scenario(policy, route, accesses_per_stay)).unwrap().log)
}

/// A run in which this goes wrong as soon as the event has happened so many times.
fn told_disrupted(policy: &Policy, after: (usize, fn(&Event) -> bool), disruption: Disruption) -> String {
    let scenario = scenario(policy, &[A, B], 10);
    let (nth, wanted) = after;
    let undisturbed = World::run(&scenario).unwrap().log;
    let happened = undisturbed.iter().enumerate().filter(|(_, step)| wanted(&step.event)).nth(nth - 1);
    let when = Moment::AfterSteps(happened.unwrap().0 + 1);
    let disruptions = vec![Scheduled { when, disruption }];
    let mut world = World::disrupted(&Disrupted { disruptions, ..Disrupted::from(scenario) }).unwrap();
    world.finish().unwrap();
    transcript(world.log())
}

#[test]
fn one_transcript_per_algorithm() {
    for policy in Policy::ALL {
        insta::with_settings!({ snapshot_path => "transcripts", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(&*policy.name, told(&policy, &[A, B], 10));
        });
    }
}

#[test]
fn lazy_copy_there_and_back() {
    insta::with_settings!({ snapshot_path => "transcripts", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("lazy-copy-return", told(&Policy::LAZY_COPY, &[A, B, A], 6));
    });
}

/// Half of the pages are at the destination when the connection breaks: the process runs on with them, and the rest
/// follows over the next connection.
#[test]
fn a_cut_after_the_hand_over() {
    let cut = Disruption::Cut { between: [A, B], noticed_after_ns: [200_000, 400_000], lasts_ns: 2_000_000 };
    let pushed = |event: &Event| matches!(event, Event::PagePushed { .. });
    insta::with_settings!({ snapshot_path => "transcripts", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cut-after-hand-over", told_disrupted(&Policy::POST_COPY, (4, pushed), cut));
    });
}

/// The operator calls the migration off when the process is suspended already, and tries again.
#[test]
fn a_cancelled_migration() {
    let suspended = |event: &Event| matches!(event, Event::ProcessSuspended { .. });
    let told = told_disrupted(&Policy::PRE_COPY, (1, suspended), Disruption::Cancel);
    insta::with_settings!({ snapshot_path => "transcripts", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cancelled", told);
    });
}

/// The source dies with pages that nobody else has.
#[test]
fn a_crash_after_the_hand_over() {
    let crash = Disruption::Crash { host: A, noticed_after_ns: 200_000, lasts_ns: 1_000_000 };
    let pushed = |event: &Event| matches!(event, Event::PagePushed { .. });
    insta::with_settings!({ snapshot_path => "transcripts", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("crash-after-hand-over", told_disrupted(&Policy::POST_COPY, (4, pushed), crash));
    });
}
