//! `bpimagelist`: backups in the image catalogue.
//!
//! `-l` is an `IMAGE` line, one of `HISTO` and one `FRAG` line for each fragment. That these lines are there, and the
//! fields that [`FRAGMENT`] and [`IMAGE`] name, is public; the order is that of the documentation, put together from
//! memory where the public text only names fields, and not verified. What this catalogue does not keep is 0 or *NULL*.

use super::image_facts::{CopyFacts, ImageFacts, facts};
use super::options::{Given, Verb, flag, optional};
use super::{CommandError, Context};
use crate::nbu::{Catalog, CatalogError};
use jiff::{Timestamp, tz::TimeZone};
use std::fmt::Write;

pub(super) const VERBS: &[Verb] = &[Verb {
    name: "",
    options: &[
        optional("-backupid", "ID"),
        optional("-client", "NAME"),
        optional("-policy", "NAME"),
        flag("-l"),
        flag("-L"),
        flag("-U"),
        flag("-idonly"),
    ],
    run: list,
}];

/// The time at which what is kept for ever expires.
const NEVER: u64 = 2_147_483_647;

/// When something expires, as a number.
fn expiration(at: Option<u64>) -> String {
    at.unwrap_or(NEVER).to_string()
}

/// When something expires, for people.
fn expires(at: Option<u64>, format: &str) -> String {
    at.map_or_else(|| "INFINITY".to_owned(), |at| time(at, format))
}

impl From<CatalogError> for CommandError {
    fn from(error: CatalogError) -> Self {
        let status = match &error {
            CatalogError::Io { .. } => 11,
            CatalogError::BadId(_) => 20,
            _ => 130,
        };
        Self { status, text: error.to_string() }
    }
}

fn list(context: &Context, given: &Given) -> Result<String, CommandError> {
    let home = context.existing()?;
    let (catalog, emm) = (Catalog::open(home)?, context.emm()?);
    let (database, settings) = (emm.read()?, emm.settings()?);
    let images = match given.value("-backupid") {
        Some(id) => catalog.image(id)?.into_iter().collect(),
        None => catalog.images()?,
    };
    let mut images: Vec<_> = images
        .iter()
        .map(|image| facts(image, &database, &settings))
        .filter(|image| given.value("-client").is_none_or(|name| name == image.client))
        .filter(|image| given.value("-policy").is_none_or(|name| name == image.policy))
        .collect();
    if images.is_empty() {
        return Err(CommandError { status: 227, text: "the catalogue has no such image".into() });
    }
    // The youngest first, as in NetBackup.
    images.sort_by(|a, b| (b.backup_time, &b.backup_id).cmp(&(a.backup_time, &a.backup_id)));
    Ok(if given.has("-idonly") {
        images.iter().map(|image| image.backup_id.clone() + "\n").collect()
    } else if given.has("-U") {
        table(&images)
    } else if given.has("-L") {
        images.iter().map(labels).collect()
    } else {
        images.iter().map(lines).collect()
    })
}

