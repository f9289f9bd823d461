//! Time a line of a pre-copy log, for address spaces of different sizes: it should not depend on their size.
//!
//! ```sh
//! cargo bench -p tie --bench conform
//! ```

#![allow(missing_docs, reason = "the macros of criterion make public functions")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::algorithms::PRE_COPY;
use steplog::event::{Bytes, Event, Step};
use steplog::header::{Header, LinkOrder};
use steplog::page::PageNumber;
use steplog::place::{Epoch, HostId, Sequence};
use tie::trace::conform_steps;

const A: HostId = HostId(0);
const B: HostId = HostId(1);

/// One migration in which every page is copied once.
fn log(pages: u64) -> Vec<Step> {
    let step = |place: HostId, event| Step { at_ns: 0, place: place.into(), epoch: Epoch(1), event };
    let (pass, sequence) = (1, Sequence(1));
    let copied = |page| step(A, Event::PageCopied { page: PageNumber(page), sequence, pass, to: B });
    let installed = |page| step(B, Event::PageInstalled { page: PageNumber(page), sequence, from: A });
    let begun = [step(B, Event::MigrationExpected { from: A }), step(A, Event::MigrationStarted { to: B })];
    let registers = Bytes::default();
    let ended = [
        step(A, Event::ProcessSuspended { registers, code_page: None, stack_page: None }),
        step(A, Event::StateSent { to: B }),
        step(B, Event::StateAccepted { from: A, discarded: vec![] }),
        step(B, Event::ReadinessDeclared { to: A }),
        step(A, Event::ReadinessLearned { from: B }),
        step(A, Event::ProcessHandedOver { to: B }),
        step(B, Event::ProcessResumed { from: A }),
        step(B, Event::CompletionDeclared { told: vec![A] }),
        step(A, Event::CompletionLearned { from: B }),
        step(A, Event::ImageDestroyed { told: Some(B) }),
        step(B, Event::DestructionLearned { from: A, at_rest: true }),
    ];
    begun.into_iter().chain((0..pages).map(copied)).chain((0..pages).map(installed)).chain(ended).collect()
}

fn conform(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conform, a line");
    group.sample_size(10);
    for pages_log2 in [10, 16, 20] {
        let steps = log(1 << pages_log2);
        let header = Header::new("pre-copy", LinkOrder::Fifo, 1 << pages_log2);
        conform_steps(header.clone(), PRE_COPY, &steps).expect("the log is right");
        group.throughput(Throughput::Elements(steps.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("2^{pages_log2} pages")), |bencher| {
            bencher.iter(|| conform_steps(header.clone(), PRE_COPY, &steps).map(|accepted| accepted.steps));
        });
    }
    group.finish();
}

criterion_group!(benches, conform);
criterion_main!(benches);
