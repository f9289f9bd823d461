//! A region of memory moves between machines on loopback, under every algorithm.

mod common;

use protocol::policy::Policy;

use common::{World, conform};

#[test]
fn there_and_back_under_every_algorithm() {
    for policy in Policy::ALL {
        let world = World::new(&policy);
        world.work(200);
        world.migrate(0, 1);
        world.work(200);
        world.migrate(1, 0);
        world.work(200);
        world.check();
        conform(&world, &policy);
    }
}
