//! Opening and closing for ever: what a process has grows with what is open, and with nothing else.

use std::fs;

use ost_abi::{STS_CLOSEF_IH_COMPLETE, STS_O_READ, STS_O_WRITE};

use super::{Server, definition, with_each_library};

/// Cycles that are counted.
const CYCLES: usize = 10_000;
/// Cycles before the count begins: caches fill, allocators settle.
const WARM_UP: usize = 500;

/// Threads and descriptors of this process, and its memory in KiB.
fn usage() -> (usize, usize, usize) {
    let entries = |folder| fs::read_dir(folder).unwrap().count();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (entries("/proc/self/task"), entries("/proc/self/fd"), kib)
}

/// One cycle: the image that stays is opened for reading; every tenth time one is created, continued and deleted.
fn cycle(server: &Server<'_>, at: usize) {
    let image = server.open(&definition(b"stays", b""), STS_O_READ).unwrap();
    assert_eq!(server.read(image, 512, 0).unwrap().len(), 512);
    server.close_image(image, 0).unwrap();
    if at.is_multiple_of(10) {
        let name = definition(b"comes and goes", b"");
        let image = server.create(&name).unwrap();
        server.write(image, &[1; 512], 0).unwrap();
        server.close_image(image, 0).unwrap();
        let image = server.open(&name, STS_O_WRITE).unwrap();
        server.close_image(image, STS_CLOSEF_IH_COMPLETE).unwrap();
        server.delete(&name).unwrap();
    }
}

#[test]
fn ten_thousand_cycles_leave_the_process_as_it_was() {
    with_each_library("abi::endurance::ten_thousand_cycles_leave_the_process_as_it_was", |host| {
        let server = host.server();
        let image = server.create(&definition(b"stays", b"")).unwrap();
        server.write(image, &[7; 512], 0).unwrap();
        server.close_image(image, STS_CLOSEF_IH_COMPLETE).unwrap();
        for at in 0..WARM_UP {
            cycle(&server, at);
        }
        let (threads, descriptors, memory) = usage();
        for at in 0..CYCLES {
            cycle(&server, at);
        }
        let after = usage();
        assert!(after.0 <= threads && after.1 <= descriptors + 2, "{threads} {descriptors}: {after:?}");
        // 100 bytes that every cycle left behind would be a MiB.
        assert!(after.2 < memory + 1024, "{memory} KiB before, {} KiB after", after.2);
        server.delete(&definition(b"stays", b"")).unwrap();
    });
}
