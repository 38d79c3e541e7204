//! What starting a process costs, and that the size of the parent does not matter.
//!
//! fork(2) copies the parent's page tables: with 500 MB resident that takes longer than all else.
//! posix_spawn(3) lets the child borrow them until it runs the program, so both figures are the same.
//!
//! What it does not do: pipes and bodies; `bench-results/watchdog` measures whole calls.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use process::{Command, Io, Stdio, Template};

const BALLAST_BYTES: usize = 500 << 20;
const PAGE_BYTES: usize = 4096;

fn program() -> Template {
    Command::new("true")
        .prepare()
        .expect("`true` is on every machine")
}

fn run(template: &Template) {
    let io = Io::new(Stdio::Null, Stdio::Null, Stdio::Null);
    let mut child = template.spawn(io, None).expect("a process can be started");
    let exit = child.wait().expect("a child can be waited for");
    assert!(exit.success());
}

fn spawn(criterion: &mut Criterion) {
    let template = program();
    let mut group = criterion.benchmark_group("spawn and wait for `true`");
    group.bench_function("small parent", |bencher| bencher.iter(|| run(&template)));
    let mut ballast = vec![0_u8; BALLAST_BYTES];
    // Written to, or it would not be resident.
    for page in ballast.chunks_mut(PAGE_BYTES) {
        page[0] = 1;
    }
    group.bench_function("parent with 500 MB resident", |bencher| {
        bencher.iter(|| run(&template));
    });
    black_box(&ballast);
    group.finish();
}

criterion_group!(benches, spawn);
criterion_main!(benches);
