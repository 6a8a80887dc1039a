//! The commands against the C plug-in, whose answers the tests change.

use super::c_plugin::c_plugin;
use super::place::{PROGRAM, Place};
use nbu_harness::emm::{Emm, PluginInstall};

/// Bits of the C plug-in's capabilities.
const CHECKPOINT: u32 = 1 << ost_abi::STS_SRVC_CHECKPOINT;
const INCLUDE: u32 = 1 << ost_abi::STS_SRVC_INCLUDE_IN_IMAGE;

/// A media server with the C plug-in and two LSUs.
fn place() -> Place {
    let mut place = Place::new();
    for lsu in ["lsu0", "lsu1"] {
        std::fs::create_dir_all(place.path("storage").join(lsu)).unwrap();
    }
    place.set("FAKE_OST_DIR", &place.path("storage").display());
    place.set("FAKE_OST_CAPACITY", &(10u64 << 30));
    place.ok(&format!("nbemmcmd -addhost -machinename ms1 -plugin {}", c_plugin().display()));
    place
}

/// The same, as far as a storage unit.
fn set_up() -> Place {
    let place = place();
    place.ok("nbdevconfig -creatests -storage_server s1 -stype Fake -media_server ms1");
    place.ok("tpconfig -add -storage_server s1 -stype Fake -sts_user_id user -password secret");
    place.ok("nbdevconfig -previewdv -storage_servers s1 -stype Fake 2>/dev/null > list");
    place.ok("nbdevconfig -createdp -dp dp1 -stype Fake -storage_servers s1 -dvlist list");
    place.ok("bpstuadd -label stu1 -dp dp1 -host ms1");
    place
}

fn flags(listing: &str) -> Vec<&str> {
    let flags = listing.lines().filter_map(|line| line.strip_prefix("Flag"));
    flags.map(|rest| rest.trim_start_matches([' ', ':'])).collect()
}

#[test]
fn updatests_takes_over_what_an_upgraded_plug_in_says_and_keeps_the_administrators_part() {
    let mut place = set_up();
    let before = place.ok("nbdevquery -liststs -U");
    assert_eq!(flags(&place.ok("nbdevquery -listdp -U")).len(), flags(&before).len());
    assert!(!before.contains("OptimizedImage"), "{before}");
    place.ok("nbdevconfig -updatedp -dp dp1 -stype Fake -hwm 90 -max_io_streams 8");
    place.ok("nbdevconfig -changestate -stype Fake -dp dp1 -dv lsu1 -state DOWN");

    place.set("FAKE_OST_CAPABILITIES", &(CHECKPOINT | INCLUDE));
    place.set("FAKE_OST_CAPACITY", &(20u64 << 30));
    assert_eq!(place.ok("nbdevquery -liststs -U"), before, "nothing is asked again by itself");
    place.ok("nbdevconfig -updatests -storage_server s1 -stype Fake");
    for listing in ["nbdevquery -liststs -U", "nbdevquery -listdp -U"] {
        let text = place.ok(listing);
        let flags = flags(&text);
        assert!(flags.contains(&"OptimizedImage") && flags.contains(&"Cpr"), "{listing}: {flags:?}");
        assert!(!flags.contains(&"WORM"), "{listing}: {flags:?}");
    }
    assert_eq!(place.ok("nbdevquery -listdp"), "V7.5 dp1 1 40.00 40.00 2 90 80 8 s1\n");
    let volumes = place.ok("nbdevquery -listdv");
    let status: Vec<_> = volumes.lines().map(|line| line.split(' ').nth(8).unwrap()).collect();
    assert_eq!(status, ["1", "0"], "{volumes}");
    assert!(volumes.contains("V_5_ dp1 Fake lsu0 @aaaab 20.00 "), "{volumes}");

    place.set("FAKE_OST_CAPABILITIES", &CHECKPOINT);
    std::fs::remove_dir(place.path("storage/lsu0")).unwrap();
    place.ok("nbdevconfig -updatests -storage_server s1 -stype Fake");
    let text = place.ok("nbdevquery -listdp -U");
    assert!(!text.contains("OptimizedImage") && text.contains("Cpr"), "{text}");
    let gone = place.ok("nbdevquery -listdv -dv lsu0 -U");
    assert!(gone.contains("InternalDown") && gone.contains("Status              : DOWN"), "{gone}");
}

