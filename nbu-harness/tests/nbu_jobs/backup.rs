//! Backups that work: fragments, header, catalogue, counters, concurrency.

use std::fs;
use std::process::Command;

use nbu_harness::nbu::{
    FileKind, ForkPoint, HeaderOrder, JobControl, JobEvent, JobKind, JobState, Operation, Selection, Source,
    backup,
};

use crate::rig::{Rig, assert_status, go_on, synthetic};
use crate::tree;

#[test]
fn fragments_are_cut_at_the_maximum_and_the_header_comes_last() {
    let mut rig = Rig::new();
    // Rounded down to three buffers.
    rig.unit.max_fragment_size = 800_000;
    let result = rig.backup(&rig.request(1, synthetic(3)));
    assert_status(&result, 0);
    let id = &result.backup_id;
    assert_eq!(id, "client1_1588173001");
    let sizes: Vec<_> = result.fragments.iter().map(|f| (f.number, f.offset, f.bytes)).collect();
    let total = 3 * 1024 * 1024 + 512 + 1024;
    assert_eq!(sizes.len(), 5);
    assert_eq!(sizes[..4], [0, 1, 2, 3].map(|i| (u32::try_from(i).unwrap() + 1, i * 786_432, 786_432)));
    assert_eq!(sizes[4], (5, 4 * 786_432, total - 4 * 786_432));
    let mut names: Vec<_> = (1..=5).map(|i| format!("{id}_C1_F{i}")).collect();
    names.push(format!("{id}_C1_HDR"));
    assert_eq!(result.images, names, "in the order of creation");
    assert_eq!(rig.stored(), names);
    assert_eq!(result.bytes_written, total + 1024);
    assert_eq!(fs::metadata(rig.path("storage/lsu0").join(&names[5])).unwrap().len(), 1024);

    let mut first = rig.request(2, synthetic(1));
    first.header_order = HeaderOrder::First;
    let result = rig.backup(&first);
    assert_status(&result, 0);
    let id = &result.backup_id;
    assert_eq!(result.images, [format!("{id}_C1_HDR"), format!("{id}_C1_F1"), format!("{id}_C1_F2")]);
    assert_status(&rig.verify(id), 0);
}

#[test]
fn the_job_is_told_as_netbackup_tells_it() {
    let rig = Rig::new();
    let mut events = Vec::new();
    let result = backup(&rig.installation, &rig.request(7, synthetic(2)), &mut |event| {
        events.push(event.clone());
        go_on(event)
    });
    assert_status(&result, 0);
    assert_eq!((result.kind, result.state, result.job_id), (JobKind::Backup, JobState::Done, 7));
    let states: Vec<_> = events
        .iter()
        .filter_map(|e| if let JobEvent::State(state) = e { Some(*state) } else { None })
        .collect();
    assert_eq!(states, [JobState::Queued, JobState::Active, JobState::Done]);
    let mut started: Vec<_> = events
        .iter()
        .filter_map(
            |e| if let JobEvent::ProcessStarted { name, .. } = e { Some(name.as_str()) } else { None },
        )
        .collect();
    started.sort_unstable();
    assert_eq!(started, ["bpbkar", "bpbrm", "bptm", "bptm child"]);
    assert!(result.processes.iter().all(|p| p.exit_code == Some(0)), "{:?}", result.processes);
    let log = result.log.join("\n");
    for line in [
        "io_init: using 262144 data buffer size",
        "io_init: using 30 data buffers",
        "io_init: child delay = 10, parent delay = 15 (milliseconds)",
        "write_data: waited for full buffer ",
        " socket is closed, waited for empty buffer ",
        "write_backup: successfully wrote backup id client1_1588173007, copy 1, fragment 1, 2050 Kbytes at ",
        "EXITING with status 0 <----------",
        "<4> 7:bptm:",
        ":Fake:server: fake server opened",
    ] {
        assert!(log.contains(line), "{line:?} is missing in\n{log}");
    }
    // Whether it had to wait depends on who was faster; what it says and what it counted must be the same.
    let (parent, child) = (result.waits.parent, result.waits.child);
    for (what, counted) in [("full", parent), ("empty", child)] {
        let line =
            format!("waited for {what} buffer {} times, delayed {} times", counted.waits, counted.delays);
        assert!(log.contains(&line), "{line:?} is missing in\n{log}");
    }
    assert!(
        result.peak_rss_bytes > 262_144 && result.peak_rss_bytes < 200 << 20,
        "{}",
        result.peak_rss_bytes
    );
    assert_eq!(result.kbytes, 2050);
}

#[test]
fn the_stream_is_a_tar_archive_that_gnu_tar_reads() {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 1 << 20;
    let source = rig.path("source");
    tree::build(&source);
    let result = rig.backup(&rig.request(1, Source::Directory(source.clone())));
    assert_status(&result, 0);
    assert!(result.fragments.len() > 2);
    let mut stream = Vec::new();
    for fragment in &result.fragments {
        stream.extend(fs::read(rig.path("storage/lsu0").join(&fragment.name)).unwrap());
    }
    let archive = rig.path("stream.tar");
    fs::write(&archive, &stream).unwrap();
    let target = rig.path("by gnu tar");
    fs::create_dir(&target).unwrap();
    // Times before the epoch and in the far future are part of the tree; GNU tar would remark on them.
    let tar = Command::new("tar")
        .arg("--warning=no-timestamp")
        .arg("-xpf")
        .arg(&archive)
        .arg("-C")
        .arg(&target)
        .output()
        .unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    assert_eq!(String::from_utf8_lossy(&tar.stderr), "");
    tree::assert_same(&source, &target);
}