/// A field of a line: its name, and what it holds.
type Field<T> = (&'static str, fn(&T) -> String);

/// Fields of the `IMAGE` line.
const IMAGE: &[Field<ImageFacts>] = &[
    ("client", |i| i.client.clone()),
    ("date1", |_| "0".into()),
    ("date2", |_| "0".into()),
    ("version", |_| "14".into()),
    ("backup_id", |i| i.backup_id.clone()),
    ("policy", |i| i.policy.clone()),
    ("client_type", |_| "0".into()),
    ("proxy_client", |_| "*NULL*".into()),
    ("creator", |_| "root".into()),
    ("sched_label", |i| i.schedule.clone()),
    ("sched_type", |i| i.schedule_type.code().to_string()),
    ("retention", |i| i.retention_level.to_string()),
    ("backup_time", |i| i.backup_time.to_string()),
    ("elapsed", |_| "0".into()),
    // That of the first copy to expire.
    ("expiration", |i| expiration(i.expires)),
    ("compression", |_| "0".into()),
    ("encryption", |_| "0".into()),
    ("kbytes", |i| i.kbytes.to_string()),
    ("num_files", |i| i.files.to_string()),
    ("copies", |i| i.copies.len().to_string()),
    ("num_fragments", |i| i.copies.iter().map(|copy| copy.fragments.len()).sum::<usize>().to_string()),
    ("files_compressed", |_| "0".into()),
    ("files_file", |i| format!("{}_{}.f", i.policy, i.backup_time)),
    ("sw_version", |_| "*NULL*".into()),
    ("name1", |_| "*NULL*".into()),
    ("input_options", |_| "*NULL*".into()),
    ("primary_copy", |i| i.primary_copy.to_string()),
    ("image_type", |i| i.image_type.to_string()),
    ("tir_info", |_| "0".into()),
    ("tir_expiration", |_| "0".into()),
    ("keywords", |_| "*NULL*".into()),
    // Also of a multiplexed backup: on disk its images are kept apart.
    ("mpx", |_| "0".into()),
    ("ext_security_info", |_| "0".into()),
    ("ind_file_restore_from_raw", |_| "0".into()),
    ("image_dump_level", |_| "0".into()),
    ("file_system_only", |_| "0".into()),
    ("prev_block_incr_time", |_| "0".into()),
    ("block_incr_full_time", |_| "0".into()),
    ("object_descriptor", |_| "*NULL*".into()),
    ("stream_number", |i| i.stream.to_string()),
    ("backup_status", |i| i.status.to_string()),
    ("backup_copy", |_| "0".into()),
    ("prev_image", |_| "*NULL*".into()),
    ("jobid", |i| i.job_id.to_string()),
    ("num_resumes", |_| "0".into()),
    ("resume_expiration", |_| "0".into()),
    ("data_classification", |_| "*NULL*".into()),
    ("ss_name", |_| "*NULL*".into()),
    ("ss_completed", |_| "0".into()),
    ("origin_master_server", |_| "*NULL*".into()),
];

/// A fragment and its copy.
struct Fragment {
    copy: CopyFacts,
    number: u32,
    kbytes: u64,
}

/// Fields of a `FRAG` line.
const FRAGMENT: &[Field<Fragment>] = &[
    ("copy_num", |f| f.copy.number.to_string()),
    ("frag_num", |f| f.number.to_string()),
    ("kbytes", |f| f.kbytes.to_string()),
    ("remainder", |_| "0".into()),
    ("media_type", |_| "0".into()),
    ("density", |_| "0".into()),
    ("file_num", |_| "0".into()),
    ("id", |f| f.copy.media_id.clone().unwrap_or_else(|| "*NULL*".into())),
    ("host", |f| f.copy.host.clone()),
    ("block_size", |f| f.copy.block_size.to_string()),
    ("offset", |_| "0".into()),
    ("media_date", |_| "0".into()),
    ("device_written_on", |_| "-1".into()),
    ("f_flags", |_| "0".into()),
    ("media_descriptor", |f| f.copy.volume.clone()),
    ("expiration", |f| expiration(f.copy.expires)),
    ("mpx", |_| "0".into()),
    ("retention", |f| f.copy.retention_level.to_string()),
    ("checkpoint", |_| "0".into()),
    ("resume_nbr", |_| "0".into()),
    ("media_seq", |_| "0".into()),
    ("media_subtype", |_| "6".into()),
    ("keep_date", |_| "0".into()),
    ("copy_date", |_| "0".into()),
    ("fragment_state", |_| "0".into()),
    ("data_format", |_| "0".into()),
    ("kms_key_tag", |_| "*NULL*".into()),
    ("slp_dest_tag", |_| "*NULL*".into()),
    ("mirror_parent", |_| "0".into()),
    ("copy_on_hold", |_| "0".into()),
    ("worm_flags", |_| "0".into()),
    ("worm_unlock_time", |f| f.copy.unlock_time.to_string()),
];

fn joined<T>(head: &str, fields: &[Field<T>], of: &T) -> String {
    let values: Vec<_> =
        [head.to_owned()].into_iter().chain(fields.iter().map(|(_, value)| value(of))).collect();
    values.join(" ") + "\n"
}

fn lines(image: &ImageFacts) -> String {
    let mut text = joined("IMAGE", IMAGE, image);
    text.push_str("HISTO -1 -1 -1 -1 -1 -1 -1 -1 -1 -1\n");
    for copy in &image.copies {
        for &(number, kbytes) in &copy.fragments {
            text.push_str(&joined("FRAG", FRAGMENT, &Fragment { copy: copy.clone(), number, kbytes }));
        }
    }
    text
}

/// A time with its day of the week.
const DATE: &str = "%a %b %e %Y %H:%M:%S";

/// A time as NetBackup prints it, in the zone of the environment.
fn time(seconds: u64, format: &str) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| seconds.to_string(), |at| at.to_zoned(TimeZone::system()).strftime(format).to_string())
}

fn labels(image: &ImageFacts) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{:<20}{value}", format!("{label}:"));
    };
    line("Client", image.client.clone());
    line("Backup ID", image.backup_id.clone());
    line("Policy", image.policy.clone());
    line("Sched Label", image.schedule.clone());
    line("Schedule Type", format!("{} ({})", image.schedule_type, image.schedule_type.code()));
    line("Backup Time", format!("{} ({})", time(image.backup_time, DATE), image.backup_time));
    let expires = format!("{} ({})", expires(image.expires, DATE), expiration(image.expires));
    line("Expiration Time", expires);
    line("Kilobytes", image.kbytes.to_string());
    line("Number of Files", image.files.to_string());
    line("Number of Copies", image.copies.len().to_string());
    line("Primary Copy", image.primary_copy.to_string());
    line("Backup Status", image.status.to_string());
    line("Job ID", image.job_id.to_string());
    for copy in &image.copies {
        for (number, kbytes) in &copy.fragments {
            line("Copy number", copy.number.to_string());
            line(" Fragment", number.to_string());
            line(" Kilobytes", kbytes.to_string());
            line(" ID", copy.media_id.clone().unwrap_or_else(|| "*NULL*".into()));
            line(" Media Desc", copy.volume.clone());
            line(" Host", copy.host.clone());
            line(" Block Size", copy.block_size.to_string());
        }
    }
    text + "\n"
}

/// The table of `-U`: `C` is for compression.
fn table(images: &[ImageFacts]) -> String {
    let mut text = format!(
        "{:<16}  {:<10} {:>8} {:>12}  C  {:<24}  Policy\n",
        "Backed Up", "Expires", "Files", "KB", "Sched Type"
    );
    let rule = |width: usize| "-".repeat(width);
    // Writing into a string cannot fail.
    let _ =
        writeln!(text, "{}  {} {} {}  -  {}  {}", rule(16), rule(10), rule(8), rule(12), rule(24), rule(12));
    for image in images {
        let _ = writeln!(
            text,
            "{:<16}  {:<10} {:>8} {:>12}  N  {:<24}  {}",
            time(image.backup_time, "%m/%d/%Y %H:%M"),
            expires(image.expires, "%m/%d/%Y"),
            image.files,
            image.kbytes,
            image.schedule_type,
            image.policy
        );
    }
    text
}