#[test]
fn what_the_plug_in_could_not_say_changes_nothing() {
    let mut place = set_up();
    let before = place.ok("nbdevquery -listdv; nbdevquery -liststs -U");
    let of_s1 = "-stype Fake -storage_server s1";
    let asking = [
        format!("nbdevconfig -updatests {of_s1}"),
        "nbdevconfig -previewdv -stype Fake -storage_servers s1".to_owned(),
        "nbdevconfig -createdp -dp dp2 -stype Fake -storage_servers s1 -dvlist list".to_owned(),
        format!("bpstsinfo -li {of_s1}"),
    ];
    for call in ["open_lsu_list", "list_lsu"] {
        place.set("FAKE_OST_FAIL", &format!("{call}:2060022"));
        for line in &asking {
            let done = place.shell(line);
            assert_eq!(done.code, 252, "{call}: {line}: {}", done.text);
            let says = ["list of LSUs", "error 2060022", "EXIT STATUS 2106"];
            assert!(says.iter().all(|part| done.text.contains(part)), "{call}: {line}: {}", done.text);
        }
    }
    place.set("FAKE_OST_FAIL", &"get_server_prop:2060022");
    let new = "nbdevconfig -creatests -storage_server s2 -stype Fake -media_server ms1";
    for line in [new, &asking[0]] {
        let done = place.shell(line);
        assert_eq!(done.code, 252, "{line}: {}", done.text);
        assert!(done.text.contains("nothing of the storage server"), "{line}: {}", done.text);
    }
    place.set("FAKE_OST_FAIL", &"");
    assert_eq!(place.ok("nbdevquery -listdv; nbdevquery -liststs -U"), before);

    // As many as an answer holds: there may be more.
    for number in 2..1000 {
        std::fs::create_dir(place.path(format!("storage/lsu{number}"))).unwrap();
    }
    let done = place.shell(&asking[0]);
    assert_eq!(done.code, 252, "{}", done.text);
    assert!(done.text.contains("1000 or more"), "{}", done.text);
    assert_eq!(place.ok("nbdevquery -listdv; nbdevquery -liststs -U"), before);
    std::fs::remove_dir(place.path("storage/lsu999")).unwrap();
    place.ok(&asking[0]);
}

#[test]
fn credentials_have_a_user_and_go_with_him_only() {
    let place = set_up();
    let of_s1 = "-storage_server s1 -stype Fake";
    for (line, status, says) in [
        (format!("tpconfig -update {of_s1} -sts_user_id '' -password wrong"), 20, "-sts_user_id is empty"),
        (format!("tpconfig -delete {of_s1} -sts_user_id other"), 20, "it has user"),
    ] {
        let done = place.shell(&line);
        assert_eq!(done.code, status, "{line}: {}", done.text);
        assert!(done.text.contains(says), "{line}: {}", done.text);
        assert!(place.ok("tpconfig -dsh").contains("User Id:                user\n"), "{line}");
    }
    let file = place.home().join("emm/credentials.json");
    let held = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, held.replace("\"user\": \"user\"", "\"user\": \"\"")).unwrap();
    let done = place.shell("nbdevconfig -previewdv -storage_servers s1 -stype Fake");
    assert_eq!(done.code, 252, "{}", done.text);
    assert!(done.text.contains("was not opened") && done.text.contains("tpconfig -update"), "{}", done.text);
    std::fs::write(&file, held).unwrap();
    place.ok(&format!("tpconfig -delete {of_s1} -sts_user_id user"));
    let done = place.shell(&format!("tpconfig -add {of_s1} -sts_user_id '' -password wrong"));
    assert_eq!(done.code, 20, "{}", done.text);
    assert_eq!(place.ok("tpconfig -dsh"), "");
}