#[test]
fn the_catalogue_knows_every_file_and_where_it_starts() {
    let rig = Rig::new();
    let source = rig.path("source");
    tree::build(&source);
    let result = rig.backup(&rig.request(1, Source::Directory(source.clone())));
    assert_status(&result, 0);
    let catalog = rig.catalog();
    let image = catalog.image(&result.backup_id).unwrap().unwrap();
    let files: Vec<_> = catalog.files(&result.backup_id).unwrap().map(Result::unwrap).collect();
    let scanned = tree::scan(&source);
    assert_eq!(files.len(), scanned.len());
    assert_eq!((image.files, result.files), (scanned.len() as u64, scanned.len() as u64));
    assert!(files.iter().all(|f| scanned.contains_key(&f.path.0)));
    assert!(files.windows(2).all(|w| w[0].end() == w[1].start), "files follow each other without gaps");
    assert_eq!(files[0].path.0, b".");
    assert_eq!(files.iter().filter(|f| f.kind == FileKind::HardLink).count(), 2);
    let sparse = files.iter().find(|f| f.path.0 == b"sparse").unwrap();
    assert_eq!(sparse.size, 20 << 20);
    assert!(sparse.data_length < 1 << 20, "holes are not stored: {}", sparse.data_length);
}

#[test]
fn four_streams_at_once_stay_apart() {
    let rig = Rig::new();
    let results: Vec<_> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (1..=4)
            .map(|i| {
                let rig = &rig;
                scope.spawn(move || rig.backup(&rig.request(i, synthetic(4 + i))))
            })
            .collect();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    for (result, i) in results.iter().zip(5u64..) {
        assert_status(result, 0);
        assert_eq!(result.kbytes, i * 1024 + 2, "GEN_DATA of {i} MiB, a header and a trailer");
    }
    assert_eq!(rig.catalog().images().unwrap().len(), 4);
    for result in &results {
        let restored = rig.restore(&result.backup_id, &rig.path("unused"), Selection::All);
        assert_status(&restored, 0);
        assert_eq!(restored.bad_ranges, []);
    }
}

#[test]
fn every_buffer_geometry_and_fork_point_gives_the_same_stream() {
    let mut rig = Rig::new();
    let mut job = 0;
    let geometries =
        [(1024, 1), (32 * 1024, 2), (65_536 + 100, 16), (4 * 1024 * 1024 - 1024, 3), (262_144, 256)];
    for (size, number) in geometries {
        for fork_point in [ForkPoint::BeforePlugin, ForkPoint::AfterOpenServer] {
            rig.installation.data_buffers.size_data_buffers_disk = size;
            rig.installation.data_buffers.number_data_buffers_disk = number;
            rig.installation.fork_point = fork_point;
            job += 1;
            let result = rig.backup(&rig.request(job, synthetic(1)));
            assert_status(&result, 0);
            // The size is the backup's, whatever is configured when it is read.
            rig.installation.data_buffers.size_data_buffers_disk = 8192;
            let restored = rig.restore(&result.backup_id, &rig.path("unused"), Selection::All);
            assert_status(&restored, 0);
            assert_eq!(restored.bytes_read, 1024 * 1024 + 512 + 1024 + 1024, "stream and header");
        }
    }
}

#[test]
fn a_backup_id_is_used_once() {
    let rig = Rig::new();
    assert_status(&rig.backup(&rig.request(1, synthetic(1))), 0);
    let before = rig.stored();
    let again = rig.backup(&rig.request(1, synthetic(1)));
    assert_status(&again, 1535);
    assert_eq!(rig.stored(), before, "the first backup is untouched");
}

#[test]
fn space_is_asked_for_before_every_fragment() {
    let mut rig = Rig::new();
    rig.unit.max_fragment_size = 4 << 20;
    let trace = rig.path("trace");
    rig.plugin_env("FAKE_OST_TRACE", trace.display());
    let result = rig.backup(&rig.request(1, synthetic(16)));
    assert_status(&result, 0);
    let calls = fs::read_to_string(&trace).unwrap();
    let calls: Vec<&str> =
        calls.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call).collect();
    let created: Vec<usize> = (0..calls.len()).filter(|at| calls[*at] == "create_image").collect();
    assert!(created.len() > 4, "{calls:?}");
    // The last image is the header.
    for at in &created[..created.len() - 1] {
        assert_eq!(calls[at - 1], "get_lsu_prop_byname", "{calls:?}");
    }
}

#[test]
fn a_job_tells_its_operations_when_it_comes_to_them() {
    let rig = Rig::new();
    let mut told = Vec::new();
    let result = backup(&rig.installation, &rig.request(1, synthetic(1)), &mut |event| {
        if let JobEvent::Operation(operation) = event {
            told.push(*operation);
        }
        JobControl::Continue
    });
    assert_status(&result, 0);
    assert_eq!(told, [Operation::Connect, Operation::Write, Operation::Catalog]);
    assert_eq!(told, result.operations);
}
