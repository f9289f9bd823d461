//! One small migration per algorithm, told step by step. Read them in the order of [`Policy::ALL`]: they are the
//! shortest introduction to what the algorithms do.

use reference::net::LinkConfig;
use reference::place::HostId;
use reference::policy::Policy;
use reference::transcript::transcript;
use reference::workload::{Layout, Pattern, Workload};
use reference::world::{Ending, Scenario, World};

const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn told(policy: &Policy, route: &[HostId], accesses_per_stay: u64) -> String {
    let scenario = Scenario {
        policy: policy.clone(),
        layout: Layout { pages: 8, file_mapped_percent: 50, initially_dirty_percent: 50, noise_percent: 100 },
        workload: Workload { pattern: Pattern::Uniform, write_percent: 50, interval_ns: 250_000 },
        link: LinkConfig { send_buffer_frames: 1, ..LinkConfig::FAST_ETHERNET },
        route: route.to_vec(),
        accesses_per_stay,
        registers_len: 32,
        ending: Ending::Idle,
        seed: 1899,
    };
    transcript(&World::run(&scenario).unwrap().log)
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