#[test]
fn changes_at_one_time_are_all_kept() {
    let place = set_up();
    place.ok("mkfifo config");
    let mt = Some(c_plugin());
    std::thread::scope(|scope| {
        let other = scope.spawn(|| place.ok("nbemmcmd -updatehost -machinename ms1 -plugin_config config"));
        let emm = Emm::open(&place.home()).unwrap();
        emm.change(|database, _| {
            // Opens once the command reads its options; it cannot have changed anything yet.
            std::fs::File::options().write(true).open(place.path("config")).unwrap();
            let plugin = database.media_server("ms1")?.plugin.clone();
            database.set_plugin("ms1", PluginInstall { library_mt: mt, ..plugin })
        })
        .unwrap();
        other.join().unwrap();
    });
    let hosts = place.ok("nbemmcmd -listhosts -verbose");
    assert!(hosts.contains(&format!("configuration: {}\n", place.path("config").display())), "{hosts}");
    assert!(hosts.contains("plug-in, multi-threaded: "), "{hosts}");
}

#[test]
fn what_cannot_be_printed_is_an_error_unless_the_reader_has_gone() {
    let place = place();
    let done = place.shell("nbemmcmd -listhosts > /dev/full");
    assert_eq!(done.code, 14, "{}", done.text);
    assert!(done.text.contains("No space left") && done.text.contains("EXIT STATUS 14"), "{}", done.text);
    let gone = place.ok("mkfifo out; exec 3<> out 4> out 3<&-; nbemmcmd -listhosts >&4");
    assert_eq!(gone, "");
}

#[test]
fn what_goes_wrong_has_netbackups_status_and_says_what_to_do() {
    let mut place = set_up();
    let stu2 = "bpstuadd -label stu2 -dp dp1";
    for (line, status, says) in [
        ("nbdevconfig -createts -storage_server s2", 20, "did you mean -creatests?"),
        ("nbdevconfig -creatests -storage_server s2 -stype Fake", 20, "-media_server is missing"),
        ("nbdevconfig -creatests -storage_server s1 -stype Fake -media_server ms1", 226, "exists already"),
        ("nbdevconfig -creatests -storage_server s2 -stype Fake -media_server ms2", 227, "did you mean ms1?"),
        ("nbdevconfig -creatests -storage_server s2 -stype Foke -media_server ms1", 20, "its type is Fake"),
        ("nbdevconfig -updatests -storage_server s3 -stype Fake", 227, "did you mean Fake:s1?"),
        (
            "echo 'V_5_ DiskVolume < \"lsu9\" >' > l; nbdevconfig -createdp -dp dp2 -stype Fake \
          -storage_servers s1 -dvlist l",
            227,
            "has no volume lsu9",
        ),
        ("nbdevconfig -createdp -dp dp2 -stype Fake -storage_servers s1 -dvlist list", 228, "disk pool dp1"),
        ("nbdevconfig -createdp -dp dp2 -stype Fake -storage_servers s1 -dvlist nolist", 20, "nolist"),
        ("nbdevconfig -updatedp -dp dp1 -stype Other -hwm 90", 20, "is of type Fake"),
        ("nbdevconfig -updatedp -dp dp1 -stype Fake -hwm 300", 20, "-hwm 300"),
        ("nbdevconfig -changestate -stype Fake -dp dp1 -state up", 20, "UP, DOWN or RESET"),
        ("nbdevconfig -changestate -stype Fake -state UP", 20, "whose state?"),
        ("nbdevconfig -deletedp -dp dp1 -stype Fake", 228, "storage unit stu1"),
        ("nbdevconfig -deletests -storage_server s1 -stype Fake", 228, "disk pool dp1"),
        ("nbemmcmd -deletehost -machinename ms1", 228, "storage server Fake:s1"),
        ("nbemmcmd -addhost -machinename ms2 -plugin /etc/passwd", 20, "no ELF shared library"),
        (
            "tpconfig -add -storage_server s1 -stype Fake -sts_user_id user -password secret",
            226,
            "exists already",
        ),
        ("tpconfig -update -storage_server s1 -stype Fake -sts_user_id u < /dev/null", 20, "no line"),
        (&format!("{stu2} -cj many"), 20, "-cj many"),
        (&format!("{stu2} -host ms1 -nodevhost"), 20, "one of -host"),
        (&format!("{stu2} -mfs 1"), 20, "20 to 524288 MiB"),
        ("bpstudel -label stu3", 227, "did you mean stu1?"),
        ("nbdevquery -listdv -dp dp2", 227, "did you mean dp1?"),
        ("bpdbjobs -report -jobid 7", 227, "there is no job 7"),
        ("bpdbjobs -clean -keep_hours 1 -keep_days 1", 20, "not both"),
        ("bpdbjobs -clean -keep_hour 1", 20, "did you mean -keep_hours?"),
        ("bpdbjobs -clean -keep_days soon", 20, "-keep_days soon"),
        ("bpimagelist", 227, "no such image"),
        ("bpstsinfo -li -storage_server s1 -stype Fake -lsu_name lsu2", 227, "has no LSU lsu2"),
        ("nbdevquery -liststs --home nowhere", 227, "nowhere is no NetBackup home"),
        ("NBU_HARNESS_HOME= nbdevquery -liststs", 20, "--home DIR"),
    ] {
        let done = place.shell(line);
        assert_eq!(done.code, status, "{line}: {}", done.text);
        assert!(done.text.contains(says), "{line}: {}", done.text);
        assert!(done.text.contains(&format!("EXIT STATUS {status}: ")), "{line}: {}", done.text);
    }
    // Above 255 an exit code cannot go: 252 stands for it.
    place.ok("tpconfig -delete -storage_server s1 -stype Fake");
    let done = place.shell("nbdevconfig -updatests -storage_server s1 -stype Fake");
    assert_eq!(done.code, 252, "{}", done.text);
    assert!(done.text.contains("EXIT STATUS 2107") && done.text.contains("tpconfig -add"), "{}", done.text);
    place.set("FAKE_OST_FAIL", &"open_server:2060022");
    let done = place.shell("tpconfig -add -storage_server s1 -stype Fake -sts_user_id user -password secret");
    assert!(done.text.contains("error 2060022") && done.text.contains("EXIT STATUS 2106"), "{}", done.text);
    assert_eq!(place.ok("tpconfig -dsh"), "", "what was refused is not kept");
}

#[test]
fn groups_and_lifecycle_policies_are_kept_as_they_are_given_and_protect_what_they_use() {
    let place = set_up();
    place.ok("bpstuadd -label stu2 -dp dp1 -nodevhost");
    place.ok("bpstuadd -group g1 -stunits stu1 stu2 -sm 3");
    assert_eq!(place.ok("bpstulist -go"), "g1 (Round Robin): stu1 stu2\n");
    assert!(place.ok("bpstulist -label stu2").starts_with("stu2 0 _STU_NO_DEV_HOST_ "));

    place.ok("nbstl gold -add -uf 0,1,3 -residence g1,stu2,__NA__ -rl 1,9,1 -as 0,1,2");
    assert_eq!(place.ok("nbstl -b"), "gold\n");
    let long = place.ok("nbstl gold -L");
    let values = |label: &str| -> Vec<String> {
        let lines = long.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(name, _)| name.trim() == label).map(|(_, value)| value.to_owned()).collect()
    };
    assert_eq!(values("Storage"), ["g1", "stu2", "__NA__"], "{long}");
    assert_eq!(values("Retention Level"), ["1 (14 days)", "9 (infinity)", "1 (14 days)"], "{long}");
    assert_eq!(values("Source"), ["0 (client)", "Operation 1", "Operation 2"], "{long}");
    assert_eq!(values("Operation  3  Use for"), ["3 (Replication)"], "{long}");
    assert_eq!(values("Version"), ["0"], "{long}");
    place.ok("nbstl gold -modify_version -uf 0,1 -residence g1,stu2 -rl 1,9");
    let long = place.ok("nbstl gold -L");
    assert!(long.contains("Version: 1\n") && long.contains("Source: Operation 1\n"), "{long}");

    for (line, status, says) in [
        ("nbstl gold -add -uf 0 -residence g1 -rl 1", 226, "gold exists already"),
        ("nbstl goldd -modify_version -uf 0 -residence g1 -rl 1", 227, "did you mean gold?"),
        ("nbstl s -add -uf 0 -residence g2 -rl 1", 227, "no storage unit or group g2, did you mean g1?"),
        ("nbstl s -add -uf 0,1 -residence g1 -rl 1,1", 20, "-residence has 1 values, and -uf 2"),
        ("nbstl s -add -uf 9 -residence g1 -rl 1", 20, "-uf 9: it is 0 to 5"),
        ("nbstl s -add -uf 0 -residence g1 -rl 10", 20, "levels 0 to 9"),
        ("nbstl s -add -uf x -residence g1 -rl 1", 20, "-uf x"),
        ("nbstl -add -uf 0 -residence g1 -rl 1", 20, "NAME is missing"),
        ("bpstuadd -group g2 -stunits stu1 stu3", 227, "no storage unit stu3"),
        ("bpstuadd -group g2 -stunits stu1 -sm 5", 20, "3 (Round Robin)"),
        ("bpstuadd -group stu1 -stunits stu1", 226, "storage unit stu1 exists already"),
        ("bpstudel -label stu1", 228, "storage unit group g1"),
        ("bpstudel -group g1", 228, "storage lifecycle policy gold"),
    ] {
        let done = place.shell(line);
        assert_eq!(done.code, status, "{line}: {}", done.text);
        assert!(done.text.contains(says), "{line}: {}", done.text);
    }
    place.ok("nbstl gold -delete");
    place.ok("bpstudel -group g1");
    place.ok("bpstudel -label stu1");
    assert_eq!(place.ok("nbstl -L"), "");
}

#[test]
fn defaults_and_flags_are_data() {
    let mut place = place();
    let settings = r#"{"high_water_mark": 90, "max_concurrent_jobs": 7, "max_fragment_mb": 1024,
        "flags": [{"flag": "OpenStorage"}, {"flag": "Resumes", "capability": 0}]}"#;
    std::fs::write(place.path("home/emm/settings.json"), settings).unwrap();
    place.set("FAKE_OST_CAPABILITIES", &CHECKPOINT);
    place.ok("nbdevconfig -creatests -storage_server s1 -stype Fake -media_server ms1 -st 5");
    place.ok("tpconfig -add -storage_server s1 -stype Fake -sts_user_id user -password secret");
    place.ok("nbdevconfig -previewdv -storage_servers s1 -stype Fake 2>/dev/null | grep lsu1 > list");
    place.ok("nbdevconfig -createdp -dp dp1 -stype Fake -storage_servers s1 -dvlist list");
    place.ok("bpstuadd -label stu1 -dp dp1");
    let server = place.ok("nbdevquery -liststs -U");
    assert_eq!(flags(&server), ["OpenStorage", "AdminUp", "InternalUp", "Resumes"], "{server}");
    assert!(server.contains("Formatted Disk, Direct Attached"), "{server}");
    assert_eq!(place.ok("nbdevquery -listdp"), "V7.5 dp1 1 10.00 10.00 1 90 80 -1 s1\n");
    assert!(place.ok("bpstulist").starts_with("stu1 0 _STU_NO_DEV_HOST_ 0 -1 -1 7 0 \"*NULL*\" 0 1 1024 "));

    std::fs::write(place.path("home/emm/settings.json"), r#"{"hwm": 90}"#).unwrap();
    let done = place.shell("bpstuadd -label stu2 -dp dp1");
    assert_eq!(done.code, 130, "{}", done.text);
    assert!(done.text.contains("settings.json: unknown field `hwm`"), "{}", done.text);
}

#[test]
fn a_password_is_shown_by_nothing() {
    let place = set_up();
    for line in ["tpconfig -dsh -all_hosts", "nbdevquery -liststs -U", "cat home/emm/emm.json"] {
        assert!(!place.ok(line).contains("secret"), "{line}");
    }
    let mode = place.ok("stat -c %a home/emm/credentials.json");
    assert_eq!(mode, "600\n");
}

#[test]
fn a_backup_is_listed_with_its_copies_fragments_and_files() {
    let place = set_up();
    let scenario = "scenario: NBU-BKP-900\ntitle: small\nseed: 7\nstorage:\n  server: {type: Fake, name: s1, user: user, \
                    password: secret}\n  lsus: [{name: lsu0}]\n  units: [{label: stu1, lsu: lsu0, max_fragment: 1m}]\n\
                    policy: {name: p1, storage: stu1, schedules: [{name: full, retention: 14d}]}\nselections: [GEN_DATA, GEN_KBSIZE=40, GEN_MAXFILES=60]\n\
                    run: [backup: {}]\n";
    std::fs::write(place.path("a.yaml"), scenario).unwrap();
    let run = format!("{PROGRAM} run --keep --work-dir . --plugin {} a.yaml", c_plugin().display());
    place.ok(&run);
    place.ok("cp -r nbu-harness-*/netbackup/catalog home/");

    let id = place.ok("bpimagelist -idonly").trim_end().to_owned();
    let (_, time) = id.rsplit_once('_').unwrap();
    let short = place.ok("bpimagelist -l -policy p1");
    let mut lines = short.lines();
    let image: Vec<_> = lines.next().unwrap().split(' ').collect();
    assert_eq!((image[0], image[5], image[6], image[13]), ("IMAGE", id.as_str(), "p1", time), "{short}");
    let expires = (time.parse::<u64>().unwrap() + 14 * 86_400).to_string();
    assert_eq!((image[12], image[15]), ("1", expires.as_str()), "level 1 is two weeks: {short}");
    let kbytes: u64 = image[18].parse().unwrap();
    assert!(kbytes >= 60 * 40, "{short}");
    assert_eq!(lines.next(), Some("HISTO -1 -1 -1 -1 -1 -1 -1 -1 -1 -1"));
    let fragments: Vec<Vec<_>> = lines.map(|line| line.split(' ').collect()).collect();
    assert_eq!(fragments.len().to_string(), image[21], "{short}");
    assert!(fragments.len() >= 3, "{short}");
    let mut sum = 0;
    for (number, fragment) in (1..).zip(&fragments) {
        assert_eq!((fragment[0], fragment[2]), ("FRAG", number.to_string().as_str()), "{short}");
        assert_eq!((fragment[8], fragment[9]), ("@aaaab", "ms1"), "{short}");
        assert_eq!(fragment[15], "1;Fake;s1;dp1;lsu0;0", "{short}");
        assert_eq!((fragment[16], fragment[18]), (expires.as_str(), "1"), "{short}");
        sum += fragment[3].parse::<u64>().unwrap();
    }
    assert_eq!(sum, kbytes, "the fragments are the image");

    let table = place.ok("bpimagelist -U");
    assert!(table.lines().nth(2).unwrap().ends_with("Full Backup               p1"), "{table}");
    assert!(!table.contains("INFINITY"), "{table}");
    let labels = place.ok(&format!("bpimagelist -L -backupid {id}"));
    assert!(
        labels.lines().any(|line| line.starts_with("Expiration Time:") && line.contains(&expires)),
        "{labels}"
    );
    assert!(labels.contains(&format!("Backup ID:          {id}\n")), "{labels}");
    assert_eq!(place.shell("bpimagelist -policy p2").code, 227);

    let files = place.ok(&format!("bpflist -l -backupid {id}"));
    let heads = files.lines().filter(|line| line.starts_with("FILES 8 0 0 ")).count();
    assert_eq!(heads, files.lines().count().div_ceil(51), "{files}");
    let file: Vec<_> = files.lines().find(|line| line.contains("40960")).unwrap().split(' ').collect();
    assert_eq!(file[2].parse::<usize>().unwrap(), file[8].len(), "the length of the path: {file:?}");
    assert_eq!(file.len(), 16, "{file:?}");

    let record = place.home().join(format!("catalog/{id}.json"));
    let mut image: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    image["not_imported"] = true.into();
    image["copies"][0]["unlock_time"] = 1_900_000_000.into();
    std::fs::write(&record, image.to_string()).unwrap();
    let listed = place.ok("bpimagelist -l");
    let field = |at: usize, line: &str| line.split(' ').nth(at).map(str::to_owned);
    assert_eq!(field(28, &short).as_deref(), Some("0"), "{short}");
    assert_eq!(field(28, &listed).as_deref(), Some("1"), "the image type: {listed}");
    assert_eq!(short.lines().filter(|line| line.ends_with(" 1900000000")).count(), 0, "{short}");
    let locked = listed.lines().filter(|line| line.starts_with("FRAG ") && line.ends_with(" 1900000000"));
    assert_eq!(locked.count(), fragments.len(), "{listed}");
}
